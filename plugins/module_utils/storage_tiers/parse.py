"""What the tools print, as data. Pure: text in, records out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .model import Signature, Superblock

# Mount points that make a disk the system's, whatever the inventory says of it.
SYSTEM_POINTS = frozenset({"/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/home", "/opt", "/etc"})
_NOT_LOCAL = re.compile(r"(nbd|zram|rbd|drbd|ram|fd|sr|loop|mtdblock|pmem|md|dm-|bcache)\d*")
_REMOTE = frozenset({"usb", "iscsi", "fc", "fcoe", "ata_over_ethernet", "rbd", "mmc", "sbp"})
_LEVELS = {"raid0": 0, "raid1": 1, "raid5": 5, "raid6": 6, "raid10": 10}


def level(text: str) -> int:
    """md's word for a level as a number; -1 for one that is never made here."""
    return _LEVELS.get(text.strip(), -1)


def kind(disk: Mapping[str, Any]) -> str:
    """Class of a disk as lsblk shows it; empty for what is no local disk."""
    name, transport = str(disk.get("kname") or ""), str(disk.get("tran") or "")
    if disk.get("type") != "disk" or _NOT_LOCAL.fullmatch(name) or transport in _REMOTE:
        return ""
    if transport == "nvme" or name.startswith("nvme"):
        return "nvme"
    return "hdd" if disk.get("rota") else "ssd"


def lsblk(text: str) -> list[dict[str, Any]]:
    """Top-level devices of ``lsblk -J``."""
    devices = json.loads(text or "{}").get("blockdevices", [])
    return [dict(device) for device in devices]


def descendants(device: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Everything on top of a device: partitions, arrays, mappings, at any depth."""
    for child in device.get("children") or ():
        yield child
        yield from descendants(child)


def mount_points(device: Mapping[str, Any]) -> list[str]:
    """Where the device, or anything on top of it, is mounted; ``[SWAP]`` stands for active swap."""
    points = [p for d in (device, *descendants(device)) for p in d.get("mountpoints") or () if p]
    return list(dict.fromkeys(points))


def partitions(device: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the partitions."""
    return tuple(str(c["kname"]) for c in device.get("children") or () if c.get("type") == "part")


def wipefs(text: str) -> dict[str, list[Signature]]:
    """Signatures by kernel name. A blank device does not appear; the exit code would say nothing."""
    found: dict[str, list[Signature]] = {}
    for item in json.loads(text).get("signatures", []) if text.strip() else []:
        name = str(item["device"]).rsplit("/", maxsplit=1)[-1]
        signature = Signature(
            device=f"/dev/{name}",
            type=str(item["type"]),
            offset=int(str(item["offset"]), 16),
            uuid=str(item.get("uuid") or ""),
            label=str(item.get("label") or ""),
        )
        found.setdefault(name, []).append(signature)
    return found


def export(text: str) -> dict[str, str]:
    """``KEY=value`` lines, as ``mdadm --export`` and ``blkid -o export`` print them."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def superblock(text: str) -> Superblock | None:
    """What ``mdadm --examine --export`` says of a disk; None where it is no member."""
    fields = export(text)
    if "MD_UUID" not in fields:
        return None
    return Superblock(
        uuid=fields["MD_UUID"],
        name=fields.get("MD_NAME", ""),
        level=level(fields.get("MD_LEVEL", "")),
        devices=_number(fields.get("MD_DEVICES", "")),
        events=_number(fields.get("MD_EVENTS", "")),
    )


def mountinfo(text: str) -> list[tuple[str, str]]:
    """(major:minor, mount point) of every mount; escapes of blanks are undone."""
    mounts = []
    for line in text.splitlines():
        fields = line.split()
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4])
        mounts.append((fields[2], point))
    return mounts


def swaps(text: str) -> list[str]:
    """Device nodes or files of ``/proc/swaps``."""
    return [line.split()[0] for line in text.splitlines()[1:] if line.strip()]


def holder_kind(name: str, dm_uuid: str) -> str:
    """What a holder is, from its kernel name and the UUID that device-mapper gave it."""
    if name.startswith("md"):
        return "md"
    if name.startswith("bcache"):
        return "bcache"
    prefixes = {"CRYPT-": "crypt", "LVM-": "lvm", "mpath-": "mpath"}
    if name.startswith("dm-"):
        return next((k for p, k in prefixes.items() if dm_uuid.startswith(p)), "dm")
    return "other"


def luks_uuid(dm_uuid: str) -> str:
    """UUID of the container behind a mapping; empty where it is none. dm keeps it without dashes."""
    match = re.match(r"CRYPT-LUKS\d-([0-9a-f]{32})-", dm_uuid)
    if not match:
        return ""
    text = match[1]
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def luks_keyslots(area: bytes) -> int | None:
    """Number of key slots in the JSON area of a LUKS2 header; None where it is no JSON."""
    try:
        slots = json.loads(area.split(b"\0", 1)[0].decode())["keyslots"]
    except (ValueError, KeyError, TypeError):
        return None
    return len(slots)


def luks_area(start: bytes) -> int:
    """Bytes that a backup of a LUKS2 header holds: both headers and the key slots. Raises ValueError."""
    copy = int.from_bytes(start[8:16], "big")
    area = json.loads(start[4096:copy].split(b"\0", 1)[0].decode())["config"]["keyslots_size"]
    return 2 * copy + int(area)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
