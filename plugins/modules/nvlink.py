#!/usr/bin/python
"""Starts the fabric manager where the loaded driver is its own, and proves that every GPU has joined."""

DOCUMENTATION = r"""
module: nvlink
short_description: Start the fabric manager and prove the fabric
description:
  - Starts the unit only when the loaded driver has exactly O(version), because the fabric manager ends itself
    otherwise; it says when the host has to be booted first.
  - A running fabric manager is restarted only when asked, and never while a program uses a GPU, because its
    end ends every such program.
  - Then waits until every GPU has joined the fabric, and fails with the GPUs that have not.
author: [Bedplate]
options:
  version: {description: Version of driver and fabric manager., type: str, required: true}
  count: {description: GPUs that the inventory has., type: int, required: true}
  unit: {description: Unit of the fabric manager., type: str, default: nvidia-fabricmanager.service}
  restart: {description: Its settings were changed., type: bool, default: false}
  seconds: {description: How long GPUs may take to join., type: int, default: 300}
"""

EXAMPLES = r"""
- name: Bring the fabric up
  nvlink: {version: 580.178.04, count: 8}
"""

RETURN = r"""
waiting: {description: "Why the fabric is not up yet, or nothing.", type: str, returned: always}
states: {description: State of every GPU., type: list, elements: str, returned: when the fabric was looked at}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nvidia_packages import fabric_state, host
from ansible.module_utils.units import trouble

SPEC = {
    "version": {"type": "str", "required": True},
    "count": {"type": "int", "required": True},
    "unit": {"type": "str", "default": "nvidia-fabricmanager.service"},
    "restart": {"type": "bool", "default": False},
    "seconds": {"type": "int", "default": 300},
}
PAUSE = 5  # seconds between two looks
QUERY = ["nvidia-smi", "-q", "-x"]


def waiting_for(version, loaded):
    """Why the fabric cannot come up now, or nothing."""
    if not loaded:
        return "no driver is loaded"
    if loaded != version:
        return f"driver {loaded} is loaded and {version} is installed; boot the host"
    return ""


def start(module):
    """Start the unit, or restart it for new settings; was that done now?"""
    unit = module.params["unit"]
    if module.run_command(["systemctl", "is-active", "--quiet", unit])[0] == 0:
        users = list(host.users()) if module.params["restart"] else []
        if users:
            module.warn(
                f"{unit} keeps its old settings: {', '.join(users)} would end with it; restart it later"
            )
        if users or not module.params["restart"]:
            return False
    if not module.check_mode:
        code, _, errors = module.run_command(["systemctl", "restart", unit])
        if code != 0:
            module.fail_json(msg=f"{unit} does not start: {trouble(module.run_command, [unit], errors)}")
    return True


def settle(module):
    """The GPUs once they have joined, or as they are when the time is over."""
    deadline = time.monotonic() + module.params["seconds"]
    while True:
        code, output, errors = module.run_command(QUERY)
        if code != 0:
            module.fail_json(msg=f"nvidia-smi failed ({code}): {(errors or output).strip()}")
        gpus = fabric_state.parse(output)
        if not any(gpu.waiting for gpu in gpus) or time.monotonic() > deadline:
            return gpus
        time.sleep(PAUSE)


def main():
    """Observe, start, prove."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    reason = waiting_for(module.params["version"], host.loaded())
    if reason:
        module.exit_json(changed=False, waiting=reason)
    started = start(module)
    if module.check_mode and started:
        module.exit_json(changed=True, waiting="the fabric manager does not run yet")
    try:
        gpus = settle(module)
    except fabric_state.NotUnderstood as error:
        module.fail_json(msg=str(error))
    wrong = fabric_state.problems(gpus, module.params["count"])
    if wrong:
        module.fail_json(msg="\n".join(wrong), problems=wrong)
    module.exit_json(changed=started, waiting="", states=[f"{gpu.address} {gpu.state}" for gpu in gpus])


if __name__ == "__main__":
    main()
