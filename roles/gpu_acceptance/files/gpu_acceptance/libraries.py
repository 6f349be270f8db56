"""Versions of CUDA and NCCL that are installed on the host itself, by the names of their files."""

from __future__ import annotations

import re
from pathlib import Path

TOOLKIT = re.compile(r"cuda-(\d+\.\d+)")
NCCL = re.compile(r"libnccl\.so\.(\d+\.\d+\.\d+)")
FOLDERS = ("usr/lib/*-linux-gnu", "usr/lib64", "usr/lib", "usr/local/lib")


def read(root: Path = Path("/")) -> dict[str, list[str]]:
    """Toolkits side by side (13.0), newest last, and every NCCL of the system's folders (2.30.4)."""
    homes = (root / "usr/local").glob("cuda-*/version.json")
    toolkits = {match[1] for home in homes if (match := TOOLKIT.fullmatch(home.parent.name))}
    files = (file for folder in FOLDERS for file in root.glob(f"{folder}/libnccl.so.*"))
    libraries = {match[1] for file in files if (match := NCCL.fullmatch(file.name))}
    return {"cuda": sorted(toolkits, key=_number), "nccl": sorted(libraries, key=_number)}


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
