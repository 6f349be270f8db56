"""The rim: GPUs on the bus, Secure Boot, loaded modules, who uses a GPU, module files on the disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .driver import Module

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]
SYS, PROC, MODULES = Path("/sys"), Path("/proc"), Path("/lib/modules")
SECURE_BOOT = "firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
RUN_FILE = Path("/usr/bin/nvidia-installer")
DKMS = Path("/var/lib/dkms")
# Daemons that keep a GPU open without working on it; they are restarted with the driver.
SERVICES = re.compile(r"nvidia-persiste|nv-fabricmanage|nv-hostengine|nvsm|dcgm|nvidia-mps")
_LINES = 12  # of a build log


def bus(root: Path = SYS) -> dict[str, dict[str, str]]:
    """Vendor, device and class of every PCI device, by address."""
    found = {}
    for folder in sorted((root / "bus/pci/devices").glob("*")):
        words = {key: _text(folder / key) for key in ("vendor", "device", "class")}
        found[folder.name] = words
    return found


def secure_boot(root: Path = SYS) -> bool:
    """Does the firmware say that Secure Boot is on? Four bytes of attributes, then the value."""
    try:
        return (root / SECURE_BOOT).read_bytes()[4:5] == b"\x01"
    except OSError:
        return False


def loaded(root: Path = SYS) -> str:
    """Version of the loaded module, empty when there is none."""
    return _text(root / "module/nvidia/version")


def nouveau(root: Path = SYS) -> bool:
    """Is nouveau loaded?"""
    return (root / "module/nouveau").is_dir()


def users(root: Path = PROC) -> Iterator[str]:
    """Processes that have a GPU open, as ``name (pid)``."""
    for folder in sorted(root.glob("[0-9]*"), key=lambda path: int(path.name)):
        name = _text(folder / "comm")
        if not SERVICES.match(name) and _has_gpu(folder / "fd"):
            yield f"{name} ({folder.name})"


def _has_gpu(folder: Path) -> bool:
    try:
        return any(re.fullmatch(r"/dev/nvidia\d+", str(link.readlink())) for link in _links(folder))
    except OSError:
        return False


def _links(folder: Path) -> Iterator[Path]:
    return (link for link in folder.iterdir() if link.is_symlink())


def modules(run: Run, kernel: str) -> list[Module]:
    """NVIDIA's main module as built for ``kernel``: nvidia.ko, which Debian calls nvidia-current.ko."""
    found = []
    for file in sorted((MODULES / kernel).rglob("nvidia*.ko*")):
        if re.fullmatch(r"nvidia(-current(-open)?|-tesla-\d+)?\.ko(\.\w+)?", file.name):
            version, licence = (
                run(("modinfo", "-F", key, str(file)))[1].strip() for key in ("version", "license")
            )
            found.append(Module(str(file), version, licence))
    return found


def build(run: Run, kernel: str) -> str:
    """Have DKMS build what is missing for ``kernel``; the end of its log where it fails, else nothing."""
    code, output, errors = run(("dkms", "autoinstall", "-k", kernel))
    if code == 0:
        return ""
    logs = sorted(DKMS.glob(f"nvidia*/*/{kernel}/*/log/make.log")) + sorted(
        DKMS.glob("nvidia*/*/build/make.log")
    )
    text = logs[-1].read_text(errors="replace") if logs else errors or output
    return "\n".join(text.strip().splitlines()[-_LINES:])


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
