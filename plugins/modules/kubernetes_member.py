#!/usr/bin/python
"""Makes a host a member of a cluster by kubeadm: observes, plans, and resets only what it began itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_member
short_description: Make a host a member of a Kubernetes cluster by kubeadm
description:
  - Runs C(kubeadm init) or C(kubeadm join) once. What a run that was cut off left is reset and made again; a
    host that holds anything of another cluster is refused.
  - The configuration, which may hold a token, lies in a memory file system while kubeadm reads it.
options:
  verb: {description: What kubeadm does, type: str, choices: [init, join], required: true}
  config: {description: Configuration of kubeadm, type: str, required: true}
  discovery: {description: Kubeconfig by which a joining host finds the cluster, type: str}
  state: {description: Folder of the marks, type: path, required: true}
  known: {description: "Whether the cluster has the host as a node, where that was asked", type: bool}
  authority: {description: "Certificate of that cluster's authority", type: str}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Make the first member
  kubernetes_member:
    verb: init
    config: "{{ lookup('ansible.builtin.template', 'kubeadm.yml.j2') }}"
    state: /var/lib/bedplate/kubernetes
"""

RETURN = r"""
plan: {description: Steps (to be) taken, type: list, returned: always}
"""

import os
import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kubernetes_member import REMNANTS, SECRETS, Host, meaning, plan

RUN = Path("/run/bedplate")
LINES = 25  # of kubeadm's last words
ARGUMENTS = {
    "verb": {"type": "str", "choices": ["init", "join"], "required": True},
    "config": {"type": "str", "required": True, "no_log": True},
    "discovery": {"type": "str", "no_log": True},
    "state": {"type": "path", "required": True},
    "known": {"type": "bool"},
    "authority": {"type": "str"},
}
AUTHORITY = Path("/etc/kubernetes/pki/ca.crt")


def observe(params):
    """The host as it is."""
    state = Path(params["state"])
    remnants = tuple(path for path in REMNANTS if Path(path).exists())
    trusted = AUTHORITY.read_text().strip() if AUTHORITY.exists() else ""
    same = trusted == (params["authority"] or trusted).strip()
    return Host((state / "begun").exists(), (state / "done").exists(), remnants, params["known"], same)


def mark(path):
    """A mark that outlasts a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def kubeadm(module, *words):
    """Run it; ends the module with its last words."""
    code, out, err = module.run_command(["kubeadm", *words])
    if code != 0:
        said = "\n".join((out + err).strip().splitlines()[-LINES:])
        means = meaning(said)
        module.fail_json(
            msg=f"{means and means + '. '}kubeadm {words[0]} ended with {code}:\n{said}", plan=[]
        )


def run(module):
    """kubeadm with its configuration, which is gone afterwards."""
    params = module.params
    RUN.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=RUN))
    try:
        (folder / "kubeadm.yml").write_text(params["config"].replace("@FOLDER@", str(folder)))
        (folder / "discovery.conf").write_text(params["discovery"] or "")
        kubeadm(module, params["verb"], "--config", str(folder / "kubeadm.yml"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    for text in (module.params["config"], module.params["discovery"] or ""):
        module.no_log_values.update(SECRETS.findall(text))
    state = Path(module.params["state"])
    os.umask(0o077)
    steps, refusals = plan(observe(module.params))
    if refusals:
        module.fail_json(msg="Nothing was changed: " + "; ".join(refusals), plan=[])
    apply = {
        "reset": lambda: kubeadm(module, "reset", "--force"),
        "begin": lambda: mark(state / "begun"),
        "run": lambda: run(module),
        "finish": lambda: mark(state / "done"),
    }
    for step in () if module.check_mode else steps:
        apply[step]()
    module.exit_json(changed=bool(steps), plan=steps)


if __name__ == "__main__":
    main()
