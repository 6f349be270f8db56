"""Programs that others keep well, used where the host has them: DCGM, nvbandwidth, nccl-tests."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

LIMIT = 1800.0  # seconds: dcgmi diag -r 3 takes about 15 minutes
LONGEST = 20_000  # characters of output that are kept
NVBANDWIDTH = ("host_to_device_memcpy_ce", "device_to_host_memcpy_ce", "device_to_device_memcpy_read_ce")


def run(level: int, gpus: int) -> dict[str, Any]:
    """Every known tool: whether it is here and, for ``level`` above 0, what it said."""
    commands = {
        "dcgmi": ["dcgmi", "diag", "-r", str(level), "-j"],
        "nvbandwidth": ["nvbandwidth", "-j", "-t", *NVBANDWIDTH],
        "all_reduce_perf": ["all_reduce_perf", "-b", "1G", "-e", "1G", "-g", str(gpus)],
    }
    return {name: one(command, bool(level)) for name, command in commands.items()}


def one(command: list[str], wanted: bool) -> dict[str, Any]:
    """One tool."""
    if not shutil.which(command[0]):
        return {"present": False}
    if not wanted:
        return {"present": True}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"present": True, "command": " ".join(command), "rc": None, "output": str(error)}
    return {
        "present": True,
        "command": " ".join(command),
        "rc": done.returncode,
        "output": parsed(done.stdout) or done.stderr[-LONGEST:],
    }


def parsed(text: str) -> Any:
    """JSON where it is JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text[-LONGEST:]
