"""What the PCI bus shows, whatever the driver says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DEVICES = Path("/sys/bus/pci/devices")
NVIDIA = "10de"
KINDS = {"0302": "gpu", "0300": "gpu", "0680": "nvswitch"}


def devices() -> dict[str, list[str]]:
    """Addresses of NVIDIA's GPUs and NVSwitches on the bus."""
    found: dict[str, list[str]] = {"gpu": [], "nvswitch": []}
    for entry in sorted(DEVICES.glob("*")):
        kind = KINDS.get(text(entry / "class")[:4])
        if kind and text(entry / "vendor") == NVIDIA:
            found[kind].append(entry.name)
    return found


def kernel_module() -> dict[str, Any]:
    """Version of the module that is loaded, and whether it is the open one."""
    loaded = text(Path("/sys/module/nvidia/version")) or None
    try:
        banner = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return {"version": loaded, "open": None}
    named = re.search(r"  (\d+\.[\d.]+)  ", banner)
    return {"version": loaded or (named and named[1]), "open": "Open Kernel Module" in banner}


def local_cpus(bus: str) -> set[int]:
    """Processors near a GPU, so that host buffers are near it too; empty when the machine does not say."""
    domain, _, rest = bus.lower().partition(":")
    listed = text(DEVICES / f"{domain[-4:]}:{rest}" / "local_cpulist")
    cpus: set[int] = set()
    for part in filter(None, listed.split(",")):
        first, _, last = part.partition("-")
        cpus |= set(range(int(first), int(last or first) + 1))
    return cpus


def text(file: Path) -> str:
    """A file of sysfs without blanks and 0x."""
    try:
        return file.read_text().strip().removeprefix("0x")
    except OSError:
        return ""
