"""Observing and changing unpacked releases. Each step leaves every program whole: the old one or the new
one."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .plan import Drop, Host, Link, Unpack

MARK = ".unpacked.json"
MODE = 0o755


class BadArchive(Exception):
    """The archive is not what was pinned, or does not hold the programs."""


@dataclass(frozen=True)
class Places:
    """Folder of the releases, and folder of the links that are on everybody's PATH."""

    root: Path
    links: Path


def observe(places: Places, programs: Sequence[str]) -> Host:
    """What is there."""
    folders = [f for f in places.root.iterdir() if (f / MARK).is_file()] if places.root.is_dir() else []
    folders.sort(key=lambda folder: (folder / MARK).stat().st_mtime_ns)
    targets, strangers = {}, set()
    for program in programs:
        link = places.links / program
        if link.is_symlink():
            target = link.readlink()
            targets[program] = target.parent.name if target.parent.parent == places.root else str(target)
        elif link.exists():
            strangers.add(str(program))
    return Host({folder.name: _faults(folder) for folder in folders}, targets, frozenset(strangers))


def _faults(folder: Path) -> tuple[str, ...]:
    try:
        said: Mapping[str, Sequence[int]] = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return ("its record cannot be read",)
    return tuple(
        f"{name} was touched" for name, stamp in said.items() if _stamp(folder / name) != list(stamp)
    )


def _stamp(file: Path) -> list[int]:
    try:
        status = file.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def unpack(
    action: Unpack, places: Places, members: Mapping[str, str], download: Callable[[Path], None]
) -> None:
    """Let ``download`` bring the archive, and take ``members`` (program to path) out of it.

    Raises BadArchive, and what ``download`` raises.
    """
    staged = places.root / f".{action.key}"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    old = places.root / f".old-{action.key}"
    try:
        archive = staged / ".archive"
        download(archive)
        _extract(archive, staged, members)
        archive.unlink()
        (staged / MARK).write_text(json.dumps({name: _stamp(staged / name) for name in members}))
        target = places.root / action.key
        if target.exists():
            target.rename(old)
        staged.rename(target)
    finally:
        for rest in (staged, old):
            shutil.rmtree(rest, ignore_errors=True)


def _extract(archive: Path, folder: Path, members: Mapping[str, str]) -> None:
    wanted = {PurePosixPath(path).as_posix(): name for name, path in members.items()}
    with tarfile.open(archive) as tar:
        for entry in tar:
            name = wanted.pop(PurePosixPath(entry.name).as_posix(), "")
            data = tar.extractfile(entry) if name and entry.isreg() else None
            if data is None:
                continue
            with data, (folder / name).open("wb") as file:
                shutil.copyfileobj(data, file)
                os.fsync(file.fileno())
            (folder / name).chmod(MODE)
    if wanted:
        raise BadArchive(f"the archive has no {', '.join(sorted(wanted))}")


def link(action: Link, places: Places) -> None:
    """Point a name to its program, in one step."""
    places.links.mkdir(parents=True, exist_ok=True)
    new = places.links / f".{action.program}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(places.root / action.key / action.program)
    new.replace(places.links / action.program)


def drop(action: Drop, places: Places) -> None:
    """Remove an older release."""
    shutil.rmtree(places.root / action.key)
