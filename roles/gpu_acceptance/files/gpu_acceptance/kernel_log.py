"""What the driver wrote into the kernel log: XIDs, with their time."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import Any

XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+),?\s*(.*)")
SXID = re.compile(r"nvidia-nvswitch\d+: SXid \(PCI:([0-9a-fA-F:.]+)\): (\d+),?\s*(.*)")
RECORD = 8192  # bytes: the kernel hands out one record per read


def read() -> dict[str, Any]:
    """XIDs and SXIDs of this boot, oldest first, each once; ``source`` is empty when nothing may be read."""
    lines, sources = [], []
    for name, reader in (("journal", journal), ("kmsg", kmsg)):
        found = reader()
        if found is not None:
            sources.append(name)
            lines += found
    return {"source": "+".join(sources), "xids": parse(lines)}


def parse(lines: list[tuple[float, str]]) -> list[dict[str, Any]]:
    """Events in lines of (Unix time, text). The journal repeats lines at slightly other times."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for when, text in sorted(lines):
        for kind, pattern in (("xid", XID), ("sxid", SXID)):
            match = pattern.search(text)
            if match:
                event = {"kind": kind, "bus": match[1].lower(), "code": int(match[2]), "text": match[3][:200]}
                key = (*event.values(), round(when / 5))
                near = (*event.values(), round(when / 5) - 1)
                if key not in seen and near not in seen:
                    seen[key] = {"time": round(when, 3), **event}
    return list(seen.values())


def kmsg() -> list[tuple[float, str]] | None:
    """The kernel's own ring; old lines are gone when it has wrapped."""
    try:
        descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    lines = []
    try:
        while True:
            try:
                record = os.read(descriptor, RECORD).decode(errors="replace")
            except BrokenPipeError:
                continue  # overwritten while it was read
            except OSError:
                break  # nothing more
            head, _, text = record.partition(";")
            lines.append((boot + int(head.split(",")[2]) / 1e6, text.split("\n", 1)[0]))
    finally:
        os.close(descriptor)
    return lines


def journal() -> list[tuple[float, str]] | None:
    """The same from the journal, which does not wrap with the ring."""
    command = ["journalctl", "--dmesg", "--boot", "--output=short-unix", "--no-pager", "--grep=Xid"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode not in (0, 1):  # 1: no such line
        return None
    return [split for line in done.stdout.splitlines() if (split := stamped(line))]


def stamped(line: str) -> tuple[float, str] | None:
    """``1763900000.123456 host kernel: text``."""
    first, _, rest = line.partition(" ")
    try:
        return float(first), rest
    except ValueError:
        return None
