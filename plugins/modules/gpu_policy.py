#!/usr/bin/python
"""Sets power, clocks, compute mode, ECC and MIG of a host's GPUs, and reads every setting back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_policy
short_description: Set the GPUs of a host and read every setting back
description:
  - Sets persistence, power limit, clocks, compute mode, ECC and MIG through C(nvidia-smi), only where they
    differ, and reads each back. What does not read back is a failure.
  - Values that a GPU does not take are refused with what it takes, before anything is changed on any GPU.
  - ECC and MIG mode need a reset or a boot. Without O(reset) they are said as C(waiting) and not touched;
    with it they are refused while a process uses the GPU.
  - Locked clocks are the one setting that C(nvidia-smi) does not show. They are remembered in O(state), which
    a boot clears as it clears them, and a clock above the lock counts as a lock that the driver lost.
  - Supports check mode and diff.
author: [Bedplate]
options:
  persistence: {description: Keep the driver's state while nobody uses the GPU., type: bool, default: true}
  power_limit: {description: Watts. 0 is the board's default., type: int, default: 0}
  application_clocks:
    description: C(memory) and C(graphics) clock under load in MHz. Empty for the board's defaults.
    type: dict
    default: {}
  locked_clocks:
    description: C(graphics) and C(memory), each two clocks in MHz between which it stays. Empty for no lock.
    type: dict
    default: {}
  compute_mode:
    description: Who may use a GPU at once.
    type: str
    choices: [default, exclusive_process, prohibited]
    default: default
  ecc: {description: Error correction., type: bool, default: true}
  mig:
    description: A layout of O(layouts) for every GPU, C(none) for whole GPUs, C(leave) to leave it to others.
    type: str
    default: leave
  overrides:
    description: Other values for some GPUs, which C(gpus) names by index.
    type: list
    elements: dict
    default: []
  layouts: {description: MIG layouts by name, as catalogue_mig has them., type: dict, default: {}}
  reset:
    description: Whether ECC and MIG mode, and the reset for them, may be done now.
    type: bool
    default: false
  state:
    description: Where locked clocks are remembered.
    type: path
    default: /run/bedplate/gpu_policy.json
"""

EXAMPLES = r"""
- name: Cap the power of every GPU
  gpu_policy:
    power_limit: 600

- name: Cut two of the GPUs
  gpu_policy:
    layouts: "{{ catalogue_mig }}"
    overrides: [{gpus: [0, 1], mig: h100-sevenths}]
    reset: true
"""

RETURN = r"""
actions: {description: "What was set, in order.", type: list, elements: str, returned: always}
waiting:
  description: What is wanted and waits for a boot or for O(reset).
  type: list
  elements: str
  returned: always
gpus: {description: Number of GPUs that were seen., type: int, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.gpu_policy.converge import (
    STATE,
    Memory,
    NoDriver,
    NotKept,
    Refused,
    converge,
    nvidia_smi,
)
from ansible.module_utils.nvidia_packages import flavour, host

ARGUMENTS = {
    "persistence": {"type": "bool", "default": True},
    "power_limit": {"type": "int", "default": 0},
    "application_clocks": {"type": "dict", "default": {}},
    "locked_clocks": {"type": "dict", "default": {}},
    "compute_mode": {
        "type": "str",
        "choices": ["default", "exclusive_process", "prohibited"],
        "default": "default",
    },
    "ecc": {"type": "bool", "default": True},
    "mig": {"type": "str", "default": "leave"},
    "overrides": {"type": "list", "elements": "dict", "default": []},
    "layouts": {"type": "dict", "default": {}},
    "reset": {"type": "bool", "default": False},
    "state": {"type": "path", "default": STATE},
}


def without_driver(module, reason):
    """No driver answers: nothing to do on a host without GPUs, a failure on any other."""
    found = flavour.gpus(flavour.devices(host.bus()))
    if not found:
        module.exit_json(changed=False, actions=[], waiting=[], gpus=0, msg="this host has no NVIDIA GPU")
    if module.check_mode:  # the driver may come with this very run
        module.exit_json(
            changed=True, actions=[], waiting=[f"the policy, until the driver runs: {reason}"], gpus=found
        )
    module.fail_json(msg=f"the host has {found} NVIDIA GPUs and no driver that answers: {reason}")


def main():
    """Observe, plan, apply, read back."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    program = module.get_bin_path("nvidia-smi") or "nvidia-smi"
    try:
        memory = Memory.at(given["state"])
        found = converge(given, nvidia_smi(program), memory, consent=given["reset"], check=module.check_mode)
    except Refused as refusal:
        module.fail_json(msg=f"Nothing was changed: {refusal}", refusals=refusal.reasons)
    except NotKept as error:
        module.fail_json(msg=str(error))
    except NoDriver as error:
        without_driver(module, error)
    for text in found.waiting:
        module.warn(text)
    lines = [str(action) for action in found.done]
    before = [f"GPU {a.gpu} {a.setting}: {a.before}\n" for a in found.done]
    after = [f"GPU {a.gpu} {a.setting}: {a.after}\n" for a in found.done]
    module.exit_json(
        changed=bool(lines),
        actions=lines,
        waiting=list(found.waiting),
        gpus=len(found.gpus),
        diff={"before": "".join(before), "after": "".join(after)},
    )


if __name__ == "__main__":
    main()
