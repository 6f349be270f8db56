#!/usr/bin/python
"""Says what makes another site the one that takes writes, or why it cannot be."""

from __future__ import annotations

DOCUMENTATION = r"""
module: switch_over
short_description: Plan a switch-over between two sites
description:
  - Changes nothing. Says the steps for each of two sites, in the order fence, promote, follow, synchronous.
  - Refuses as long as the other site may take writes, unless somebody confirms in the words that it asks for.
options:
  to: {description: The site that is to take writes, type: str, required: true}
  sites:
    description: What each site said of itself (bedplate_site.py observe) by name; nothing for one away
    type: dict
    required: true
  confirm: {description: The words that a refusal asked for, type: str, default: ""}
  powered_off: {description: The other site's power was switched off and is off, type: bool, default: false}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Plan the switch-over
  switch_over:
    to: standby
    sites: "{{ __seen }}"
    confirm: "{{ confirm | default('') }}"
"""

RETURN = r"""
steps: {description: Steps by site, type: dict, returned: success}
notes: {description: What whoever switches should know, type: list, returned: success}
words: {description: The confirmation that is asked for, type: str, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.site_pair.plan import decide, seen

ARGUMENTS = {
    "to": {"type": "str", "required": True},
    "sites": {"type": "dict", "required": True},
    "confirm": {"type": "str", "default": ""},
    "powered_off": {"type": "bool", "default": False},
}


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    sites = [seen(name, told or None) for name, told in sorted(params["sites"].items())]
    plan = decide(sites, params["to"], params["confirm"], params["powered_off"])
    if plan.refusals:
        module.fail_json(msg="\n".join(["Nothing was changed.", *plan.refusals]), words=plan.words)
    steps = {name: [what for site, what in plan.steps if site == name] for name in params["sites"]}
    lines = [f"{site}: {what}" for site, what in plan.steps]
    module.exit_json(
        changed=False,
        steps=steps,
        notes=list(plan.notes),
        words=plan.words,
        diff={"prepared": "".join(f"- {line}\n" for line in lines)},
    )


if __name__ == "__main__":
    main()
