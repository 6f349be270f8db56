"""Is a disk empty? Everything that speaks against it, in words. One hit is enough to refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .model import Disk, Holder, Signature

# libblkid type -> what people call it. Types that are not listed are refused too, as "a signature of type X".
NAMES = {
    "gpt": "a GPT partition table", "dos": "an MBR partition table", "PMBR": "a protective MBR",
    "sgi": "an SGI disk label", "sun": "a Sun disk label", "mac": "an Apple partition map",
    "bsd": "a BSD disk label", "atari": "an Atari partition table", "minix": "a Minix filesystem",
    "ext2": "an ext2 filesystem", "ext3": "an ext3 filesystem", "ext4": "an ext4 filesystem",
    "jbd": "an external ext4 journal", "xfs": "an XFS filesystem", "xfs_external_log": "an external XFS log",
    "btrfs": "a Btrfs filesystem", "vfat": "a FAT filesystem", "exfat": "an exFAT filesystem",
    "ntfs": "an NTFS filesystem", "hfsplus": "an HFS+ filesystem", "apfs": "an APFS container",
    "iso9660": "an ISO 9660 image", "udf": "a UDF filesystem", "squashfs": "a SquashFS image",
    "erofs": "an EROFS image", "f2fs": "an F2FS filesystem", "reiserfs": "a ReiserFS filesystem",
    "jfs": "a JFS filesystem", "nilfs2": "a NILFS2 filesystem", "ocfs2": "an OCFS2 filesystem",
    "gfs2": "a GFS2 filesystem", "bcachefs": "a bcachefs filesystem", "swap": "a swap area",
    "swsuspend": "a hibernation image", "LVM2_member": "an LVM physical volume",
    "LVM1_member": "an LVM1 physical volume", "crypto_LUKS": "a LUKS container",
    "BitLocker": "a BitLocker volume", "zfs_member": "a ZFS pool member", "bcache": "a bcache device",
    "ceph_bluestore": "a Ceph OSD", "drbd": "a DRBD replica", "stratis": "a Stratis pool member",
    "VMFS_volume_member": "a VMware VMFS member",
    "VMFS": "a VMware VMFS volume", "mpath_member":
    "a multipath member", "DM_verity_hash": "a dm-verity hash tree", "DM_integrity": "a dm-integrity device",
    "DM_snapshot_cow": "a device-mapper snapshot", "vdo": "a VDO volume", "oracleasm": "an Oracle ASM disk",
    "linux_raid_member": "an md RAID superblock", "ddf_raid_member": "a DDF RAID superblock",
    "isw_raid_member": "an Intel RAID superblock", "lsi_mega_raid_member": "an LSI RAID superblock",
    "adaptec_raid_member": "an Adaptec RAID superblock", "nvidia_raid_member": "an NVIDIA RAID superblock",
    "silicon_medley_raid_member": "a Silicon Image RAID superblock", "cs_fvault2": "a FileVault volume",
    "promise_fasttrack_raid_member": "a Promise RAID superblock", "via_raid_member": "a VIA RAID superblock",
    "highpoint_raid_member": "a HighPoint RAID superblock", "ubi": "a UBI volume",
}  # fmt: skip

_HOLDERS = {
    "md": "md array", "crypt": "opened LUKS container", "lvm": "LVM volume", "mpath": "multipath device",
    "dm": "device-mapper device", "bcache": "bcache device",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """One thing that was found on a disk; what is ``active`` not even a confirmed wipe touches."""

    what: str
    remedy: str
    active: bool = False


def found(disk: Disk) -> tuple[Found, ...]:
    """Everything that speaks against calling ``disk`` empty; () means that it may be used."""
    return tuple(_in_use(disk)) + tuple(_traces(disk))


def in_use(disk: Disk) -> tuple[Found, ...]:
    """What uses the disk now; even a confirmed wipe refuses it."""
    return tuple(item for item in found(disk) if item.active)


def _in_use(disk: Disk) -> Iterator[Found]:
    spared = "if it can be spared"
    if disk.system:  # its mounts are no news, and unmounting them no advice
        yield Found("the running system lies on it", "leave it out of every tier", active=True)
        return
    yield from (Found(what, remedy, active=True) for wrong, what, remedy in _unfit(disk) if wrong)
    for point in disk.mounts:
        yield Found(f"it is mounted at {point}", f"unmount it (umount {point}) {spared}", active=True)
    for swap in disk.swaps:
        yield Found(f"{swap} is active swap", f"end it (swapoff /dev/{swap}) {spared}", active=True)
    for holder in disk.holders:
        yield Found(f"{_holder(holder)} uses it", _release(holder), active=True)
    for claim in disk.claims:
        yield Found(claim, "release it with the tool that uses it", active=True)
    if disk.busy and not (disk.mounts or disk.swaps or disk.holders):
        why = "find what has it open (lsof, containers, iSCSI or virtual machine exports)"
        yield Found(f"the kernel refuses exclusive use ({disk.busy})", why, active=True)


def _unfit(disk: Disk) -> tuple[tuple[bool, str, str], ...]:
    no_serial = "give the disk one, or use another: without it could be mixed up"
    return (
        (not disk.kind, "it is not a local NVMe, SSD or hard disk", "name another disk"),
        (not disk.serial, "it has no serial number", no_serial),
        (disk.size <= 0, "its size is zero", "check the drive and its cabling"),
        (disk.read_only, "it is read-only", "remove the write protection, or replace the disk"),
    )


def _traces(disk: Disk) -> Iterator[Found]:
    keep = "move what is needed elsewhere, then wipe it with playbooks/storage_wipe.yml"
    if disk.unreadable:
        yield Found(f"it could not be read ({disk.unreadable})", "replace the disk, or check its cabling")
    if disk.partitions:
        yield Found(f"it has partitions: {', '.join(disk.partitions)}", keep)
    for signature in disk.signatures:
        yield Found(_signature(signature, disk), keep)
    if disk.superblock and not any(s.type == "linux_raid_member" for s in disk.signatures):
        yield Found(f"it is a member of md array {disk.superblock.name or disk.superblock.uuid}", keep)
    if disk.stray is not None and not disk.signatures and not disk.superblock:
        yield Found(f"there are bytes at offset {disk.stray} that no known signature explains", keep)


def _signature(signature: Signature, disk: Disk) -> str:
    name = NAMES.get(signature.type) or f"a signature of type {signature.type}"
    details: list[str] = []
    if signature.label:
        details.append(f'"{signature.label}"')
    if disk.superblock and signature.type == "linux_raid_member":
        details.append(f"array {disk.superblock.name or 'without a name'} {disk.superblock.uuid}")
    elif signature.uuid:
        details.append(signature.uuid)
    on = f" on {signature.device}" if signature.device != disk.path else ""
    return f"it holds {name}{on} at offset {signature.offset}" + (
        f" ({', '.join(details)})" if details else ""
    )


def _holder(holder: Holder) -> str:
    kind = _HOLDERS.get(holder.kind, "device")
    return f"{kind} {holder.name}" + (f" ({holder.label})" if holder.label else "")


def _release(holder: Holder) -> str:
    by_kind = {
        "md": f"if it can be spared: mdadm --stop /dev/{holder.name}",
        "crypt": f"if it can be spared: cryptsetup close {holder.label}",
        "lvm": "if it can be spared: vgchange -an",
        "mpath": f"if it can be spared: multipath -f {holder.label}",
        "dm": f"if it can be spared: dmsetup remove {holder.label}",
        "bcache": f"if it can be spared: stop it through /sys/block/{holder.name}/bcache/stop",
    }
    return by_kind.get(holder.kind, f"release /dev/{holder.name} with the tool that made it")
