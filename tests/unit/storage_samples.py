"""Hosts, disks and tiers to plan on, built by a few words each."""

from dataclasses import replace
from typing import Any

from storage_tiers.choose import Hardware
from storage_tiers.model import HOMEHOST, Disk, Host, Record, Signature, Superblock, Tier
from storage_tiers.plan import Settings

MACHINE = "0123456789abcdef0123456789abcdef"
SIZES = {"nvme": 3_840_000_000_000, "ssd": 1_920_000_000_000, "hdd": 20_000_000_000_000}
SETTINGS = Settings(Hardware({}))

HOT = Tier("hot", 5, "/srv/hot", 4, "nvme")
WARM = Tier("warm", 1, "/srv/warm", 2, "ssd", encrypt=True)
COLD = Tier("cold", 1, "/srv/cold", 2, "hdd")
SCRATCH = Tier("scratch", 0, "/srv/scratch", 2, "nvme")
SETS: dict[str, tuple[Tier, ...]] = {
    "raid5": (HOT,),
    "raid1 encrypted": (WARM,),
    "raid1": (COLD,),
    "raid0": (SCRATCH,),
    "raid0 of one disk": (Tier("one", 0, "/srv/one", 1, "nvme"),),
    "raid6": (Tier("big", 6, "/srv/big", 4, "hdd"),),
    "raid10 encrypted": (Tier("db", 10, "/srv/db", 4, "nvme", encrypt=True),),
    "three tiers": (HOT, WARM, COLD),
}


def disk(name: str, kind: str = "nvme", **facts: Any) -> Disk:
    """An empty disk; its serial follows from its name."""
    return replace(Disk(name, f"SN-{name}", SIZES.get(kind, 10**12), kind), **facts)


def disks(kind: str, count: int, prefix: str = "") -> tuple[Disk, ...]:
    """Empty disks of one class."""
    return tuple(disk(f"{prefix or kind}{n}", kind) for n in range(count))


SYSTEM = disk("sda", "ssd", system=True, mounts=("/", "/boot/efi"), partitions=("sda1", "sda2"))


def host(*parts: Disk | tuple[Disk, ...], **facts: Any) -> Host:
    """A host with a system disk and the given disks."""
    flat = [d for part in parts for d in (part if isinstance(part, tuple) else (part,))]
    return replace(Host(MACHINE, (SYSTEM, *flat)), **facts)


def lab() -> Host:
    """The GPU node of inventories/lab, nothing made yet."""
    return host(disks("nvme", 4), disks("ssd", 2), disks("hdd", 2))


def member(plain: Disk, record: Record | Superblock, events: int = 20, devices: int = 0) -> Disk:
    """The disk with an md superblock on it: of a record's array, or the given one."""
    block = record
    if isinstance(record, Record):
        count = devices or len(record.serials)
        name = f"{HOMEHOST}:bedplate-{record.tier}"
        block = Superblock(record.md_uuid, name, record.level, count, 0 if record.level == 0 else events)
    assert isinstance(block, Superblock)
    signature = Signature(plain.path, "linux_raid_member", 4096, block.uuid, block.name)
    return replace(plain, superblock=block, signatures=(signature,), stray=None)
