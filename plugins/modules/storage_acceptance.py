#!/usr/bin/python
"""Measures storage tiers with fio and holds the figures against what the inventory promises."""

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_acceptance
short_description: Measure storage tiers with fio and judge their promise
description:
  - Fills a file of the tier, reads it in the ways that the promise is about, and removes it. Devices are
    never written to.
  - A resynchronisation of the array is paused while it is measured.
options:
  tiers: {description: The tiers as role storage_tiers takes them, type: list, elements: dict, required: true}
  mode:
    description: Hold it against the promise, or against the raw members in the same run
    type: str
    choices: [absolute, relative]
    default: absolute
  results: {description: File that the measurements are written to, type: path, required: true}
  state:
    description: Folder of the records of module storage_tiers
    type: path
    default: /var/lib/bedplate/storage_tiers
  runtime: {description: Seconds for each job, type: int, required: true}
  ramp: {description: Seconds before measuring, type: int, required: true}
  size: {description: Size of the file such as 64GiB; at most a fifth of the space, type: str, required: true}
  jobs: {description: Processes that read at the same time, type: int, required: true}
  depth: {description: Requests that each keeps in flight, type: int, required: true}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Measure the tiers
  storage_acceptance:
    tiers: "{{ storage_tiers }}"
    results: /var/lib/bedplate/results/storage_tiers.json
    runtime: 120
    ramp: 30
    size: 64GiB
    jobs: 8
    depth: 32
"""

RETURN = r"""
tiers: {description: "Tiers with measures (what, value, goal, verdict, note)", type: list, returned: success}
failed_promises: {description: Promises that were not kept, type: list, returned: success}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.storage_tiers import acceptance, measure
from ansible.module_utils.storage_tiers.apply import ToolFailed
from ansible.module_utils.storage_tiers.layout import size

ARGUMENTS = {
    "tiers": {"type": "list", "elements": "dict", "required": True},
    "mode": {"type": "str", "choices": ["absolute", "relative"], "default": "absolute"},
    "results": {"type": "path", "required": True},
    "state": {"type": "path", "default": "/var/lib/bedplate/storage_tiers"},
    "runtime": {"type": "int", "required": True},
    "ramp": {"type": "int", "required": True},
    "size": {"type": "str", "required": True},
    "jobs": {"type": "int", "required": True},
    "depth": {"type": "int", "required": True},
}


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    if module.check_mode:
        names = [t["name"] for t in params["tiers"]]
        module.exit_json(
            changed=bool(names), tiers=[], failed_promises=[], diff={"prepared": f"+ measure {names}\n"}
        )
    load = acceptance.Load(
        params["runtime"], params["ramp"], size(params["size"]), params["jobs"], params["depth"]
    )
    try:
        measured = measure.tiers(params["tiers"], params["mode"], load, Path(params["state"]))
    except (ToolFailed, ValueError, OSError) as problem:
        module.fail_json(msg=f"The tiers could not be measured: {problem}")
    measure.keep(Path(params["results"]), measured)
    failed = [
        f"tier {tier['name']}: {m['what']} is {m['value']}, {m['goal']} is asked for ({m['note']})"
        for tier in measured
        for m in tier["measures"]
        if m["verdict"] == "fail"
    ]
    module.exit_json(changed=bool(measured), tiers=measured, failed_promises=failed)


if __name__ == "__main__":
    main()
