"""What is wished for (Tier) and what is there (Host): plain frozen records, no I/O.

Sizes are bytes. Device names are kernel names (``nvme0n1``); paths are ``/dev/NAME``. md UUIDs are written as
mdadm writes them (``aaaaaaaa:bbbbbbbb:cccccccc:dddddddd``), all others with dashes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

OWNER = "bedplate"  # first part of every name that we give to an array or a mapping
HOMEHOST = "any"  # mdadm stores it before the name; "any" is local on every host, whatever its name is
CLASSES = ("nvme", "ssd", "hdd")
SMALLEST = {0: 1, 1: 2, 5: 3, 6: 4, 10: 4}  # members that a level needs; RAID 0 of one disk is a plain disk
MAY_MISS = {0: 0, 5: 1, 6: 2, 10: 1}  # members that an array can start without; RAID 1 needs one member only
NAMESPACE = uuid.UUID(
    "7c1f5a5e-2f0e-5b7e-9a39-1d5b2f6b7a10"
)  # ours, drawn once; UUIDs of new tiers hang below it


@dataclass(frozen=True)
class Tier:
    """One tier as the inventory wishes it: by ``kind`` and exact ``count``, or by ``serials``."""

    name: str
    raid: int
    mount: str
    count: int
    kind: str = ""
    serials: tuple[str, ...] = ()
    encrypt: bool = False
    chunk: int = 0  # bytes; 0: what suits level and class
    read_ahead: int = 0  # bytes; 0: the kernel's own

    @property
    def array_name(self) -> str:
        """Name of the array and of the mapping on it, for example ``bedplate-hot``."""
        return f"{OWNER}-{self.name}"


@dataclass(frozen=True)
class Signature:
    """One signature that libblkid finds on ``device`` (a disk, or a partition of it)."""

    device: str
    type: str
    offset: int = 0
    uuid: str = ""
    label: str = ""


@dataclass(frozen=True)
class Superblock:
    """The md superblock of one disk."""

    uuid: str
    name: str  # as stored, ``any:bedplate-hot``
    level: int  # -1: one that we never make (linear, container, faulty)
    devices: int
    events: int = 0  # 0: the array was never started (RAID 0 stays at 0)


@dataclass(frozen=True)
class Holder:
    """What the kernel has put on top of a disk or of one of its partitions."""

    name: str  # md127, dm-0, bcache0
    kind: str  # md, crypt, lvm, mpath, dm, bcache, other
    label: str = ""  # the name that people know it by


@dataclass(frozen=True)
class Disk:
    """One whole disk and everything that speaks for or against touching it."""

    name: str
    serial: str
    size: int
    kind: str  # nvme, ssd, hdd; empty: not a local disk (USB, network, loop, ...)
    model: str = ""
    system: bool = False  # something that the running system needs lies on it
    read_only: bool = False
    partitions: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()
    superblock: Superblock | None = None  # of the whole disk, as mdadm reads it
    holders: tuple[Holder, ...] = ()
    mounts: tuple[str, ...] = ()
    swaps: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()  # what other tools say, for example "multipath"
    busy: str = ""  # why the kernel refused an exclusive open
    stray: int | None = None  # offset of the first non-zero byte where an empty disk has none
    unreadable: str = ""  # why a probe failed; what was not read cannot be called empty

    @property
    def path(self) -> str:
        """Device node."""
        return f"/dev/{self.name}"

    def __str__(self) -> str:
        return f"{self.path} (serial {self.serial or 'none'})"


@dataclass(frozen=True)
class Content:
    """What an array or an opened mapping holds.

    ``kind``: empty (only zeroes), ``xfs``, ``luks``, ``bytes`` (no signature), or another libblkid type.
    ``complete``: mkfs or luksFormat came to its end. ``own``: bytes that only our own cut step can have left.
    """

    kind: str = ""
    uuid: str = ""
    complete: bool = True
    own: bool = False
    key_fits: bool = True  # luks: our key file opens it (tested only while it is closed)


@dataclass(frozen=True)
class Mapping:
    """An opened LUKS container: ``uuid`` is the container's."""

    device: str  # dm-0
    name: str  # bedplate-warm
    uuid: str
    content: Content


@dataclass(frozen=True)
class Member:
    """One device in an assembled array; ``state`` as md says: in_sync, spare, faulty, ..."""

    disk: str
    state: str

    @property
    def working(self) -> bool:
        """In use or being rebuilt."""
        return "faulty" not in self.state


@dataclass(frozen=True)
class Array:
    """One md array that the kernel knows; ``active`` is false while it waits for members."""

    device: str  # md127
    uuid: str
    name: str
    level: int
    devices: int
    active: bool
    members: tuple[Member, ...]
    component: int = 0  # bytes that each member gives
    sync: str = "idle"
    content: Content = field(default_factory=Content)
    mapping: Mapping | None = None

    @property
    def path(self) -> str:
        """Device node."""
        return f"/dev/{self.device}"


@dataclass(frozen=True)
class Record:
    """What we remember of a tier on the host, written before its first destructive step.

    ``ready`` is false until the filesystem is made: only then nothing but our own cut steps can be on it. The
    UUIDs are chosen before anything is made, so that whatever a cut run leaves can be told from anything
    else.
    """

    tier: str
    md_uuid: str
    fs_uuid: str
    luks_uuid: str  # empty: not encrypted
    level: int
    serials: tuple[str, ...]
    mount: str
    ready: bool = False
    header: str = ""  # SHA-256 of the LUKS header that the controller holds a backup of


@dataclass(frozen=True)
class Host:
    """Everything that the planner may know of a host."""

    machine_id: str
    disks: tuple[Disk, ...] = ()
    arrays: tuple[Array, ...] = ()
    records: tuple[Record, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()  # (kernel name of the source, mount point)
    keys: frozenset[str] = frozenset()  # tiers that have a key file
    filled: frozenset[str] = frozenset()  # mount points that are not mounted and hold files
    files: dict[str, str] = field(default_factory=dict)  # configuration files that we share, by path
    initramfs: str = ""  # digest of the mdadm.conf that the initial RAM disk was last made with

    def record(self, tier: str) -> Record | None:
        """What we remember of ``tier``."""
        return next((r for r in self.records if r.tier == tier), None)

    def array(self, md_uuid: str) -> Array | None:
        """The array with this UUID, assembled or waiting."""
        return next((a for a in self.arrays if a.uuid == md_uuid), None)

    def mount_of(self, device: str) -> tuple[str, ...]:
        """Mount points of a device."""
        return tuple(target for source, target in self.mounts if source == device)


def identity(machine_id: str, tier: Tier, serials: tuple[str, ...], part: str) -> uuid.UUID:
    """A UUID that follows from host, tier and disks, so that check mode shows the one that the next run uses.

    The same set of disks gives the same UUID again after a wipe; that is safe, because an array is only made
    when all of them are there and empty, so no stale copy of an earlier life can be among them.
    """
    words = "/".join([machine_id, tier.name, str(tier.raid), *sorted(serials), part])
    return uuid.uuid5(NAMESPACE, words)


def md_format(value: uuid.UUID) -> str:
    """A UUID as mdadm writes it."""
    return ":".join(value.hex[i : i + 8] for i in range(0, 32, 8))
