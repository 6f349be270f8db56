"""GPUs as the PCI bus shows them, without a driver."""

from __future__ import annotations

from pathlib import Path

_NVIDIA = "0x10de"
_DISPLAY = "0x03"  # class of display controllers: 3D (0302) and VGA (0300)


def count(devices: Path = Path("/sys/bus/pci/devices")) -> int:
    """How many NVIDIA GPUs are on the bus."""
    found = (device for device in devices.glob("*") if _read(device / "vendor") == _NVIDIA)
    return sum(_read(device / "class").startswith(_DISPLAY) for device in found)


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
