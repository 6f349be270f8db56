#!/usr/bin/python
"""Asks a member of the control plane what is wrong with its cluster. Changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_doctor
short_description: Say what is wrong with a Kubernetes cluster
description:
  - Reads nodes, pods of kube-system, etcd's members, kubeadm's certificates and the snapshots of etcd.
options:
  nodes: {description: Hosts that should be nodes, type: list, elements: str, required: true}
  members: {description: Hosts that should be members of etcd, type: list, elements: str, required: true}
  version: {description: Version of Kubernetes, type: str, required: true}
  etcd: {description: How etcdctl reaches this host's member, type: list, elements: str, required: true}
  snapshots: {description: Folder of the snapshots, type: path, required: true}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Ask
  kubernetes_doctor:
    nodes: [ctl1, gpu1]
    members: [ctl1]
    version: 1.37.0
    etcd: [--endpoints=https://127.0.0.1:2379]
    snapshots: /var/lib/bedplate/etcd-snapshots
"""

RETURN = r"""
findings: {description: What is wrong and what to do, type: list, returned: success}
asked: {description: What was asked for, type: list, returned: success}
"""

import json
from datetime import datetime
from pathlib import Path

from ansible.module_utils import kubernetes_doctor as doctor
from ansible.module_utils.basic import AnsibleModule

KUBECTL = [
    "kubectl",
    "--kubeconfig=/etc/kubernetes/admin.conf",
    "--request-timeout=60s",
    "get",
    "--output=json",
]
ARGUMENTS = {
    "nodes": {"type": "list", "elements": "str", "required": True},
    "members": {"type": "list", "elements": "str", "required": True},
    "version": {"type": "str", "required": True},
    "etcd": {"type": "list", "elements": "str", "required": True},
    "snapshots": {"type": "path", "required": True},
}


class Silent(Exception):
    """A program of the cluster did not answer; its text says which, and what it said."""


def ask(module, *command, must=True):
    """What a program says, as JSON. Raises Silent."""
    code, out, err = module.run_command(list(command))
    if code and must:
        raise Silent(f"{' '.join(command[:1])} did not answer: {(err or out).strip()[-300:]}")
    return json.loads(out or "[]")


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, now = module.params, datetime.now(doctor.UTC)
    etcdctl = ["etcdctl", *params["etcd"], "--write-out=json"]
    taken = [file.stat().st_mtime for file in Path(params["snapshots"]).glob("etcd-*.db")]
    questions = {
        "nodes": lambda: doctor.nodes(
            ask(module, *KUBECTL, "nodes")["items"], params["nodes"], params["version"]
        ),
        "pods": lambda: doctor.pods(ask(module, *KUBECTL, "pods", "--namespace=kube-system")["items"], now),
        "etcd": lambda: doctor.etcd(
            ask(module, *etcdctl, "member", "list")["members"],
            ask(module, *etcdctl, "endpoint", "health", "--cluster", must=False),
            params["members"],
        ),
        "certificates": lambda: doctor.certificates(
            ask(module, "kubeadm", "certs", "check-expiration", "--output=json"), now
        ),
        "snapshots": lambda: doctor.snapshots(taken, now),
    }
    findings = []
    for question in questions.values():
        try:
            findings += question()
        except Silent as error:
            findings.append(str(error))
    module.exit_json(changed=False, findings=findings, asked=list(questions))


if __name__ == "__main__":
    main()
