#!/usr/bin/python
"""Holds installed packages at their version, by pattern."""

DOCUMENTATION = r"""
module: package_holds
short_description: Hold installed packages at their version, by pattern
description:
  - Sets dpkg's selection C(hold) for every installed package whose name matches, so no upgrade replaces it.
  - A hold is visible with C(apt-mark showhold) and can be lifted with C(apt-mark unhold).
author: [Bedplate]
options:
  held: {description: Shell patterns of names to hold., type: list, elements: str, default: []}
  released:
    description: Shell patterns of names whose hold is lifted. A name that O(held) matches too stays held.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Hold the kernel
  package_holds:
    held: [linux-image-*]
"""

RETURN = r"""
held: {description: Packages that are held from now on., type: list, elements: str, returned: always}
released: {description: Packages that are no longer held., type: list, elements: str, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.package_holds import parse, plan

QUERY = ["dpkg-query", "-W", "-f", r"${binary:Package}\t${db:Status-Want}\t${db:Status-Status}\n"]


def main():
    """Observe, plan, apply."""
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(argument_spec={"held": names, "released": names}, supports_check_mode=True)
    listing = module.run_command(QUERY, check_rc=True)[1]
    hold, release = plan(parse(listing), module.params["held"], module.params["released"])
    selections = [f"{name} hold" for name in hold] + [f"{name} install" for name in release]
    if selections and not module.check_mode:
        module.run_command(["dpkg", "--set-selections"], data="\n".join(selections) + "\n", check_rc=True)
    module.exit_json(changed=bool(selections), held=hold, released=release)


if __name__ == "__main__":
    main()
