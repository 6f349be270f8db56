#!/usr/bin/python
"""Chooses the packages of an NVIDIA driver for this host, and proves that its kernel has the module."""

DOCUMENTATION = r"""
module: nvidia_driver
short_description: Choose an NVIDIA driver's packages for this host, or prove that it is there
description:
  - C(planned) looks at GPUs, Secure Boot, the loaded module and who uses it, chooses the kernel module and
    the packages with their versions, or refuses with the reason and the remedy. It changes nothing.
  - C(verified) proves that the kernel has the module of this version and kind; where it has not, DKMS is
    asked to build it. It says whether the host has to be booted, and why.
author: [Bedplate]
options:
  state: {description: What to do., type: str, choices: [planned, verified], required: true}
  version: {description: Exact version of the driver., type: str, required: true}
  distribution: {description: Name of the distribution., type: str, required: true}
  source: {description: Whose packages., type: str, choices: [vendor, distribution], default: vendor}
  build: {description: Who builds the module., type: str, choices: [dkms, precompiled], default: dkms}
  kernel_module: {description: Which module., type: str, choices: [auto, open, proprietary], default: auto}
  kernel: {description: Kernel for which the module must be there., type: str, required: true}
  model: {description: GPU model of the inventory., type: str, default: ""}
  catalogue: {description: catalogue_gpus., type: dict, required: true}
  rows: {description: Names of packages., type: list, elements: dict, default: []}
  companions:
    description: Packages that must have the driver's version and go with it in one transaction.
    type: list
    elements: dict
    default: []
  secure_boot: {description: What Secure Boot does., type: str, choices: [refuse, enrolled], default: refuse}
  in_use:
    description: What a GPU in use does to a change.
    type: str
    choices: [refuse, allow]
    default: refuse
"""

EXAMPLES = r"""
- name: Choose the driver
  nvidia_driver:
    state: planned
    version: 580.178.04
    distribution: Debian
    kernel: 6.1.0-49-amd64
    catalogue: "{{ catalogue_gpus }}"
"""

RETURN = r"""
packages: {description: Packages with versions., type: list, elements: dict, returned: state is planned}
kernel_module: {description: open or proprietary., type: str, returned: always}
gpus: {description: Number of GPUs on the bus., type: int, returned: always}
loaded: {description: Version of the loaded module., type: str, returned: always}
reboot: {description: "Why the host has to be booted, or nothing.", type: str, returned: always}
module: {description: The module's file., type: str, returned: state is verified}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nvidia_packages import driver, flavour, host

SPEC = {
    "state": {"type": "str", "choices": ["planned", "verified"], "required": True},
    "version": {"type": "str", "required": True},
    "distribution": {"type": "str", "required": True},
    "source": {"type": "str", "choices": ["vendor", "distribution"], "default": "vendor"},
    "build": {"type": "str", "choices": ["dkms", "precompiled"], "default": "dkms"},
    "kernel_module": {"type": "str", "choices": ["auto", "open", "proprietary"], "default": "auto"},
    "kernel": {"type": "str", "required": True},
    "model": {"type": "str", "default": ""},
    "catalogue": {"type": "dict", "required": True},
    "rows": {"type": "list", "elements": "dict", "default": []},
    "companions": {"type": "list", "elements": "dict", "default": []},
    "secure_boot": {"type": "str", "choices": ["refuse", "enrolled"], "default": "refuse"},
    "in_use": {"type": "str", "choices": ["refuse", "allow"], "default": "refuse"},
}


def look(given, found):
    """The host as it is."""
    return driver.Situation(
        gpus=flavour.gpus(found),
        secure_boot=host.secure_boot(),
        enrolled=given["secure_boot"] == "enrolled",
        loaded=host.loaded(),
        nouveau=host.nouveau(),
        run_file=host.RUN_FILE.exists(),
        users=tuple(host.users()),
        users_allowed=given["in_use"] == "allow",
    )


def choose(module, wanted, situation):
    """Packages of the driver and of what goes with it; ends the module when the host cannot have them."""
    packages, missing = driver.packages(wanted, module.params["rows"])
    refusals = driver.refusals(wanted, situation) + ([missing] if missing else [])
    if refusals:
        module.fail_json(msg="\n".join(refusals), refusals=refusals)
    return packages + module.params["companions"]


def verify(module, run, wanted):
    """The module's file; ends the module when the kernel has none that fits."""
    found = host.modules(run, wanted.kernel)
    problem = driver.module_problem(wanted.version, wanted.module, wanted.kernel, found)
    log, built = "", False
    if problem and wanted.build == driver.DKMS and not module.check_mode:
        log, built = host.build(run, wanted.kernel), True
        found = host.modules(run, wanted.kernel)
        problem = driver.module_problem(wanted.version, wanted.module, wanted.kernel, found)
    if problem and not module.check_mode:
        module.fail_json(msg="\n".join(filter(None, [problem, log])), modules=[m.path for m in found])
    file = next((m.path for m in found if m.version == wanted.version), "")
    return {"module": file, "changed": built}


def main():
    """Observe, choose or verify."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    given = module.params
    found = flavour.devices(host.bus())
    kind = flavour.choose(given["kernel_module"], given["model"], given["catalogue"], found)
    for text in kind.warnings if given["state"] == "planned" else ():
        module.warn(text)
    if kind.refusals:
        module.fail_json(msg="\n".join(kind.refusals), refusals=list(kind.refusals))
    words = {key: given[key] for key in ("version", "source", "distribution", "build", "kernel")}
    wanted = driver.Wanted(module=kind.module, **words)
    situation = look(given, found)
    result = {
        "changed": False,
        "kernel_module": kind.module,
        "gpus": situation.gpus,
        "loaded": situation.loaded,
        "reboot": driver.reboot_reason(wanted.version, situation),
    }
    if given["state"] == "planned":
        result["packages"] = choose(module, wanted, situation)
    else:
        result.update(verify(module, lambda command: module.run_command(list(command)), wanted))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
