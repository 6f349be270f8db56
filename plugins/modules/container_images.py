#!/usr/bin/python
"""Images from archives: reads what archives hold and what containerd has, plans, imports."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_images
short_description: Import archives of container images into containerd
description:
  - Imports every OCI archive whose images containerd does not have by name and digest, and pins them, so that
    kubelet does not remove what nobody could pull again.
options:
  archives:
    description: Shell patterns of archives on the host. One that matches no file is refused.
    type: list
    elements: str
    required: true
  namespace: {description: Namespace of containerd, type: str, default: k8s.io}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Import the images of every node
  container_images:
    archives: [/srv/bundle/images/node/*.tar]
"""

RETURN = r"""
plan: {description: One line for each action (to be) taken, type: list, returned: always}
"""

import glob
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.container_images import PINNED, BadArchive, Import, listed, plan, read

ARGUMENTS = {
    "archives": {"type": "list", "elements": "str", "required": True},
    "namespace": {"type": "str", "default": "k8s.io"},
}


def present(module, ctr):
    """What containerd has. In check mode it may not be there yet."""
    code, out, err = module.run_command([*ctr, "images", "ls"])
    if code != 0 and module.check_mode:
        return {}
    if code != 0:
        module.fail_json(msg=f"containerd does not answer: {(err or out).strip()}", plan=[])
    return listed(out)


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    ctr = ["ctr", "--namespace", module.params["namespace"]]
    found = {pattern: sorted(glob.glob(pattern)) for pattern in module.params["archives"]}  # noqa: PTH207
    refusals = [f"no archive is called {pattern}" for pattern, files in found.items() if not files]
    try:
        archives = [read(Path(path)) for path in dict.fromkeys(p for files in found.values() for p in files)]
    except BadArchive as problem:
        archives, refusals = [], [*refusals, str(problem)]
    actions, clashes = plan(archives, present(module, ctr) if archives else {})
    if refusals + clashes:
        module.fail_json(msg="Nothing was changed: " + "; ".join(refusals + clashes), plan=[])
    for action in () if module.check_mode else actions:
        command = (
            ["images", "import", action.path]
            if isinstance(action, Import)
            else ["images", "label", action.name, PINNED]
        )
        code, out, err = module.run_command([*ctr, *command])
        if code != 0:
            module.fail_json(msg=f"{action.line}: {(err or out).strip()}", plan=[])
    lines = [action.line for action in actions]
    diff = {"prepared": "".join(f"+ {line}\n" for line in lines)} if lines else {}
    module.exit_json(changed=bool(actions), plan=lines, diff=diff)


if __name__ == "__main__":
    main()
