"""Files of a new inventory on disk. Nothing that exists is ever overwritten."""

import os
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.check.files import relative
from bedplate.errors import BadInput, Finding
from bedplate.scaffold.generate import File, Files


def write(files: Files, folder: Path) -> None:
    """Write an inventory into a new ``folder``. Raises BadInput when it exists."""
    if folder.exists():
        raise taken(folder)
    for path, file in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(render(file))
    link = folder / "group_vars" / "all" / "common"
    near = folder.resolve().is_relative_to(paths.INVENTORIES)
    link.symlink_to(os.path.relpath(paths.COMMON, link.parent.resolve()) if near else paths.COMMON)


def taken(folder: Path) -> BadInput:
    """What to say where there is something already."""
    why, remedy = (
        "there is an inventory of this name already",
        "choose another name, or move the old one away",
    )
    return BadInput(Finding(relative(folder), "environment", folder.name, why, remedy))


def render(file: File) -> str:
    """YAML as people write it here: one line per disk, NIC, network, tier."""
    lines = ["---"] + ([f"# {file.says}"] if file.says else [])
    for name, value in file.data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{name}:", *(f"  - {_flow(item)}" for item in value)]
        elif name == "all":
            lines += [yaml.safe_dump({name: value}, sort_keys=False).replace(" null", "").rstrip()]
        else:
            lines.append(f"{name}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
