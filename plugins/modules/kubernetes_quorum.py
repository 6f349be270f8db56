#!/usr/bin/python
"""Asks etcd whether a member may join, has joined, or may stop. Changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_quorum
short_description: Say whether etcd keeps its majority
description:
  - Reads the members of etcd and their health, and says what stands against a step. It never waits; a task
    that may wait asks again (C(until)).
options:
  host: {description: The host that joins or stops, type: str, required: true}
  question:
    description: What is about to be done, or has been done
    type: str
    choices: [before_join, after_join, before_stop]
    required: true
  etcd: {description: How etcdctl reaches a member, type: list, elements: str, required: true}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Wait until it votes
  kubernetes_quorum:
    host: "{{ inventory_hostname }}"
    question: after_join
    etcd: [--endpoints=https://127.0.0.1:2379]
  register: __asked
  until: not __asked.against
  retries: 60
  delay: 5
"""

RETURN = r"""
against: {description: What stands against it; nothing when it may be done, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kubernetes_quorum import QUESTIONS, read

ARGUMENTS = {
    "host": {"type": "str", "required": True},
    "question": {"type": "str", "choices": list(QUESTIONS), "required": True},
    "etcd": {"type": "list", "elements": "str", "required": True},
}


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    etcdctl = ["etcdctl", *params["etcd"], "--write-out=json"]
    code, listed, error = module.run_command([*etcdctl, "member", "list"])
    if code:
        against = [f"etcd did not say who its members are: {error.strip()[-300:]}"]
    else:
        # It ends with 1 when one member is silent, and says which on its output all the same.
        health = module.run_command([*etcdctl, "endpoint", "health", "--cluster"])[1]
        try:
            against = QUESTIONS[params["question"]](read(listed, health), params["host"])
        except (ValueError, KeyError) as problem:
            against = [f"etcd did not answer as expected: {problem}"]
    module.exit_json(changed=False, against=against)


if __name__ == "__main__":
    main()
