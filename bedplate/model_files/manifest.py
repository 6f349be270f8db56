"""Writing the manifest of a model: path, size and SHA-256 of every file, in an order of its own.

The same files give the same document, byte by byte, so its SHA-256 names the model. Role model_store reads
it on the
hosts (plugins/module_utils/model_store/manifest.py); a contract test holds one against the other.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from bedplate.errors import BAD_INPUT, BedplateError

NAME = "bedplate-manifest.json"
FORMAT = 1
OnFile = Callable[[str, int], None]


@dataclass(frozen=True)
class Entry:
    """One file: path relative to the model's folder, bytes, SHA-256."""

    path: str
    size: int
    sha256: str


def files(folder: Path) -> list[Path]:
    """Every file of a model, sorted by path; hidden files are left out. Raises BedplateError.

    Hidden folders hold what downloaders and version control remember (.git, .cache), never weights. A link
    to a
    file counts as that file: caches of downloaders are made of them.
    """
    if not folder.is_dir():
        raise BedplateError(f"{folder} is no folder", remedy="name the folder of one model", code=BAD_INPUT)
    found = sorted(_walk(folder), key=lambda file: file.relative_to(folder).as_posix())
    if not found:
        raise BedplateError(f"{folder} holds no files", remedy="name the folder of one model", code=BAD_INPUT)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(root) / name
            if name.startswith(".") or (Path(root) == folder and name == NAME):
                continue
            if not file.exists() or not stat.S_ISREG(file.stat().st_mode):
                raise BedplateError(f"{file} is no plain file", remedy="remove it", code=BAD_INPUT)
            yield file


def entries(folder: Path, jobs: int, on_file: OnFile) -> list[Entry]:
    """Hash every file, ``jobs`` at a time; ``on_file`` hears of each that is done (path, bytes)."""

    def one(file: Path) -> Entry:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            size = opened.tell()
        entry = Entry(file.relative_to(folder).as_posix(), size, digest)
        on_file(entry.path, entry.size)
        return entry

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, files(folder)))


def document(listed: list[Entry]) -> bytes:
    """The manifest itself."""
    body = {"format": FORMAT, "files": [asdict(entry) for entry in listed]}
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()


def digest(text: bytes) -> str:
    """What an inventory pins."""
    return hashlib.sha256(text).hexdigest()
