"""How ``hardware.yml`` is written: one line per disk and NIC, and what only people know is kept."""

import json
import re
from pathlib import Path
from typing import Any

from bedplate.inventory import Vars

KEPT = ("hardware_rack",)  # cannot be read from the machine
FILE = "hardware.yml"
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*|\d+(\.\d+)?[A-Za-z]+")
NOT_TEXT = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def render(variables: Vars, known: Vars) -> str:
    """Pure: the file's text. ``known`` are the host's variables as the inventory has them now."""
    everything = variables | {key: known[key] for key in KEPT if key in known}
    lines = ["---"]
    for key, value in everything.items():
        if isinstance(value, list):
            lines.append(f"{key}:" if value else f"{key}: []")
            lines += [f"  - {_flow(entry)}" for entry in value]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def differences(variables: Vars, known: Vars) -> list[str]:
    """Pure: what the machine says otherwise than the inventory, one line each."""
    lines = []
    for key, value in variables.items():
        if isinstance(value, list):
            name = "serial" if key == "hardware_disks" else "mac"
            here, there = (
                {entry[name]: entry for entry in entries} for entries in (value, known.get(key, []))
            )
            lines += [f"{key}: {one} is in the inventory only" for one in there if one not in here]
            lines += [f"{key}: {one} is in the machine only" for one in here if one not in there]
            lines += [
                f"{key}: {one}: {field} is {text}, the inventory says {there[one].get(field, 'nothing')}"
                for one in here
                if one in there
                for field, text in here[one].items()
                if there[one].get(field) != text
            ]
        elif known.get(key) != value:
            lines.append(f"{key} is {_flow(value)}, the inventory says {_flow(known.get(key, 'nothing'))}")
    if "hardware_gpus" in known and "hardware_gpus" not in variables:
        lines.append("hardware_gpus: the inventory has GPUs, the machine shows none")
    return lines


def write(folder: Path, text: str) -> bool:
    """Write hardware.yml into a host's folder; False when it already said so."""
    file = folder / FILE
    if file.exists() and file.read_text() == text:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return True


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str):
        plain = PLAIN.fullmatch(value) and value.lower() not in NOT_TEXT and not _looks_like_a_number(value)
        return value if plain else json.dumps(value)
    return json.dumps(value)


def _looks_like_a_number(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9.]+[eE][0-9]+|0[xo][0-9a-fA-F]+|[0-9_]+", value))
