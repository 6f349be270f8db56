#!/usr/bin/python
"""Enables, starts, disables and stops units of systemd, in one round trip."""

DOCUMENTATION = r"""
module: units
short_description: Enable, start, disable and stop units of systemd
description:
  - Several units in one round trip. systemd reads its files again first where they are newer than what it has
    read, so a run that was cut short between file and unit is mended by the next one.
  - In check mode, a unit that is not there yet is taken as one that this very run would bring. Otherwise an
    unknown or masked unit is refused before any unit is touched.
author: [Bedplate]
options:
  units:
    description: The units.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name of the unit., type: str, required: true}
      enabled: {description: Whether it comes at every boot., type: bool}
      running: {description: Whether it runs now., type: bool}
      packaged: {description: Its package enables and starts it., type: bool, default: false}
"""

EXAMPLES = r"""
- name: Start the services, now and at every boot
  units:
    units:
      - {name: containerd, enabled: true, running: true}
"""

RETURN = r"""
plan: {description: One line for each change (to be) made, type: list, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.units import Wish, changes, expected, parse, plan, query, trouble

UNIT = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool"},
    "running": {"type": "bool"},
    "packaged": {"type": "bool", "default": False},
}


def apply(module, actions):
    """Do it; ends the module at the first thing that systemd does not do."""
    for verb, names in actions:
        code, _, errors = module.run_command(["systemctl", verb, *names])
        if code != 0:
            why = trouble(module.run_command, names, errors)
            module.fail_json(msg=f"systemctl {verb} {' '.join(names)}: {why}", plan=changes(actions))


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(
        argument_spec={"units": {"type": "list", "elements": "dict", "required": True, "options": UNIT}},
        supports_check_mode=True,
    )
    wishes = [Wish(**unit) for unit in module.params["units"]]
    names = [wish.name for wish in wishes]
    observed = parse(names, module.run_command(query(names), check_rc=True)[1])
    actions, refusals = plan(wishes, expected(wishes, observed) if module.check_mode else observed)
    if refusals:
        module.fail_json(msg="Nothing was changed: " + "; ".join(refusals), plan=[])
    if not module.check_mode:
        apply(module, actions)
    lines = changes(actions)
    diff = {"prepared": "".join(f"{line}\n" for line in lines)} if lines else {}
    module.exit_json(changed=bool(lines), plan=lines, diff=diff)


if __name__ == "__main__":
    main()
