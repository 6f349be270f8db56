"""Puts a Triton model repository together from a ConfigMap and the weights that lie elsewhere.

Usage: assemble.py CONFIG_MAP_DIRECTORY REPOSITORY

CONFIG_MAP_DIRECTORY/layout.json holds {"files": {path: key}, "links": {path: directory}}. A link whose
directory is missing or empty ends the program with exit code 1: Triton would only say that the model has no
version.
"""

import json
import shutil
import sys
from pathlib import Path


def assemble(source: Path, repository: Path) -> list[str]:
    """Write every file and link; returns what is missing."""
    layout = json.loads((source / "layout.json").read_text())
    missing = []
    for path, key in layout["files"].items():
        target = repository / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / key, target)
    for path, directory in layout["links"].items():
        weights = Path(directory)
        if not weights.is_dir() or not any(weights.iterdir()):
            missing.append(f"{path}: there is nothing in {directory}")
            continue
        target = repository / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(weights)
    return missing


def main(source: str, repository: str) -> None:
    """Assemble, or say what is missing."""
    if missing := assemble(Path(source), Path(repository)):
        sys.exit("\n".join(missing))


if __name__ == "__main__":
    main(*sys.argv[1:])
