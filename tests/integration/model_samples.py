"""Models made for tests, and what of one can be seen."""

import hashlib
import json
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_store.model import MANIFEST_NAME

from bedplate import paths
from bedplate.model_files import manifest as writer
from tests.ansible_module import Module

MIB = 2**20
PATH = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B/916b56a44061fd5cd7d6a8fb632557ed4f724f60"
SIZES = {  # the shape of a real one: few large files, many small ones, names that need care
    "config.json": 700,
    "empty.bin": 0,
    "model-00001-of-00002.safetensors": 5 * MIB + 17,
    "model-00002-of-00002.safetensors": 3 * MIB,
    "model.safetensors.index.json": 40_000,
    "original/a folder/100% ümlaut+.bin": 300_001,
    "tokenizer.json": MIB,
}
ABSENT, WHOLE = "absent", "whole"


@dataclass(frozen=True)
class Sample:
    """A model at its source: the folder above it, its path and the digest of its manifest."""

    root: Path
    path: str
    digest: str
    size: int

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.root / self.path

    @property
    def wish(self) -> dict[str, str]:
        """As the module wants it."""
        return {"path": self.path, "manifest": self.digest}


def make(root: Path, path: str = PATH, sizes: dict[str, int] = SIZES, seed: int = 1) -> Sample:
    """Write a model of random bytes with its manifest, as a mirror would hold it."""
    chance = random.Random(seed)
    for name, size in sizes.items():
        file = root / path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(size))
    text = writer.document(writer.entries(root / path, 2, lambda *_: None))
    (root / path / writer.NAME).write_bytes(text)
    return Sample(root, path, writer.digest(text), sum(sizes.values()))


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
