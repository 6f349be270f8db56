"""Files and folders: configuration of a host, models, whatever lies on a disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .kind import Compared, Kind, Place, digest
from .plan import Item


class Files(Kind):
    """Backed up where they lie, with owners, modes and times."""

    staged = False

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Hold every file against the one that is there. One whose status changed since the snapshot began
        says nothing; the time of that change is the kernel's, nobody can set it back."""
        wrong, changed, size = [], 0, 0
        back = {Path("/") / path.relative_to(restored) for path in _below(restored)}
        back = {path for path in back if not _above(path, item)}
        live = {path for path in _live(item) if _steady(path, place)}
        for path in sorted(back):
            again = restored / path.relative_to("/")
            if path not in live:
                changed += 1
                continue
            problem = _difference(path, again)
            if problem and _steady(path, place):
                wrong.append(f"{path}: {problem}")
            size += again.lstat().st_size if not again.is_dir() else 0
        wrong += [f"{path} is missing" for path in sorted(live - back) if _steady(path, place)]
        return Compared(len(back) - changed, size, tuple(wrong), changed)


def _live(item: Item) -> Iterator[Path]:
    """Everything that the item names, as it is now."""
    excluded = {str(path).rstrip("/") for path in item.words.get("exclude", ())}
    for root in item.words["paths"]:
        for path in [Path(root), *_below(Path(root), excluded)]:
            if str(path) not in excluded and os.path.lexists(path) and not _is_socket(path):
                yield path


def _below(root: Path, excluded: set[str] | None = None) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if f"{folder}/{name}" not in (excluded or ())]
        for name in [*folders, *files]:
            yield Path(folder) / name


def _above(path: Path, item: Item) -> bool:
    """A folder on the way to what the item names; it comes along, and nobody asked for it."""
    return not any(path == Path(root) or Path(root) in path.parents for root in item.words["paths"])


def _is_socket(path: Path) -> bool:
    return stat.S_ISSOCK(path.lstat().st_mode)


def _steady(path: Path, place: Place) -> bool:
    try:
        return path.lstat().st_ctime < place.time.timestamp()
    except FileNotFoundError:
        return False


def _difference(original: Path, again: Path) -> str:
    """What is not the same, empty when nothing is."""
    try:
        one, two = original.lstat(), again.lstat()
    except FileNotFoundError:
        return "is missing"
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(two.st_mode):
        return "is of another type"
    if stat.S_ISLNK(one.st_mode):
        return "" if original.readlink() == again.readlink() else "points elsewhere"
    rights = [(a.st_mode & 0o7777, a.st_uid, a.st_gid) for a in (one, two)]
    if rights[0] != rights[1] and os.geteuid() == 0:
        return "has another mode or owner"
    if stat.S_ISREG(one.st_mode) and (one.st_size != two.st_size or digest(original) != digest(again)):
        return "has another content"
    return ""
