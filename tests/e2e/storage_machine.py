"""Runs on a machine of the twin, as root: makes a disk look used, asks the planner, and cleans up again.

Reads one JSON request a line and answers each with one line. The planner is the role's own, copied beside
this file: observation and plan run as in the module, without a round trip through Ansible for each shape.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import storage_labels as labels
from storage_tiers import observe, wipe
from storage_tiers.choose import Hardware
from storage_tiers.model import Disk, Host, Tier
from storage_tiers.plan import Settings, plan

MIB = 1024 * 1024
MOUNT = "/mnt/shape"
PART = "echo 'size=+' | sfdisk -q -X gpt {d}; udevadm settle; mkfs.ext4 -q {p}"


def sh(command):
    """Run a shell command that must succeed."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr or done.stdout}")
    return done.stdout


@functools.cache
def disk_with(serial):
    """Kernel name of the disk with this serial."""
    for line in sh("lsblk -dno NAME,SERIAL").splitlines():
        if line.split()[1:] == [serial]:
            return line.split()[0]
    raise RuntimeError(f"there is no disk {serial}")


def put(device, parts):
    """Write bytes at offsets."""
    with Path(device).open("r+b") as file:
        for offset, data in parts:
            file.seek(offset)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def array(device, other, options):
    """A foreign md array on both disks."""
    return f"mdadm --create /dev/md/strange --run --assume-clean {options} {device} {other}; udevadm settle"


# Shape: (how to make it, how to let go of it). {d} is the disk, {o} a second one.
STOP = "mdadm --stop /dev/md/strange; udevadm settle"
STALE = "mdadm --zero-superblock {o}"
SHAPES = {
    "gpt": ("echo 'size=64M' | sfdisk -q -X gpt {d}; udevadm settle", ""),
    "gpt without partitions": (
        "echo 'size=64M' | sfdisk -q -X gpt {d}; udevadm settle; sfdisk -q --delete {d}; udevadm settle",
        "",
    ),
    "backup gpt alone": (
        "echo 'size=64M' | sfdisk -q -X gpt {d}; udevadm settle; sfdisk -q --delete {d}; "
        "dd if=/dev/zero of={d} bs=512 count=34 conv=fsync status=none; "
        "blockdev --rereadpt {d}; udevadm settle",
        "",
    ),
    "mbr": ("echo 'size=64M' | sfdisk -q -X dos {d}; udevadm settle", ""),
    "ext2": ("mkfs.ext2 -q {d}", ""),
    "ext3": ("mkfs.ext3 -q {d}", ""),
    "ext4": ("mkfs.ext4 -q -L models {d}", ""),
    "ext4 in a partition": (PART, ""),
    "xfs": ("mkfs.xfs -q {d}", ""),
    "minix": ("mkfs.minix {d}", ""),
    "swap area": ("mkswap -q {d}", ""),
    "luks1": (
        "echo -n word | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 {d} -",
        "",
    ),
    "luks2": (
        "echo -n word | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {d} -",
        "",
    ),
    "md 1.2 assembled": (array("{d}", "{o}", "-l1 -n2 -e1.2"), STOP + ";" + STALE),
    "md 1.2 stale": (array("{d}", "{o}", "-l1 -n2 -e1.2") + ";" + STOP, STALE),
    "md 1.1 stale": (array("{d}", "{o}", "-l1 -n2 -e1.1") + ";" + STOP, STALE),
    "md 1.0 stale": (array("{d}", "{o}", "-l1 -n2 -e1.0") + ";" + STOP, STALE),
    "md 0.90 stale": (array("{d}", "{o}", "-l1 -n2 -e0.90") + ";" + STOP, STALE),
    "md with our name, another size": (
        array("{d}", "{o}", "-l1 -n2 --homehost=any --name=bedplate-probe") + ";" + STOP,
        STALE,
    ),
    "ddf": ("mdadm --create /dev/md/strange --run -e ddf -n2 {d} {o}; udevadm settle;" + STOP, STALE),
    "mounted": (f"mkfs.ext4 -q {{d}}; mkdir -p {MOUNT}; mount {{d}} {MOUNT}", f"umount {MOUNT}"),
    "mounted partition": (
        PART + f"; mkdir -p {MOUNT}; mount {{p}} {MOUNT}",
        f"umount {MOUNT}",
    ),
    "active swap": ("mkswap -q {d}; swapon {d}", "swapoff {d}"),
    "device-mapper holder": (
        "echo 0 8192 linear {d} 0 | dmsetup create strange; udevadm settle",
        "dmsetup remove strange",
    ),
    "multipath holder": (
        "modprobe dm-multipath; modprobe dm-round-robin; echo 0 $(blockdev --getsz {d}) multipath 0 0 1 1 "
        "round-robin 0 1 1 {d} 1000 | dmsetup create strange --uuid mpath-strange; udevadm settle",
        "dmsetup remove strange",
    ),
    "opened luks": (
        "echo -n word | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {d} -; "
        "echo -n word | cryptsetup open {d} strange -; udevadm settle",
        "cryptsetup close strange",
    ),
    "read-only": ("blockdev --setro {d}", "blockdev --setrw {d}"),
}
BYTES = {
    "lvm": labels.lvm,
    "zfs": labels.zfs,
    "bcache": labels.bcache,
    "btrfs": labels.btrfs,
    **{name: (lambda parts=parts: parts) for name, parts in labels.MAGICS.items()},
    "bytes at 5 MiB": lambda: [(5 * MIB, b"model weights")],
    "one byte in the first sector": lambda: [(17, b"\x01")],
    "bytes where an array's data would begin": lambda: [(129 * MIB, b"old data of an old array")],
}
AT_THE_END = {
    "zfs at the end alone": labels.zfs_at_the_end,
    "one byte in the last sector": lambda size: [(size - 100, b"\x01")],
}
held = []


