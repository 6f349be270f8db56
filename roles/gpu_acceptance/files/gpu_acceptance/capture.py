"""Keeps outputs of this host as fixtures. People publish those, so serial numbers and UUIDs are masked."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from . import facts

COMMANDS = {
    "nvidia-smi-q.xml": ["nvidia-smi", "-q", "-x"],
    "nvidia-smi-nvlink-s.txt": ["nvidia-smi", "nvlink", "-s"],
    "nvidia-smi-nvlink-e.txt": ["nvidia-smi", "nvlink", "-e"],
    "topo-m.txt": ["nvidia-smi", "topo", "-m"],
}
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
SERIAL = re.compile(r"(<serial>|\"serial\": \"|Serial Number\s*: )([0-9]+)")
GUID = re.compile(r"(<(?:pdi|gpu_fabric_guid|chassis_serial_number)>)(0x[0-9a-f]+|[0-9A-Z]+)(?=<)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def masked(text: str) -> str:
    """Every UUID and serial number replaced by a made-up one, the same one for the same original."""
    numbers: dict[str, int] = {}

    def number(original: str) -> int:
        return numbers.setdefault(original, len(numbers))

    def uuid(match: re.Match[str]) -> str:
        return f"00000000-0000-4000-8000-{number(match[0].lower()):012d}"

    def serial(match: re.Match[str]) -> str:
        return f"{match[1]}{number(match[2]):013d}"

    def guid(match: re.Match[str]) -> str:
        return f"{match[1]}0x{number(match[2]):016x}"

    rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
        (UUID, uuid),
        (SERIAL, serial),
        (GUID, guid),
    ]
    text = COLOUR.sub("", text)
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def write(folder: Path) -> None:
    """All outputs, the facts, and the kernel's lines about XIDs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in COMMANDS.items():
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            (folder / name).write_text(masked(done.stdout))
    known = facts.read() | {"host": "captured"}
    (folder / "facts.json").write_text(masked(json.dumps(known, indent=1)) + "\n")
