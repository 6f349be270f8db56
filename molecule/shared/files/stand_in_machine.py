"""Runs in a container: gives it NVIDIA devices on its PCI bus, Secure Boot, a loaded driver.

Only what a role reads is there: sysfs files over the container's own, which no other container sees.
"""

import json
import subprocess
import sys
from pathlib import Path

SECURE_BOOT = "efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
CLASSES = {"gpus": "0x030200", "switches": "0x068000"}
NOTE = '#!/bin/sh\necho "$@" >> /var/log/initramfs-made\n'


def cover(folder):
    """An empty folder in place of ``folder``."""
    if subprocess.run(["mountpoint", "-q", folder], check=False).returncode == 0:
        subprocess.run(["umount", folder], check=False)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    return Path(folder)


def devices(machine):
    """Every GPU and NVSwitch with an address of its own."""
    bus, number = cover("/sys/bus/pci/devices"), 16
    for kind, words in CLASSES.items():
        for device, count in machine.get(kind, {}).items():
            for _ in range(count):
                number += 1
                folder = bus / f"0000:{number:02x}:00.0"
                folder.mkdir()
                for name, value in {"vendor": "0x10de", "device": f"0x{device}", "class": words}.items():
                    (folder / name).write_text(f"{value}\n")


def main(machine):
    """The machine as it is described."""
    devices(machine)
    firmware = cover("/sys/firmware")
    if "secure_boot" in machine:
        file = firmware / SECURE_BOOT
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes([6, 0, 0, 0, int(machine["secure_boot"])]))
    modules = cover("/sys/module")
    if machine.get("loaded"):
        (modules / "nvidia").mkdir()
        (modules / "nvidia/version").write_text(f"{machine['loaded']}\n")
    if machine.get("nouveau"):
        (modules / "nouveau").mkdir()
    note = Path("/usr/sbin/update-initramfs")
    note.write_text(NOTE)
    note.chmod(0o755)


main(json.loads(sys.argv[1]))
