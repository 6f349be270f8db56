"""Reading devices: bytes, not tools. Everything here only reads."""

from __future__ import annotations

import errno
import os
import uuid
from io import RawIOBase
from pathlib import Path
from typing import NamedTuple

from . import parse
from .layout import GIB, MIB
from .model import Content, Signature

EDGE = 16 * MIB  # an empty disk is zero this far from either end
BEGINNING = GIB  # and where the data of an old partition or array would begin: at every MiB up to here
SAMPLE = 4096
_XFS_IN_PROGRESS = 126  # sb_inprogress: mkfs.xfs clears it as its last step
_LUKS_HEADERS = (0, 0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000)
_LUKS_BINARY = 4096  # the JSON area follows the binary header
_LUKS_MAGIC = (b"LUKS\xba\xbe\x00\x02", b"SKUL\xba\xbe\x00\x02")


class Edges(NamedTuple):
    """Offsets of the first and the last byte seen that is not zero; None where there is none."""

    first: int | None
    last: int | None


def busy(path: str) -> str:
    """Why the kernel refuses exclusive use; empty when it grants it. The kernel's own answer, and so the
    best.
    """
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "error") + ": " + os.strerror(error.errno or 0)
    return ""


def stray(path: str) -> Edges:
    """Look for non-zero bytes where an empty disk has none. Raises OSError when the disk cannot be read."""
    first, last = None, None
    with Path(path).open("rb", buffering=0) as device:
        size = device.seek(0, os.SEEK_END)
        for offset, length in _windows(size):
            data = _read(device, offset, length)
            if data.count(0) != len(data):
                start = offset + len(data) - len(data.lstrip(b"\0"))
                first = start if first is None else min(first, start)
                last = max(last or 0, offset + len(data.rstrip(b"\0")) - 1)
    return Edges(first, last)


def contains(path: str, needle: bytes) -> bool:
    """Whether ``needle`` lies near either end of the device."""
    with Path(path).open("rb", buffering=0) as device:
        size = device.seek(0, os.SEEK_END)
        ends = {0, max(0, size - EDGE)}
        return any(needle in _read(device, offset, min(EDGE, size)) for offset in ends)


def content(path: str, signatures: list[Signature], fs_uuid: str, luks_area: int) -> Content:
    """What a device of ours holds. ``fs_uuid`` and ``luks_area`` (bytes) say what our own cut steps can
    leave.
    """
    types = {s.type for s in signatures}
    if types == {"xfs"}:
        with Path(path).open("rb", buffering=0) as device:
            in_progress = _read(device, _XFS_IN_PROGRESS, 1) != b"\0"
        return Content("xfs", signatures[0].uuid, complete=not in_progress)
    if types == {"crypto_LUKS"}:
        return Content("luks", signatures[0].uuid, complete=_has_keyslot(path))
    if types:
        return Content(" and ".join(sorted(types)), signatures[0].uuid)
    edges = stray(path)
    if edges.first is None or edges.last is None:
        return Content("empty")
    # Metadata of XFS carries its UUID everywhere; a container that is being made has only its key area
    # written.
    by_mkfs = bool(fs_uuid) and contains(path, uuid.UUID(fs_uuid).bytes)
    return Content("bytes", own=by_mkfs or edges.last < luks_area)


def _has_keyslot(path: str) -> bool:
    """A container without a key slot cannot hold data: nobody has its key. Unreadable counts as one."""
    counts = []
    with Path(path).open("rb", buffering=0) as device:
        for offset in _LUKS_HEADERS:
            if _read(device, offset, 8) in _LUKS_MAGIC:
                counts.append(parse.luks_keyslots(_read(device, offset + _LUKS_BINARY, 4 * MIB)))
    return any(count is None or count > 0 for count in counts)


def _windows(size: int) -> list[tuple[int, int]]:
    head, tail = min(EDGE, size), max(size - EDGE, min(EDGE, size))
    between = range(head, min(BEGINNING, tail), MIB)
    spans = [(offset, MIB) for offset in range(0, head, MIB)]
    spans += [(offset, SAMPLE) for offset in between]
    spans += [(offset, MIB) for offset in range(tail, size, MIB)]
    return [(offset, min(length, size - offset)) for offset, length in spans]


def _read(device: RawIOBase, offset: int, length: int) -> bytes:
    device.seek(offset)
    parts = []
    while length > 0:
        part = device.read(length)
        if not part:
            break
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
