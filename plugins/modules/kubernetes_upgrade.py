#!/usr/bin/python
"""Says how a cluster comes to another version, and what is next at one host. Changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_upgrade
short_description: Plan how a Kubernetes cluster comes to another version
description:
  - Reads versions and health of every node from the cluster, and answers with the whole course, or with the
    steps of one host when it is that host's turn. Refuses to go back, to skip a minor version, and to begin
    while another node is down.
options:
  target: {description: The version to come to, type: str, required: true}
  order: {description: "Hosts, in the order in which they come", type: list, elements: str, required: true}
  host: {description: The host whose turn it should be, type: str}
  done: {description: Steps that this host has just done; what is still to come is answered, type: list,
         elements: str}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Plan the whole way
  kubernetes_upgrade:
    target: 1.37.0
    order: "{{ groups['kubernetes'] }}"
"""

RETURN = r"""
steps: {description: "Steps, as {host, verb}", type: list, returned: success}
version: {description: The version that the cluster has, type: str, returned: success}
waits: {description: What is still to come after the steps that were done, type: list, returned: success}
"""

import json

from ansible.module_utils import kubernetes_upgrade as upgrade
from ansible.module_utils.basic import AnsibleModule

KUBECTL = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=60s", "get"]
CONFIGURATION = ["configmap", "kubeadm-config", "--output=jsonpath={.data.ClusterConfiguration}"]
ARGUMENTS = {
    "target": {"type": "str", "required": True},
    "order": {"type": "list", "elements": "str", "required": True},
    "host": {"type": "str"},
    "done": {"type": "list", "elements": "str"},
}


class Silent(Exception):
    """The cluster did not answer; its text says what kubectl said."""


def ask(module, *words):
    """What kubectl says. Raises Silent."""
    code, out, error = module.run_command([*KUBECTL, "--namespace=kube-system", *words])
    if code:
        raise Silent(f"the cluster does not answer: {error.strip()[-300:]}")
    return out


def observe(module):
    """The cluster as it is. Raises Silent, ValueError, KeyError."""
    nodes = json.loads(ask(module, "nodes", "--output=json"))["items"]
    pods = json.loads(ask(module, "pods", "--output=json"))["items"]
    return upgrade.read(ask(module, *CONFIGURATION), nodes, pods, module.params["order"])


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        target, cluster = upgrade.version(params["target"]), observe(module)
    except (Silent, ValueError, KeyError) as problem:
        if params["done"]:  # an API server that is new may be away for a moment
            module.exit_json(changed=False, steps=[], waits=[str(problem)])
        module.fail_json(msg=f"Nothing was changed: {problem}")
    if params["done"]:
        steps = [upgrade.Step(params["host"], verb) for verb in params["done"]]
        waits = [text for step in steps for text in upgrade.waits_for(target, cluster, step)]
        module.exit_json(changed=False, steps=[], waits=waits)
    refusals = upgrade.refusals(target, cluster)
    if refusals:
        module.fail_json(msg="Nothing was changed: " + "; ".join(refusals))
    steps = upgrade.course(target, cluster)
    if params["host"]:
        steps = upgrade.turn(steps, params["host"])
    said = [{"host": step.host, "verb": step.verb} for step in steps]
    module.exit_json(changed=False, steps=said, waits=[], version=upgrade.shown(cluster.version))


if __name__ == "__main__":
    main()
