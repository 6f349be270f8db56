"""Wiping: what may be wiped after which words (pure), and the wiping itself."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import observe, probe
from .apply import Changed, settle, tool
from .choose import Refusal
from .emptiness import found, in_use
from .model import Disk, Host
from .observe import Places

_BLKZEROOUT = 0x127F
_BLKDISCARD = 0x1277


@dataclass(frozen=True)
class WipePlan:
    """Disks to wipe with what is on them, tiers to forget, refusals, and the words that confirm it."""

    disks: tuple[Disk, ...] = ()
    forget: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    words: str = ""

    @property
    def lines(self) -> list[str]:
        """What will be lost, for people."""
        losses = []
        for disk in self.disks:
            traces = "; ".join(f.what for f in found(disk)) or "it is empty already"
            losses.append(f"wipe {disk}, {disk.model or 'model unknown'}: {traces}")
        return losses + [f"forget tier {name}" for name in self.forget]


def words(host_name: str, serials: Sequence[str], forget: Sequence[str] = ()) -> str:
    """What a person must type: the host, every disk, and every tier that is to be forgotten."""
    return " ".join(["wipe", host_name, *sorted(serials), *(f"tier:{name}" for name in sorted(forget))])


def plan(host_name: str, serials: Sequence[str], forget: Sequence[str], confirm: str, host: Host) -> WipePlan:
    """Pure: which disks are wiped and which tiers forgotten, or why nothing is. All or nothing."""
    wanted = words(host_name, serials, forget)
    disks = tuple(d for serial in serials for d in host.disks if d.serial == serial)
    refusals = _wrong(host_name, serials, forget, host)
    refusals += [Refusal("", str(d), f.what, f.remedy) for d in disks for f in in_use(d)]
    if refusals:
        return WipePlan((), (), tuple(refusals), wanted)
    agreed = WipePlan(disks, _forgotten(disks, host) + tuple(forget), (), wanted)
    if " ".join(confirm.split()) != wanted:
        what = "the wipe is not confirmed; it would " + ", ".join(agreed.lines)
        return WipePlan(
            (), (), (Refusal("", host_name, what, f'if that is meant, type exactly: "{wanted}"'),), wanted
        )
    return agreed


def _wrong(host_name: str, serials: Sequence[str], forget: Sequence[str], host: Host) -> list[Refusal]:
    refusals = []
    for serial in serials:
        count = sum(d.serial == serial for d in host.disks)
        if count != 1:
            what = f"{count} devices answer to it" if count else "no disk of this host has it"
            remedy = "name a serial that lsblk -o NAME,SERIAL shows once"
            refusals.append(Refusal("", f"serial {serial}", what, remedy))
    for name in forget:
        record = host.record(name)
        left = [str(d) for d in host.disks if record and d.superblock and d.superblock.uuid == record.md_uuid]
        if record is None:
            refusals.append(Refusal("", f"tier {name}", "this host does not remember it", "correct its name"))
        elif left:
            what = f"it is still on {', '.join(left)}"
            refusals.append(
                Refusal("", f"tier {name}", what, "name those disks: wiping them forgets the tier")
            )
    if not serials and not forget:
        refusals.append(Refusal("", host_name, "no disk is named", "name the disks by their serials"))
    return refusals


def _forgotten(disks: Sequence[Disk], host: Host) -> tuple[str, ...]:
    """Tiers that are gone once ``disks`` are wiped: none of their members is left."""
    wiped = {d.name for d in disks}
    gone = []
    for record in host.records:
        members = {d.name for d in host.disks if d.superblock and d.superblock.uuid == record.md_uuid}
        named = set(record.serials) <= {d.serial for d in disks}
        if (members and members <= wiped) or (not members and named):
            gone.append(record.tier)
    return tuple(gone)


def wipe(disk: Disk, places: Places) -> None:
    """Make one disk empty by our own definition, and see that it is. Raises Changed, ToolFailed, OSError."""
    now = observe.disk(disk.name)
    blocked = in_use(now)
    if now.serial != disk.serial or blocked:
        raise Changed(f"{disk} changed meanwhile: {'; '.join(f.what for f in blocked) or now.serial}")
    for part in now.partitions:
        tool("wipefs", "--all", "--quiet", f"/dev/{part}")
    tool("wipefs", "--all", "--quiet", now.path)
    _zero(now)
    subprocess.run(["blockdev", "--rereadpt", now.path], check=False, capture_output=True)
    settle()
    left = found(observe.disk(disk.name))
    if left:
        raise Changed(f"{disk} is not empty after wiping: {'; '.join(f.what for f in left)}")


def _zero(disk: Disk) -> None:
    """Discard where the drive can, then write zeroes wherever emptiness is judged by."""
    handle = os.open(disk.path, os.O_RDWR | os.O_EXCL)
    try:
        discards = Path(f"/sys/class/block/{disk.name}/queue/discard_max_bytes")
        if discards.exists() and int(discards.read_text()):
            fcntl.ioctl(handle, _BLKDISCARD, struct.pack("QQ", 0, disk.size // 4096 * 4096))
        for start, length in _regions(disk.size):
            fcntl.ioctl(handle, _BLKZEROOUT, struct.pack("QQ", start, length))
        os.fsync(handle)
    finally:
        os.close(handle)


def _regions(size: int) -> list[tuple[int, int]]:
    sector = 4096
    end = size // 512 * 512
    head = min(probe.BEGINNING, end)
    tail = max(head, (end - probe.EDGE) // sector * sector)
    return [(start, length) for start, length in ((0, head), (tail, end - tail)) if length > 0]
