"""How containers get the GPUs: what NVIDIA's toolkit finds, and what is described on the host (CDI)."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

PROGRAM, KIND = "nvidia-ctk", "nvidia.com/gpu"
SECONDS = 60.0


def read() -> dict[str, Any] | None:
    """None where the toolkit is not installed. ``devices`` maps names to device nodes as the toolkit finds
    them now, ``described`` are the names that the host's files have; ``error`` is what went wrong.
    """
    if not shutil.which(PROGRAM):
        return None
    code, found, errors = say("generate", "--format=json")
    listed = say("list")[1]
    return {
        "devices": devices(found) if code == 0 else {},
        "described": described(listed),
        "error": "" if code == 0 else errors.strip()[-300:],
    }


def say(*words: str) -> tuple[int, str, str]:
    """What ``nvidia-ctk cdi`` says: exit code, output, messages."""
    try:
        command = [PROGRAM, "cdi", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def devices(text: str) -> dict[str, list[str]]:
    """Device nodes by the name of the device, of a description."""
    spec = json.loads(text)
    nodes = {entry["name"]: entry["containerEdits"].get("deviceNodes", ()) for entry in spec["devices"]}
    return {name: [node["path"] for node in found] for name, found in nodes.items()}


def described(text: str) -> list[str]:
    """Names of GPUs in the list of all devices that are described."""
    lines = (line.strip() for line in text.splitlines())
    return [line.removeprefix(f"{KIND}=") for line in lines if line.startswith(f"{KIND}=")]
