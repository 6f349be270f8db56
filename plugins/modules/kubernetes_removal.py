#!/usr/bin/python
"""Says how a host leaves a cluster, or why it must not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_removal
short_description: Plan how a host leaves a Kubernetes cluster
description:
  - Changes nothing. Refuses to take the last member of etcd, or one without which no majority would be left,
    and whatever is not confirmed in the words that it asks for.
options:
  host: {description: The host that goes, type: str, required: true}
  others: {description: Members of the control plane beside it, type: list, elements: str, required: true}
  told: {description: What one of them said of the node and of etcd, type: str, default: ""}
  gone: {description: The host is dead and stays so, type: bool, default: false}
  confirm: {description: The words that a refusal asked for, type: str, default: ""}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Plan the removal
  kubernetes_removal:
    host: "{{ inventory_hostname }}"
    others: [ctl2, ctl3]
    told: "{{ __told.stdout }}"
    confirm: "{{ confirm | default('') }}"
"""

RETURN = r"""
steps: {description: Steps to be taken, type: list, returned: success}
member: {description: Its id in etcd, type: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kubernetes_removal import plan, read

ARGUMENTS = {
    "host": {"type": "str", "required": True},
    "others": {"type": "list", "elements": "str", "required": True},
    "told": {"type": "str", "default": ""},
    "gone": {"type": "bool", "default": False},
    "confirm": {"type": "str", "default": ""},
}


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        cluster = read(params["told"]) if params["others"] else None
    except (ValueError, KeyError) as error:
        module.fail_json(
            msg=f"Nothing was changed: {params['others'][0]} did not answer as expected: {error}"
        )
    steps, refusals = plan(params["host"], params["others"], cluster, params["gone"], params["confirm"])
    if refusals:
        module.fail_json(msg="Nothing was changed: " + "; ".join(refusals))
    member = (cluster.members or {}).get(params["host"], "")
    module.exit_json(changed=False, steps=steps, member=member)


if __name__ == "__main__":
    main()
