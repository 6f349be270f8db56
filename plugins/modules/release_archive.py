#!/usr/bin/python
"""Programs from a release archive: observes what is unpacked, plans, and switches over in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Programs from a release archive, pinned by SHA-256
description:
  - Fetches an archive, holds it against its SHA-256, and takes the named programs out of it. Nothing is
    unpacked that is not what was pinned.
  - Every release has a folder of its own; links on the path are switched over one by one, each in one step.
    The release before stays, because what runs from it goes on.
options:
  name: {description: What the release is of, type: str, required: true}
  version: {description: Version, type: str, required: true}
  url: {description: "Address of the archive (file, http or https)", type: str, required: true}
  sha256: {description: SHA-256 of the archive, type: str, required: true}
  programs: {description: Paths of programs within the archive, type: list, elements: str, required: true}
  root: {description: Parent of the folders of releases, type: path, default: /usr/local/lib/bedplate}
  links: {description: Folder of the links, type: path, default: /usr/local/bin}
  stage: {description: "Only unpack it, and leave the links as they are", type: bool, default: false}
  held:
    description: While a mark is there, another version is not switched to
    type: dict
    suboptions:
      mark: {description: A file, type: path, required: true}
      why: {description: "Why, and what to do instead", type: str, required: true}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Install containerd
  release_archive:
    name: containerd
    version: 2.3.5
    url: https://mirror.example.com/containerd/v2.3.5/containerd-2.3.5-linux-amd64.tar.gz
    sha256: 2f0a095a71e3262d0d91ff0e50e2e4ae73c3866c4d1ff6a15f341097fba3dd44
    programs: [bin/containerd, bin/containerd-shim-runc-v2, bin/ctr]
"""

RETURN = r"""
plan: {description: One line for each action (to be) taken, type: list, returned: always}
folder: {description: Where the programs of this release are, type: str, returned: success}
"""

import os
import re
import threading
from pathlib import Path, PurePosixPath

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_store.model import FileEntry, StoreError
from ansible.module_utils.model_store.sources import source_of
from ansible.module_utils.model_store.transfer import fetch
from ansible.module_utils.release_archive import apply
from ansible.module_utils.release_archive.plan import Link, Unpack, Wish, plan

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "sha256": {"type": "str", "required": True},
    "programs": {"type": "list", "elements": "str", "required": True},
    "root": {"type": "path", "default": "/usr/local/lib/bedplate"},
    "links": {"type": "path", "default": "/usr/local/bin"},
    "stage": {"type": "bool", "default": False},
    "held": {
        "type": "dict",
        "options": {"mark": {"type": "path", "required": True}, "why": {"type": "str", "required": True}},
    },
}


def download(url, sha256, target):
    """The archive, resumed where its connection breaks. Nobody pinned its size: the source says it. Raises
    StoreError."""
    base, _, name = url.rpartition("/")
    source = source_of({"url": base})
    stream = source.open(name, 0)
    size = stream.total
    stream.close()
    if size is None:
        raise StoreError(f"{base} does not say how large {name} is")
    fetch(FileEntry(name, size, sha256), name, target, [source], threading.Event())


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    os.umask(0o022)
    if not re.fullmatch(r"[0-9a-f]{64}", params["sha256"]):
        module.fail_json(msg=f"Nothing was changed: {params['sha256']!r} is no SHA-256", plan=[])
    members = {PurePosixPath(path).name: path for path in params["programs"]}
    places = apply.Places(Path(params["root"]) / params["name"], Path(params["links"]))
    wish = Wish(f"{params['version']}-{params['sha256'][:12]}", tuple(members))
    held = params["held"]["why"] if params["held"] and Path(params["held"]["mark"]).exists() else ""
    seen = apply.observe(places, wish.programs)
    actions, refusals = plan(wish, seen, stage=params["stage"], held=held)
    if refusals:
        module.fail_json(msg="Nothing was changed. " + "; ".join(refusals), plan=[])
    try:
        for action in () if module.check_mode else actions:
            if isinstance(action, Unpack):
                apply.unpack(
                    action, places, members, lambda path: download(params["url"], params["sha256"], path)
                )
            elif isinstance(action, Link):
                apply.link(action, places)
            else:
                apply.drop(action, places)
    except (apply.BadArchive, StoreError, OSError, ValueError) as problem:
        module.fail_json(msg=f"{problem}. The programs are as they were", plan=[])
    lines = [action.line for action in actions]
    diff = {"prepared": "".join(f"+ {line}\n" for line in lines)} if lines else {}
    module.exit_json(changed=bool(actions), plan=lines, diff=diff, folder=str(places.root / wish.key))


if __name__ == "__main__":
    main()
