#!/usr/bin/python
"""Models on a host: observes the store, plans, prints the plan in check mode, carries it out otherwise."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_store
short_description: Models on a host, whole and right or not there at all
description:
  - Brings models to a folder, each pinned by the SHA-256 of its manifest, which pins every file.
  - A model is put together beside its place on the same filesystem, hashed while it is written, made durable,
    renamed to its place in one step, and read-only then. A run that is cut leaves what came aside, and the
    next one continues there.
  - Refuses what does not fit before the first byte comes. Never removes or replaces what a process has open.
options:
  store: {description: Folder of the models, type: path, required: true}
  models:
    description: The models that shall be there.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: "Folder relative to the store, and to every source", type: str, required: true}
      manifest: {description: SHA-256 of the manifest, type: str, required: true}
  sources:
    description: Where models come from, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      url: {description: "file:///PATH, http(s)://HOST/PATH or s3://BUCKET/PREFIX", type: str, required: true}
      endpoint: {description: Address of the object store, type: str}
      region: {description: Region of the object store, type: str}
      access_key: {description: Key of the object store, type: str}
      secret_key: {description: Secret of the object store, type: str}
      token: {description: Bearer token of a mirror, type: str}
      ca: {description: File with the authorities that vouch for it, type: path}
  cache: {description: Folder on a second tier that keeps files by content, type: path}
  cache_free: {description: Bytes that stay free there, type: int, default: 0}
  free: {description: Bytes that stay free where the store is, type: int, default: 0}
  prune: {description: When unlisted models go, type: str, choices: [never, space, always], default: never}
  keep: {description: Paths that stay although they are not listed, type: list, elements: str, default: []}
  verify: {description: Sizes and stamps or all bytes, type: str, choices: [quick, full], default: quick}
  jobs: {description: Files at a time, type: int, default: 4}
  mounts:
    description: Mount points of tiers on which store and cache lie. One that is not mounted is refused.
    type: list
    elements: path
    default: []
  results: {description: File for what came and from where, type: path}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Bring the models
  model_store:
    store: /srv/hot/models
    models:
      - path: deepseek-ai/DeepSeek-R1-Distill-Qwen-7B/916b56a44061fd5cd7d6a8fb632557ed4f724f60
        manifest: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    sources:
      - {url: "https://mirror.example.com/models"}
"""

RETURN = r"""
plan: {description: One line for each action (to be) taken, type: list, returned: always}
models: {description: "Models that came: path, bytes, files, from, seconds", type: list, returned: success}
refusals: {description: "Why nothing was done: subject, found, remedy", type: list, returned: failure}
notes: {description: What a person should know, type: list, returned: success}
"""

import json
import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.model_store import converge
from ansible.module_utils.model_store.manifest import DIGEST, safe_path
from ansible.module_utils.model_store.model import Model, Policy, StoreError
from ansible.module_utils.model_store.places import OWN, Places
from ansible.module_utils.model_store.sources import source_of

MODEL = {"path": {"type": "str", "required": True}, "manifest": {"type": "str", "required": True}}
SOURCE = {
    "url": {"type": "str", "required": True},
    "endpoint": {"type": "str"},
    "region": {"type": "str"},
    "access_key": {"type": "str", "no_log": True},
    "secret_key": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
    "ca": {"type": "path"},
}
ARGUMENTS = {
    "store": {"type": "path", "required": True},
    "models": {"type": "list", "elements": "dict", "required": True, "options": MODEL},
    "sources": {"type": "list", "elements": "dict", "default": [], "options": SOURCE},
    "cache": {"type": "path"},
    "cache_free": {"type": "int", "default": 0},
    "free": {"type": "int", "default": 0},
    "prune": {"type": "str", "choices": ["never", "space", "always"], "default": "never"},
    "keep": {"type": "list", "elements": "str", "default": []},
    "verify": {"type": "str", "choices": ["quick", "full"], "default": "quick"},
    "jobs": {"type": "int", "default": 4},
    "mounts": {"type": "list", "elements": "path", "default": []},
    "results": {"type": "path"},
}


def _model(words):
    """A wished model. Raises ValueError."""
    path, digest = words["path"], words["manifest"]
    if not safe_path(path) or path.split("/")[0] == OWN:
        raise ValueError(f"{path!r} is no path that a model may have: write it like OWNER/NAME/REVISION")
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{path}: {digest!r} is no SHA-256; `bedplate models manifest` says it")
    return Model(path, digest)


def _mounted(mounts, models):
    """A tier that is not mounted would let models fill the system disk. Raises ValueError."""
    for mount in mounts if models else ():
        if not Path(mount).is_mount():
            raise ValueError(f"{mount} is not mounted, and models would fill the system disk. Mount the tier")


def _write(file, models, came):
    """What is there now and how it came; a model that was there already keeps what was said of it."""
    try:
        known = {entry["path"]: entry for entry in json.loads(Path(file).read_text())["models"]}
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    known.update({entry["path"]: {**entry, "time": stamp} for entry in came})
    wanted = [known[m.path] for m in models if known.get(m.path, {}).get("manifest") == m.digest]
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    part = Path(f"{file}.part")
    part.write_text(json.dumps({"models": wanted}, indent=2) + "\n")
    part.replace(file)


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    os.umask(0o022)
    try:
        _mounted(params["mounts"], params["models"])
        models = [_model(words) for words in params["models"]]
        sources = [source_of(words) for words in params["sources"]]
        policy = Policy(params["prune"], frozenset(params["keep"]), params["free"])
        places = Places(Path(params["store"]), Path(params["cache"]) if params["cache"] else None)
        settings = converge.Settings(params["jobs"], params["verify"] == "full", params["cache_free"])
        result = converge.converge(models, policy, places, sources, settings, check=module.check_mode)
    except converge.Refused as refused:
        refusals = [vars(refusal) for refusal in refused.refusals]
        module.fail_json(msg=f"Nothing was changed.\n{refused}", refusals=refusals, plan=[])
    except ValueError as problem:
        module.fail_json(msg=f"Nothing was changed: {problem}", plan=[])
    except (StoreError, OSError) as problem:
        module.fail_json(msg=f"{problem}", plan=[])
    for note in (*result.plan.notes, *result.done.notes):
        module.warn(note)
    if params["results"] and result.done.models:
        _write(params["results"], models, result.done.models)
    lines = result.plan.lines
    module.exit_json(
        changed=bool(lines),
        plan=lines,
        models=result.done.models,
        notes=[*result.plan.notes, *result.done.notes],
        diff={"prepared": "".join(f"+ {line}\n" for line in lines)} if lines else {},
    )


if __name__ == "__main__":
    main()
