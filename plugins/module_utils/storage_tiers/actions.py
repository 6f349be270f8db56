"""What a plan can consist of. Every action says in one line what it does; nothing else may change a disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .model import Disk, Record


@dataclass(frozen=True)
class Target:
    """A disk as an action names it: apply looks it up by serial again and checks the path."""

    path: str
    serial: str

    def __str__(self) -> str:
        return f"{self.path} (serial {self.serial})"


def target(disk: Disk) -> Target:
    """The disk as actions name it."""
    return Target(disk.path, disk.serial)


@dataclass(frozen=True)
class Action:
    """One step for one tier (empty: for the host)."""

    tier: str

    @property
    def line(self) -> str:
        """What the step does, for people."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """What the step does, for programs."""
        return {"action": type(self).__name__, **asdict(self), "line": self.line}


@dataclass(frozen=True)
class Remember(Action):
    """Write the record of a tier, durably; ``why`` is the word for people."""

    record: Record
    why: str

    @property
    def line(self) -> str:
        return f"{self.tier}: remember {self.why}"


@dataclass(frozen=True)
class MakeKey(Action):
    """Draw a key of 64 random bytes on the host."""

    @property
    def line(self) -> str:
        return f"{self.tier}: make the key file of the encrypted tier"


@dataclass(frozen=True)
class StopArray(Action):
    """Stop an array of ours that cannot be started as it is; its members stay as they are."""

    device: str
    md_uuid: str

    @property
    def line(self) -> str:
        return f"{self.tier}: stop the half-made array {self.device} ({self.md_uuid})"


@dataclass(frozen=True)
class ClearMember(Action):
    """Remove the superblock that a cut creation of ours left on a disk."""

    disk: Target
    md_uuid: str

    @property
    def line(self) -> str:
        return f"{self.tier}: remove the superblock of the half-made array ({self.md_uuid}) from {self.disk}"


@dataclass(frozen=True)
class CreateArray(Action):
    """Make an array of empty disks."""

    name: str
    md_uuid: str
    level: int
    chunk: int
    flash: bool
    disks: tuple[Target, ...]

    @property
    def line(self) -> str:
        disks = ", ".join(str(d) for d in self.disks)
        chunk = f", chunk {self.chunk // 1024} KiB" if self.chunk else ""
        return f"{self.tier}: create RAID {self.level} {self.name} ({self.md_uuid}{chunk}) of {disks}"


@dataclass(frozen=True)
class AssembleArray(Action):
    """Start an array of ours from the members that are there."""

    name: str
    md_uuid: str
    disks: tuple[Target, ...]
    degraded: bool = False

    @property
    def line(self) -> str:
        how = ", although a member is missing," if self.degraded else ""
        return (
            f"{self.tier}: assemble {self.name} ({self.md_uuid}){how} from {', '.join(map(str, self.disks))}"
        )


@dataclass(frozen=True)
class RemoveMember(Action):
    """Let go of a member that md has marked faulty; the disk itself is not written to."""

    md_uuid: str
    device: str

    @property
    def line(self) -> str:
        return f"{self.tier}: take the failed member {self.device} out of the array ({self.md_uuid})"


@dataclass(frozen=True)
class AddMember(Action):
    """Give an array a member back: an empty disk, or its own that had gone."""

    md_uuid: str
    disk: Target
    returned: bool

    @property
    def line(self) -> str:
        what = "its own" if self.returned else "empty"
        return f"{self.tier}: rebuild the array ({self.md_uuid}) onto {self.disk}, {what}"


@dataclass(frozen=True)
class FormatLuks(Action):
    """Make the LUKS2 container; ``over_own`` where our own cut attempt is overwritten."""

    md_uuid: str
    luks_uuid: str
    offset: int
    over_own: bool = False

    @property
    def line(self) -> str:
        again = ", again after a cut run" if self.over_own else ""
        return f"{self.tier}: make a LUKS2 container ({self.luks_uuid}), AES-256-XTS{again}"


@dataclass(frozen=True)
class OpenLuks(Action):
    """Open the container with the key file."""

    name: str
    luks_uuid: str

    @property
    def line(self) -> str:
        return f"{self.tier}: open the LUKS container ({self.luks_uuid}) as {self.name}"


@dataclass(frozen=True)
class MakeFilesystem(Action):
    """Make XFS on the array, or on the mapping where the tier is encrypted."""

    md_uuid: str
    mapping: str
    fs_uuid: str
    stripe: tuple[int, int] | None
    over_own: bool = False

    @property
    def line(self) -> str:
        aligned = f", stripe {self.stripe[0] // 1024} KiB x {self.stripe[1]}" if self.stripe else ""
        again = ", again after a cut run" if self.over_own else ""
        return f"{self.tier}: make XFS ({self.fs_uuid}{aligned}){again}"


@dataclass(frozen=True)
class WriteFile(Action):
    """Write a configuration file whole; only lines of ours differ from what was there."""

    path: str
    before: str
    after: str

    @property
    def line(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class RefreshInitramfs(Action):
    """Give the initial RAM disk the new mdadm.conf."""

    digest: str

    @property
    def line(self) -> str:
        return "make the initial RAM disk anew, with the arrays in it"


@dataclass(frozen=True)
class MountTier(Action):
    """Mount by what /etc/fstab says."""

    mount: str
    fs_uuid: str

    @property
    def line(self) -> str:
        return f"{self.tier}: mount {self.mount}"
