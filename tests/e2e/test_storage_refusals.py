"""Every shape of a disk in use, made on a real disk of a machine: refused by name, and not one byte changed.

Each shape is cleaned up by the wipe of playbooks/storage_wipe.yml, which is thereby seen to leave it empty.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from storage_bench import Session, digest, machine

from bedplate import evidence
from bedplate.twin.machine import VirtualMachine

pytestmark = pytest.mark.long
DISK, OTHER = "NVME000001", "NVME000002"
COMMAND = "pytest tests/e2e/test_storage_refusals.py"
# What the refusal must say it found.
SHAPES = {
    "gpt": "a GPT partition table",
    "gpt without partitions": "a GPT partition table",
    "backup gpt alone": "a GPT partition table",
    "mbr": "an MBR partition table",
    "ext2": "an ext2 filesystem",
    "ext3": "an ext3 filesystem",
    "ext4": 'an ext4 filesystem at offset 1080 ("models"',
    "ext4 in a partition": "an ext4 filesystem on /dev/nvme",
    "xfs": "an XFS filesystem",
    "minix": "a Minix filesystem",
    "swap area": "a swap area",
    "luks1": "a LUKS container",
    "luks2": "a LUKS container",
    "md 1.2 assembled": "md array md",
    "md 1.2 stale": "an md RAID superblock",
    "md 1.1 stale": "an md RAID superblock",
    "md 1.0 stale": "an md RAID superblock",
    "md 0.90 stale": "an md RAID superblock",
    "md with our name, another size": "its array is RAID 1 of 2 disks",
    "ddf": "a DDF RAID superblock",
    "mounted": "it is mounted at /mnt/shape",
    "mounted partition": "it is mounted at /mnt/shape",
    "active swap": "is active swap",
    "device-mapper holder": "device-mapper device",
    "multipath holder": "multipath device",
    "opened luks": "opened LUKS container",
    "read-only": "it is read-only",
    "lvm": "an LVM physical volume",
    "zfs": "a ZFS pool member",
    "zfs at the end alone": "a ZFS pool member",
    "bcache": "a bcache device",
    "btrfs": "a Btrfs filesystem",
    "ceph": "a Ceph OSD",
    "oracle": "an Oracle ASM disk",
    "bitlocker": "a BitLocker volume",
    "iso9660": "an ISO 9660 image",
    "squashfs": "a SquashFS image",
    "vmfs": "a VMware VMFS member",
    "bytes at 5 MiB": "bytes at offset 5242880",
    "one byte in the first sector": "bytes at offset 17",
    "one byte in the last sector": "that no known signature explains",
    "bytes where an array's data would begin": "bytes at offset 135266304",
    "held open by a process": "the kernel refuses exclusive use",
}


@pytest.fixture(scope="module")
def bench() -> Iterator[VirtualMachine]:
    """The machine."""
    with machine() as target:
        yield target


@pytest.fixture(scope="module")
def session(bench: VirtualMachine) -> Iterator[Session]:
    """The program on the machine that makes shapes and asks the planner."""
    session = Session(bench, "storage_machine.py")
    yield session
    session.close()


@pytest.fixture(scope="module")
def refused(bench: VirtualMachine) -> Iterator[list[str]]:
    """Shapes that were refused with nothing changed; they become evidence at the end."""
    shapes: list[str] = []
    yield shapes
    if len(shapes) == len(SHAPES):  # a run of single shapes proves less
        evidence.record(
            "lab",
            "hosts.storage.refusals",
            "Shapes of a disk in use that were refused by name with every byte unchanged",
            len(shapes),
            unit="shapes",
            goal=">= 25",
            proved_on="twin",
            command=COMMAND,
            machine={"accelerator": bench.hardware.accelerator},
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_disk_in_use_is_refused_by_name(
    bench: VirtualMachine, session: Session, refused: list[str], shape: str
) -> None:
    """Refused, with device, serial, what was found and what to do; the disk's SHA-256 stays the same."""
    disks = {"disk": DISK, "other": OTHER, "shape": shape}
    try:
        session.ask(do="make", **disks)
        before = digest(bench, DISK)
        found = session.ask(do="judge", **disks)
        after = digest(bench, DISK)
    finally:
        session.ask(do="clean", **disks)
    _refused(found, SHAPES[shape])
    assert after == before
    refused.append(shape)


def test_every_shape_is_named(session: Session) -> None:
    """The table above and the program on the machine know the same shapes."""
    assert set(session.ask(do="shapes")["shapes"]) == set(SHAPES)


def _refused(found: dict[str, Any], what: str) -> None:
    assert found["actions"] == []
    text = "\n".join(found["refusals"])
    assert what in text
    for refusal in found["refusals"]:
        assert f"(serial {DISK})" in refusal and "Remedy: " in refusal
