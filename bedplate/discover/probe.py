"""Runs on the host: reads what is in it and prints one JSON document.

Piped to ``python3 -``: standard library only, Python 3.8 and later, no root; nothing is written. What it
means is decided on the controller (hardware.py).
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

SYS = Path("/sys")
LSBLK = "NAME,TYPE,SERIAL,ROTA,SIZE,MODEL,TRAN,RM,MOUNTPOINTS"
SIOCETHTOOL, GLINKSETTINGS = 0x8946, 0x4C
SPEED, WORDS, MASKS = 4, 15, 48  # offsets in struct ethtool_link_settings of <linux/ethtool.h>
UNKNOWN_SPEED = 0xFFFFFFFF
# Bits of the kernel's link modes (ethtool_link_mode_bit_indices) by speed in Mbit/s.
LINK_MODES = {
    1000: (4, 5, 17, 41),
    2500: (15, 47),
    5000: (48,),
    10000: (12, 18, 19, 20, 42, 43, 44, 45, 46),
    25000: (31, 32, 33),
    40000: (23, 24, 25, 26),
    50000: (34, 35, 40, 52, 53, 54, 55, 56),
    100000: (36, 37, 38, 39, 57, 58, 59, 60, 61, 75, 76, 77, 78, 79),
    200000: (62, 63, 64, 65, 66, 80, 81, 82, 83, 84),
    400000: (69, 70, 71, 72, 73, 85, 86, 87, 88, 89),
    800000: (93, 94, 95, 96, 97, 98),
}


def text(path: Path, default: str = "") -> str:
    """A file of sysfs without surrounding blanks."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return default


def memory() -> dict[str, int]:
    """Bytes: what the kernel may use, and the memory blocks that are plugged in (0: it does not say)."""
    total = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    folder = SYS / "devices/system/memory"
    block = int(text(folder / "block_size_bytes", "0"), 16)
    online = [entry for entry in folder.glob("memory[0-9]*") if text(entry / "online") == "1"]
    return {"usable": int(total.split()[1]) * 1024, "plugged": block * len(online)}


def disks() -> list[dict[str, Any]]:
    """The tree of block devices as lsblk shows it."""
    command = ["lsblk", "--json", "--bytes", "--output", LSBLK]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=dict(os.environ, LC_ALL="C"))
    tree: list[dict[str, Any]] = json.loads(done.stdout)["blockdevices"]
    for disk in tree:
        place = SYS / "block" / disk["name"]
        disk["virtual"] = "/devices/virtual/block/" in os.path.realpath(place)
        disk["usb"] = "/usb" in os.path.realpath(place)
    return tree


def nics() -> list[dict[str, Any]]:
    """Network interfaces that belong to a device, with what the device says of itself."""
    found = []
    for entry in sorted((SYS / "class/net").iterdir()):
        device = entry / "device"
        if not device.exists():
            continue
        found.append(
            {
                "name": entry.name,
                "address": text(entry / "bonding_slave/perm_hwaddr") or text(entry / "address"),
                "type": int(text(entry / "type", "0")),
                "speed": int(text(entry / "speed", "-1")),
                "fastest": fastest(entry.name),
                "rate": next((text(rate) for rate in device.glob("infiniband/*/ports/1/rate")), ""),
                "virtual_function": (device / "physfn").exists(),
                "usb": "/usb" in os.path.realpath(device),
            }
        )
    return found


def fastest(name: str) -> int:
    """Mbit/s that the card can do, 0 when it does not say; asked of the card because its link may be down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        words = -ask_words(sock, name)
        answer = ethtool(sock, name, words) if words > 0 else None
    if not answer:
        return 0
    supported = int.from_bytes(answer[MASKS : MASKS + 4 * words], "little")
    modes = [speed for speed, bits in LINK_MODES.items() if any(supported >> bit & 1 for bit in bits)]
    set_to = int(struct.unpack_from("=I", answer, SPEED)[0])  # a virtual card has a speed, and no modes
    return max([*modes, 0 if set_to == UNKNOWN_SPEED else set_to])


def ask_words(sock: socket.socket, name: str) -> int:
    """The kernel's first answer: minus the number of words of its link mode masks."""
    answer = ethtool(sock, name, 0)
    return int(struct.unpack("b", answer[WORDS : WORDS + 1])[0]) if answer else 0


def ethtool(sock: socket.socket, name: str, words: int) -> bytes | None:
    """ETHTOOL_GLINKSETTINGS with room for three masks of ``words`` words; None when the card has none."""
    buffer = array.array("B", struct.pack("=II12B7I", GLINKSETTINGS, *[0] * 20) + bytes(12 * 127))
    buffer[WORDS] = words & 0xFF
    request = struct.pack("16sP", name.encode(), buffer.buffer_info()[0])
    try:
        fcntl.ioctl(sock.fileno(), SIOCETHTOOL, request)
    except OSError:
        return None
    return buffer.tobytes()


def accelerators() -> list[dict[str, str]]:
    """Display and processing devices on PCI: vendor, device, class as hexadecimal digits."""
    found = []
    for entry in sorted((SYS / "bus/pci/devices").glob("*")):
        values = {key: text(entry / key).replace("0x", "", 1) for key in ("vendor", "device", "class")}
        if values["class"][:2] in ("03", "12"):
            found.append(dict(values, address=entry.name))
    return found


def probe() -> dict[str, Any]:
    """Everything; ``version`` grows when the meaning of a key changes."""
    return {
        "version": 1,
        "host": socket.gethostname(),
        "cpus": os.cpu_count(),
        "memory": memory(),
        "disks": disks(),
        "nics": nics(),
        "accelerators": accelerators(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe()) + "\n")
