#!/usr/bin/python
"""Makes apt take packages from a mirror and from nowhere else, or from where they came before."""

DOCUMENTATION = r"""
module: apt_sources
short_description: Take packages from a mirror and from nowhere else
description:
  - Writes one file of sources and sets every other file aside that has a source outside the mirror. A file
    set aside keeps its content under a name that apt ignores.
  - Without a mirror, the files that were set aside come back and ours goes. A host that would be left without
    any source keeps its own, and the task fails.
  - Supports check mode and diff. Package lists are not fetched.
author: [Bedplate]
options:
  mirror: {description: Address below which every source lies. Empty means no mirror., type: str, default: ""}
  content: {description: "Our sources, in deb822 form.", type: str, default: ""}
  name: {description: Our file is C(sources.list.d/NAME.sources)., type: str, default: bedplate}
  folder: {description: Folder of apt's configuration., type: path, default: /etc/apt}
"""

EXAMPLES = r"""
- name: Take packages from the mirror
  apt_sources:
    mirror: https://mirror.example.com
    content: |
      Types: deb
      URIs: https://mirror.example.com/debian
      Suites: bookworm
      Components: main
      Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

RETURN = r"""
actions: {description: What was done (in check mode - would be)., type: list, elements: str, returned: always}
"""

import os
import tempfile
from pathlib import Path

from ansible.module_utils.apt_sources import ASIDE, READ, plan
from ansible.module_utils.basic import AnsibleModule


def observe(folder):
    """Content of every file that apt reads, or read until we set it aside, by path."""
    files = [folder / "sources.list", folder / f"sources.list{ASIDE}", *folder.glob("sources.list.d/*")]
    suffixes = (*READ, *(suffix + ASIDE for suffix in READ))
    return {
        str(file): file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.name.endswith(suffixes) and file.is_file()
    }


def apply(module, action):
    """One step; each leaves apt with a whole file."""
    path = Path(action.path)
    if action.kind == "rename":
        path.rename(action.after)
    elif action.kind == "remove":
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(action.after)
        Path(temporary).chmod(0o644)
        module.atomic_move(temporary, action.path)


def shown(action):
    """The step as a diff."""
    after = {"write": action.after, "rename": action.before, "remove": ""}[action.kind]
    header = action.after if action.kind == "rename" else action.path
    return {
        "before": action.before,
        "after": after,
        "before_header": action.path,
        "after_header": f"{header} ({action.kind})",
    }


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(
        argument_spec={
            "mirror": {"type": "str", "default": ""},
            "content": {"type": "str", "default": ""},
            "name": {"type": "str", "default": "bedplate"},
            "folder": {"type": "path", "default": "/etc/apt"},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    ours = str(folder / "sources.list.d" / f"{module.params['name']}.sources")
    actions, refusal = plan(ours, module.params["content"], module.params["mirror"], observe(folder))
    if refusal:
        module.fail_json(msg=f"Nothing was changed: {refusal}.")
    if not module.check_mode:
        for action in actions:
            apply(module, action)
    module.exit_json(
        changed=bool(actions), actions=[str(one) for one in actions], diff=[shown(one) for one in actions]
    )


if __name__ == "__main__":
    main()
