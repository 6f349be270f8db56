#!/usr/bin/python
"""Starts programs of static pods again whose files are newer than they are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_programs
short_description: Start programs of the control plane again that read older files
description:
  - A static pod is not told when a file that it mounts has changed. This ends the program's process; kubelet
    starts it again at once, and this waits until it serves. One program at a time.
options:
  programs:
    description: Programs in the order in which they are started again
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name of the process, type: str, required: true}
      files: {description: Files that it reads when it starts, type: list, elements: str, required: true}
      well: {description: Command that ends with 0 once it serves, type: list, elements: str}
  changing: {description: Files that are being written in this run, type: list, elements: str, default: []}
  seconds: {description: Seconds that each has until it serves, type: int, default: 360}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Let the API server read its policies
  kubernetes_programs:
    programs:
      - name: kube-apiserver
        files: [/etc/kubernetes/bedplate/audit-policy.yml]
        well: [kubectl, --kubeconfig=/etc/kubernetes/admin.conf, get, --raw=/readyz]
"""

RETURN = r"""
started: {description: Programs that were (or would be) started again, type: list, returned: always}
"""

import os
import signal
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kubernetes_programs import NAME, Program, stale, started

PROGRAM = {
    "name": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "str", "required": True},
    "well": {"type": "list", "elements": "str"},
}
ARGUMENTS = {
    "programs": {"type": "list", "elements": "dict", "required": True, "options": PROGRAM},
    "changing": {"type": "list", "elements": "str", "default": []},
    "seconds": {"type": "int", "default": 360},
}
PAUSE = 2  # seconds between two questions


def running():
    """Process number and beginning by process name."""
    boot = next(
        float(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime")
    )
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            since = started((folder / "stat").read_text(), boot, os.sysconf("SC_CLK_TCK"))
        except OSError:
            continue  # it has ended meanwhile
        found[name] = (int(folder.name), since)
    return found


def start_again(module, program, number):
    """End it, and wait for the one that kubelet starts. Ends the module when none serves in time."""
    os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + module.params["seconds"]
    while time.monotonic() < deadline:
        time.sleep(PAUSE)
        new = running().get(program["name"][:NAME])
        well = program["well"]
        if new and new[0] != number and (not well or module.run_command(well)[0] == 0):
            return
    module.fail_json(
        msg=f"{program['name']} does not serve again after {module.params['seconds']} s; look at: "
        "journalctl -u kubelet, /var/log/pods",
        started=[],
    )


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    programs = {one["name"]: one for one in module.params["programs"]}
    wishes = [Program(name, tuple(one["files"])) for name, one in programs.items()]
    processes = running()
    begun = {name: processes[name[:NAME]][1] for name in programs if name[:NAME] in processes}
    paths = [Path(file) for wish in wishes for file in wish.files]
    written = {str(path): path.stat().st_mtime for path in paths if path.exists()}
    names = stale(wishes, begun, written, module.params["changing"] if module.check_mode else ())
    for name in () if module.check_mode else names:
        start_again(module, programs[name], processes[name[:NAME]][0])
    module.exit_json(changed=bool(names), started=names)


if __name__ == "__main__":
    main()
