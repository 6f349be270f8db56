#!/usr/bin/python
"""Wipes named disks after a typed confirmation; refuses what is in use even then."""

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_wipe
short_description: Wipe disks, after a typed confirmation
description:
  - Removes every signature, discards, and zeroes where data of old partitions and arrays begins.
  - Refuses disks that are mounted, swapped to, held by an array or mapping, or that the system lies on, even
    with the right confirmation.
  - A tier all of whose disks are wiped is forgotten. Its key file stays, for a pulled disk may need it.
options:
  host: {description: Name of the host as the inventory has it, type: str, required: true}
  disks: {description: Serial numbers, type: list, elements: str, required: true}
  forget: {description: Tiers to forget whose disks are gone for good, type: list, elements: str, default: []}
  confirm: {description: "C(wipe HOST SERIAL ... tier:NAME ...), in order", type: str, default: ""}
  state:
    description: Folder of the records of module storage_tiers
    type: path
    default: /var/lib/bedplate/storage_tiers
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Wipe a disk that came from another machine
  storage_wipe:
    host: gpu7
    disks: [PHAB1000001K3P8]
    confirm: wipe gpu7 PHAB1000001K3P8
"""

RETURN = r"""
plan: {description: What is (to be) lost, type: list, returned: always}
refusals: {description: Why nothing was wiped, type: list, returned: failure}
words: {description: The confirmation that is asked for, type: str, returned: always}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.storage_tiers import observe, records, wipe
from ansible.module_utils.storage_tiers.apply import Changed
from ansible.module_utils.storage_tiers.observe import Places, ToolFailed

ARGUMENTS = {
    "host": {"type": "str", "required": True},
    "disks": {"type": "list", "elements": "str", "required": True},
    "forget": {"type": "list", "elements": "str", "default": []},
    "confirm": {"type": "str", "default": ""},
    "state": {"type": "path", "default": str(Places.state)},
}


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    places = Places(state=Path(params["state"]))
    try:
        wanted = (params["host"], params["disks"], params["forget"], params["confirm"])
        plan = wipe.plan(*wanted, observe.host([], places))
        if plan.refusals:
            text = "\n".join(["Nothing was wiped.", *map(str, plan.refusals)])
            refusals = [vars(r) for r in plan.refusals]
            module.fail_json(msg=text, refusals=refusals, plan=[], words=plan.words)
        if not module.check_mode:
            for disk in plan.disks:
                wipe.wipe(disk, places)
            for tier in plan.forget:
                records.forget(places.state, tier)
    except (Changed, ToolFailed, ValueError, OSError) as problem:
        module.fail_json(msg=str(problem))
    lines = plan.lines
    module.exit_json(
        changed=True, plan=lines, words=plan.words, diff={"prepared": "".join(f"- {n}\n" for n in lines)}
    )


if __name__ == "__main__":
    main()
