"""Folders with models made for tests, as a mirror would hold them.

``python -m tests.model_folder FOLDER PATH...`` makes one below FOLDER for each PATH, and FOLDER/digests.json.
"""

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from bedplate.model_files import manifest

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
    """Write a model of random bytes with its manifest."""
    chance = random.Random(seed)
    for name, size in sizes.items():
        file = root / path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(size))
    text = manifest.document(manifest.entries(root / path, 2, lambda *_: None))
    (root / path / manifest.NAME).write_bytes(text)
    return Sample(root, path, manifest.digest(text), sum(sizes.values()))


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    made = [make(Path(folder), name, seed=number) for number, name in enumerate(names)]
    (Path(folder) / "digests.json").write_text(json.dumps({one.path: one.digest for one in made}))