def make(shape, name, other):
    """Make the disk look used."""
    device = f"/dev/{name}"
    if shape == "held open by a process":
        held.append(os.open(device, os.O_RDONLY | os.O_EXCL))
    elif shape in BYTES:
        put(device, BYTES[shape]())
    elif shape in AT_THE_END:
        put(device, AT_THE_END[shape](int(sh(f"blockdev --getsize64 {device}"))))
    else:
        part = f"{device}p1" if name[-1].isdigit() else f"{device}1"
        sh(SHAPES[shape][0].format(d=device, o=f"/dev/{other}", p=part))
    sh(f"udevadm settle; sync; blockdev --flushbufs {device}")


def undo(shape, name, other):
    """Let go of the disk; what was written stays."""
    while held:
        os.close(held.pop())
    release = SHAPES.get(shape, ("", ""))[1]
    if release:
        sh(release.format(d=f"/dev/{name}", o=f"/dev/{other}"))
    sh("udevadm settle")


def judge(name):
    """Refusals of a tier that names this disk, and what it would have done."""
    disk: Disk = observe.disk(name)
    tier = Tier("probe", 0, "/srv/probe", 1, "", (disk.serial,))
    wanted = plan([tier], Host("0" * 32, (disk,)), Settings(Hardware({})))
    return {"refusals": [str(r) for r in wanted.refusals], "actions": wanted.lines}


def answer(request):
    """One request."""
    if request["do"] == "shapes":
        return {"shapes": [*SHAPES, *BYTES, *AT_THE_END, "held open by a process"]}
    name, other, shape = disk_with(request["disk"]), disk_with(request["other"]), request["shape"]
    if request["do"] == "make":
        make(shape, name, other)
        return {}
    if request["do"] == "judge":
        return judge(name)
    if request["do"] == "clean":
        undo(shape, name, other)
        both = "{o}" in SHAPES.get(shape, ("", ""))[0]
        for each in (name, other) if both else (name,):
            wipe.wipe(observe.disk(each), observe.Places())  # ends with looking whether it is empty now
        return {}
    raise RuntimeError(f"unknown request {request}")


def main():
    """Serve until standard input ends."""
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
