"""Geometry of a tier: chunk, stripe, alignment, capacity. Pure arithmetic; sizes are bytes."""

from __future__ import annotations

import re

from .model import Tier

KIB, MIB, GIB = 1024, 1024**2, 1024**3
LUKS_HEADER = 16 * MIB  # cryptsetup's own default distance of the payload; raised to whole stripes
_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50,
}  # fmt: skip


def size(text: str) -> int:
    """Bytes of ``3.84TB`` or ``512GiB``. Raises ValueError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if not match or match[2].upper() not in _UNITS:
        raise ValueError(f"{text!r} is not a size such as 3.84TB or 512GiB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def chunk(tier: Tier) -> int:
    """Chunk of the array; 0 for RAID 1, which has none.

    Small chunks keep random writes of RAID 5/6 on flash from reading whole stripes; the kernel's default of
    512 KiB suits streaming.
    """
    if tier.raid == 1:
        return 0
    return tier.chunk or (128 * KIB if tier.raid in (5, 6) and tier.kind == "nvme" else 512 * KIB)


def data_disks(level: int, count: int) -> int:
    """Members that hold data rather than parity or copies."""
    return {0: count, 1: 1, 5: count - 1, 6: count - 2, 10: count // 2}[level]


def stripe(tier: Tier) -> tuple[int, int] | None:
    """(stripe unit in bytes, data disks) for mkfs.xfs; None for RAID 1."""
    return (chunk(tier), data_disks(tier.raid, tier.count)) if chunk(tier) else None


def luks_offset(tier: Tier) -> int:
    """Where the payload of a LUKS container begins: at the first whole stripe after the default."""
    whole = chunk(tier) * data_disks(tier.raid, tier.count) or MIB
    return -(-LUKS_HEADER // whole) * whole
