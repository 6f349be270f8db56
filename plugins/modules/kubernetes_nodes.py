#!/usr/bin/python
"""Labels and taints of all nodes in one round trip: observes the cluster, plans, patches."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_nodes
short_description: Labels and taints of nodes, as the inventory says them
description:
  - Runs on a control-plane host. What others put on a node stays; what we put there goes when it is no longer
    wished.
options:
  nodes:
    description: "By node: {labels: {name: value}, taints: [{key, value, effect}]}"
    type: dict
    required: true
  kubeconfig: {description: Credentials, type: path, default: /etc/kubernetes/admin.conf}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Label the nodes
  kubernetes_nodes:
    nodes: {gpu1: {labels: {topology.kubernetes.io/zone: r1}, taints: []}}
"""

RETURN = r"""
plan: {description: One line for each change (to be) made, type: list, returned: always}
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kubernetes_nodes import plan

ARGUMENTS = {
    "nodes": {"type": "dict", "required": True},
    "kubeconfig": {"type": "path", "default": "/etc/kubernetes/admin.conf"},
}


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    kubectl = ["kubectl", "--kubeconfig", module.params["kubeconfig"]]
    if module.check_mode and not Path(module.params["kubeconfig"]).exists():
        module.exit_json(changed=True, plan=["label the nodes of the cluster that is to be made"])
    code, out, err = module.run_command([*kubectl, "get", "nodes", "--output=json"])
    if code != 0:
        module.fail_json(msg=f"the nodes cannot be read: {err.strip()}", plan=[])
    patches, refusals = plan(module.params["nodes"], json.loads(out)["items"])
    if refusals and not module.check_mode:
        module.fail_json(msg="Nothing was changed: " + "; ".join(refusals), plan=[])
    for patch in () if module.check_mode else patches:
        code, _, err = module.run_command(
            [*kubectl, "patch", "node", patch.node, "--patch", json.dumps(patch.body)]
        )
        if code != 0:
            module.fail_json(msg=f"{patch.node}: {err.strip()}", plan=[])
    lines = [line for patch in patches for line in patch.lines] or refusals
    diff = {"prepared": "".join(f"{line}\n" for line in lines)} if lines else {}
    module.exit_json(changed=bool(lines), plan=lines, diff=diff)


if __name__ == "__main__":
    main()
