"""Labels of things for which the machine has no tool: the bytes that make libblkid know them.

Runs on the machine.
"""

import struct

MIB = 1024 * 1024


def crc32_table(polynomial):
    """Table of a reflected CRC of 32 bits."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


def crc32(data, start, polynomial):
    """A reflected CRC of 32 bits without final inversion."""
    table = crc32_table(polynomial)
    for byte in data:
        start = start >> 8 ^ table[(start ^ byte) & 0xFF]
    return start


def crc64(data):
    """CRC-64/WE, as bcache sums its superblock."""
    value = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        value ^= byte << 56
        for _ in range(8):
            value = (value << 1 ^ (0x42F0E1EBA9EA3693 if value >> 63 else 0)) & 0xFFFFFFFFFFFFFFFF
    return value ^ 0xFFFFFFFFFFFFFFFF


def lvm():
    """Label of an LVM physical volume, in the second sector."""
    body = struct.pack("<I8s32s", 32, b"LVM2 001", b"K" * 32).ljust(512 - 20, b"\0")
    checksum = crc32(body, 0xF597A6CF, 0xEDB88320)
    return [(512, b"LABELONE" + struct.pack("<QI", 1, checksum) + body)]


def zfs():
    """Uberblocks of a ZFS pool member, in the first label."""
    return [(128 * 1024 + n * 1024, struct.pack("<QQQQQ", 0x00BAB10C, 5000, n + 1, 7, 1)) for n in range(8)]


def zfs_at_the_end(size):
    """Uberblocks in the last label alone, as a half-hearted wipe leaves them."""
    start = size // (256 * 1024) * (256 * 1024) - 256 * 1024
    return [(start + offset, data) for offset, data in zfs()]


def bcache():
    """Superblock of a bcache backing device."""
    magic = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")
    body = struct.pack("<QQ", 8, 1) + magic + b"U" * 16 + b"S" * 16 + b"L" * 32
    body += struct.pack("<QQ", 0, 0) + bytes(64) + bytes(24)
    body = body.ljust(208 - 8, b"\0")
    return [(4096, struct.pack("<Q", crc64(body)) + body)]


def btrfs():
    """Superblock of a Btrfs filesystem."""
    block = bytearray(4096)
    block[0x20:0x30] = b"F" * 16
    struct.pack_into("<Q", block, 0x30, 65536)
    block[0x40:0x48] = b"_BHRfS_M"
    struct.pack_into("<QQ", block, 0x70, 512 * MIB, MIB)
    struct.pack_into("<QII", block, 0x88, 1, 4096, 4096)
    checksum = crc32(bytes(block[0x20:]), 0xFFFFFFFF, 0x82F63B78) ^ 0xFFFFFFFF
    struct.pack_into("<I", block, 0, checksum)
    return [(65536, bytes(block))]


MAGICS = {
    "ceph": [(0, b"bluestore block device\n0123456789abcdef\n")],
    "oracle": [(32, b"ORCLDISK")],
    "bitlocker": [
        (0, (b"\xeb\x58\x90-FVE-FS-".ljust(176, b"\0") + struct.pack("<Q", 65536))),
        (65536, b"-FVE-FS-" + struct.pack("<HH", 64, 2)),
    ],
    "iso9660": [(32768, b"\x01CD001\x01" + b" " * 32)],
    "squashfs": [(0, b"hsqs" + bytes(24) + struct.pack("<HH", 4, 0))],
    "vmfs": [(MIB, struct.pack("<I", 0xC001D00D))],
}
