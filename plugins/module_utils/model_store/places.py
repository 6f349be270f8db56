"""Where things lie in the store, and the steps that make a change of it survive a power cut."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .model import StoreError

OWN = ".bedplate"
SEALED = (
    946684800 * 10**9
)  # 1 January 2000, in ns: time stamp of every file of a model; whoever writes to it changes it
FILE_MODE, FOLDER_MODE = 0o444, 0o555
TOP_MODE = 0o755  # a folder that is not writable cannot be moved, not even by its owner
WORK_MODE = 0o700


@dataclass(frozen=True)
class Places:
    """The store, and the folder of the second tier that serves as its cache (None: there is none)."""

    store: Path
    cache: Path | None = None

    @property
    def own(self) -> Path:
        """What is not a model."""
        return self.store / OWN

    @property
    def staging(self) -> Path:
        """Models that are being put together, by digest."""
        return self.own / "staging"

    @property
    def trash(self) -> Path:
        """Models that are no longer visible, until nobody has them open."""
        return self.own / "trash"

    def model(self, path: str) -> Path:
        """Where a model is visible."""
        return self.store / path

    def prepare(self) -> None:
        """Make the store and its own folders."""
        self.store.mkdir(parents=True, exist_ok=True)
        for folder in (self.own, self.staging, self.trash):
            folder.mkdir(exist_ok=True, mode=WORK_MODE)


@contextmanager
def locked(places: Places) -> Iterator[None]:
    """One run at a time. Raises StoreError when another one is at work."""
    handle = os.open(places.own / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError(f"another run is at work on {places.store}; wait for it, then run again") from None
    finally:
        os.close(handle)


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def seal(folder: Path) -> None:
    """Files and folders read-only, time stamps the store's own, every name durable; the innermost first."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(root) / name
            file.chmod(FILE_MODE)
            os.utime(file, ns=(SEALED, SEALED))
        Path(root).chmod(FOLDER_MODE)
        sync(Path(root))
    folder.chmod(TOP_MODE)


def show(staged: Path, visible: Path, trash: Path, store: Path) -> None:
    """Rename a sealed folder to its place; what was there goes to ``trash``. Cut at any point, the visible
    model is
    the old one, the new one, or none."""
    visible.parent.mkdir(parents=True, exist_ok=True)
    if visible.exists():
        visible.rename(trash)
        sync(trash.parent)
    staged.rename(visible)
    for parent in visible.parents:
        sync(parent)
        if parent == store:
            break
    sync(staged.parent)


def erase(folder: Path) -> None:
    """Remove a folder of the store, sealed or not."""
    for root, _, _ in os.walk(folder):
        Path(root).chmod(WORK_MODE)
    shutil.rmtree(folder)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    sizes = [(Path(root) / name).lstat().st_size for root, _, names in os.walk(folder) for name in names]
    return sum(sizes)
