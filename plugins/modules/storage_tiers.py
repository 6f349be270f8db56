#!/usr/bin/python
"""Disks as storage tiers: observes the host, plans, prints the plan in check mode, applies it otherwise."""

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_tiers
short_description: Disks of a host as storage tiers
description:
  - Makes md RAID arrays, optional LUKS2 containers, and XFS filesystems aligned to the stripe, and mounts
    them.
  - Uses only disks that are empty, or that carry an array of its own. Everything else is refused by name,
    with what was found and what to do; with one refusal nothing at all is changed.
  - Adopts its own arrays, gives a degraded one an empty disk of the right class, and finishes what a cut run
    began. It never grows, reshapes or wipes anything.
options:
  tiers:
    description: The tiers of the host.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: 1 to 18 of a-z 0-9 and -, type: str, required: true}
      raid: {description: md RAID level, type: int, choices: [0, 1, 5, 6, 10], required: true}
      mount: {description: Mount point, type: str, required: true}
      class: {description: Class of its disks, type: str, choices: [nvme, ssd, hdd]}
      count: {description: Exact number of disks of that class, type: int}
      disks: {description: "Serial numbers, in place of class and count", type: list, elements: str}
      encrypt: {description: LUKS2 below the filesystem, type: bool, default: false}
      chunk: {description: Chunk of the array such as 128KiB, type: str}
      read_ahead: {description: Read-ahead of the array such as 4MiB, type: str}
      promise: {description: What the tier must reach; judged by storage_acceptance, type: dict}
  hardware_disks:
    description: >-
      What the inventory says of the disks (C(serial), C(class), C(use)). Those with C(use=system) are never
      touched, and a class that differs from the kernel's is refused.
    type: list
    elements: dict
    default: []
  mount_options:
    description: Options in /etc/fstab
    type: str
    default: noatime,nofail,x-systemd.device-timeout=10min
  initramfs: {description: Make the initial RAM disk anew when mdadm.conf changes, type: bool, default: true}
  state: {description: Folder of the records, type: path, default: /var/lib/bedplate/storage_tiers}
  keys: {description: Folder of the key files, type: path, default: /etc/bedplate/storage_tiers}
  results: {description: File with what acceptance measured, type: path, default: ""}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Make the tiers
  storage_tiers:
    tiers:
      - {name: hot, class: nvme, count: 4, raid: 5, mount: /srv/hot}
      - {name: warm, disks: [S6Z0NX0W200001, S6Z0NX0W200002], raid: 1, mount: /srv/warm, encrypt: true}
"""

RETURN = r"""
plan: {description: One line for each action (to be) taken, type: list, returned: always}
actions: {description: The same for programs, type: list, returned: always}
refusals: {description: "Why nothing was done: tier, device, found, remedy", type: list, returned: failure}
notes: {description: What a person should look at, type: list, returned: always}
created: {description: Tiers whose filesystem was made, type: list, returned: success}
unmeasured: {description: Tiers that acceptance has not measured yet, type: list, returned: success}
headers: {description: Encrypted tiers whose header has no backup as it is, type: list, returned: success}
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.storage_tiers import actions, headers, wish
from ansible.module_utils.storage_tiers.apply import Changed
from ansible.module_utils.storage_tiers.choose import Hardware
from ansible.module_utils.storage_tiers.converge import Refused, converge
from ansible.module_utils.storage_tiers.observe import Places, ToolFailed
from ansible.module_utils.storage_tiers.plan import Settings

TIER = {
    "name": {"type": "str", "required": True},
    "raid": {"type": "int", "choices": [0, 1, 5, 6, 10], "required": True},
    "mount": {"type": "str", "required": True},
    "class": {"type": "str", "choices": ["nvme", "ssd", "hdd"]},
    "count": {"type": "int"},
    "disks": {"type": "list", "elements": "str"},
    "encrypt": {"type": "bool", "default": False},
    "chunk": {"type": "str"},
    "read_ahead": {"type": "str"},
    "promise": {"type": "dict"},
}
ARGUMENTS = {
    "tiers": {"type": "list", "elements": "dict", "required": True, "options": TIER},
    "hardware_disks": {"type": "list", "elements": "dict", "default": []},
    "mount_options": {"type": "str", "default": Settings.mount_options},
    "initramfs": {"type": "bool", "default": True},
    "state": {"type": "path", "default": str(Places.state)},
    "keys": {"type": "path", "default": str(Places.keys), "no_log": False},
    "results": {"type": "path", "default": ""},
}


def _settings(params):
    disks = params["hardware_disks"]
    hardware = Hardware(
        classes={str(d["serial"]): str(d["class"]) for d in disks if d.get("class")},
        system=frozenset(str(d["serial"]) for d in disks if d.get("use") == "system"),
    )
    return Settings(hardware, params["keys"], params["mount_options"], params["initramfs"])


def _diffs(done):
    """What check mode shows is what the next run does: the plan, then every file that it writes."""
    if not done:
        return []
    diffs = [{"prepared": "".join(f"+ {action.line}\n" for action in done)}]
    for action in done:
        if isinstance(action, actions.WriteFile):
            header = {"before_header": action.path, "after_header": action.path}
            diffs.append({"before": action.before, "after": action.after, **header})
    return diffs


def _unmeasured(host, path):
    """Tiers without a measurement of their present filesystem."""
    try:
        measured = {t["filesystem"] for t in json.loads(Path(path).read_text())["tiers"]}
    except (OSError, ValueError, KeyError, TypeError):
        measured = set()
    return [r.tier for r in host.records if r.ready and r.fs_uuid not in measured]


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    places = Places(Path(params["state"]), Path(params["keys"]))
    try:
        result = converge(wish.tiers(params["tiers"]), _settings(params), places, module.check_mode)
    except Refused as refused:
        refusals = [{**vars(r), "text": str(r)} for r in refused.refusals]
        done = [a.line for a in refused.done]
        words = f"{'Stopped after: ' + '; '.join(done) if done else 'Nothing was changed'}.\n{refused}"
        module.fail_json(
            msg=words, refusals=refusals, plan=done, changed=bool(done), notes=list(refused.notes)
        )
    except wish.Unclear as problem:
        module.fail_json(msg=f"Nothing was changed: storage_tiers cannot be used.\n{problem}")
    except (ToolFailed, Changed, ValueError, RuntimeError) as problem:
        module.fail_json(
            msg=f"{problem}\nWhat was done so far is remembered; run again once the cause is removed."
        )
    for note in result.notes:
        module.warn(note)
    # In check mode the host is as it was: what would be made is still to be measured and backed up.
    made, locked = (result.created, result.encrypted) if module.check_mode else ([], [])
    module.exit_json(
        changed=bool(result.actions),
        plan=[a.line for a in result.actions],
        actions=[a.as_dict() for a in result.actions],
        notes=list(result.notes),
        created=result.created,
        unmeasured=_unmeasured(result.host, params["results"]) + made,
        headers=headers.due(result.host, places) + [{"tier": tier} for tier in locked],
        diff=_diffs(result.actions),
    )


if __name__ == "__main__":
    main()
