"""What of a model can be seen, and the module that brings it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from model_store.model import MANIFEST_NAME

from bedplate import paths
from tests.ansible_module import Module
from tests.model_folder import Sample

ABSENT, WHOLE = "absent", "whole"


def state(store: Path, sample: Sample) -> str:
    """Absent, whole, or in words what is wrong with the visible model; judged without the store's own
    code."""
    visible = store / sample.path
    if not visible.exists():
        return ABSENT
    try:
        text = (visible / MANIFEST_NAME).read_bytes()
        if hashlib.sha256(text).hexdigest() != sample.digest:
            return "another manifest"
        listed = {entry["path"]: entry for entry in json.loads(text)["files"]}
        there = {str(file.relative_to(visible)) for file in visible.rglob("*") if file.is_file()}
        if there != {*listed, MANIFEST_NAME}:
            return f"other files: {sorted(there ^ {*listed, MANIFEST_NAME})}"
        wrong = [name for name, entry in listed.items() if _sha256(visible / name) != entry["sha256"]]
    except OSError as problem:
        return f"{problem}"
    return f"wrong content: {wrong}" if wrong else WHOLE


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def run(store: Path, *models: Sample, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """The module in this process."""
    wishes = [model.wish for model in models]
    return Module("model_store")({"store": str(store), "models": wishes, **arguments}, check=check)


def start(store: Path, *models: Sample, **arguments: Any) -> subprocess.Popen[str]:
    """The module in a process of its own, which can be killed; its answer is a line of JSON."""
    words = {"store": str(store), "models": [model.wish for model in models], **arguments}
    program = (
        "import json, sys; sys.path[:0] = sys.argv[2:]; from tests.ansible_module import Module;"
        " print(json.dumps(Module('model_store')(json.loads(sys.argv[1]))))"
    )
    found = [str(paths.ROOT), str(paths.ROOT / "plugins" / "module_utils")]
    command = [sys.executable, "-c", program, json.dumps(words), *found]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def flip(file: Path, offset: int = 0) -> None:
    """Turn one bit of a file around."""
    mode = file.stat().st_mode
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)
    file.chmod(mode)
