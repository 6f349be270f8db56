"""Carrying a plan out. Whatever happens on the way, the visible models are whole and right, or absent."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cache import Cache
from .model import MANIFEST_NAME, FileEntry, Installed, Manifest, StoreError
from .places import WORK_MODE, Places, erase, seal, show, sync
from .plan import Action, Discard, Fetch, Remove
from .sources import Source
from .transfer import Cancelled, fetch, right
from .usage import inodes, users

CACHE, HERE = "cache", "already here"


@dataclass
class Done:
    """What was done: the models that came, with bytes by where they came from, and notes for people."""

    models: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """What carrying out needs to know besides the plan."""

    places: Places
    sources: Sequence[Source]
    cache: Cache | None
    jobs: int
    installed: Mapping[str, Installed]


def apply(actions: Sequence[Action], work: Work) -> Done:
    """Do everything in order. Raises StoreError; what came until then stays aside for the next run."""
    done = Done()
    empty_trash(work.places)
    for action in actions:
        if isinstance(action, Fetch):
            done.models.append(_fetch(action, work, done))
        elif isinstance(action, Remove):
            _remove(action, work.places, done)
        elif isinstance(action, Discard):
            erase(work.places.staging / action.digest)
    empty_trash(work.places)
    return done


def empty_trash(places: Places) -> None:
    """Remove what is no longer visible, except what somebody still has open."""
    folders = {folder.name: inodes(folder) for folder in places.trash.iterdir()}
    busy = users(folders)
    for name in folders:
        if name not in busy:
            erase(places.trash / name)


def _remove(action: Remove, places: Places, done: Done) -> None:
    """Out of sight first; whoever opened it in this very moment gets it back."""
    visible, aside = places.model(action.path), places.trash / _unique(action.path)
    keys = inodes(visible)
    visible.rename(aside)
    busy = users({action.path: keys})
    if busy:
        aside.rename(visible)
        done.notes.append(f"{action.path} stays: {', '.join(busy[action.path])} has just opened it")
        return
    sync(visible.parent)
    erase(aside)
    for parent in visible.parents:
        if parent == places.store:
            break
        with suppress(OSError):
            parent.rmdir()


def _fetch(action: Fetch, work: Work, done: Done) -> dict[str, Any]:
    """Put one model together and show it."""
    begin, manifest = time.monotonic(), action.manifest
    staged = work.places.staging / manifest.digest
    staged.mkdir(exist_ok=True, mode=WORK_MODE)
    (staged / MANIFEST_NAME).unlink(missing_ok=True)
    (staged / MANIFEST_NAME).write_bytes(manifest.text)
    _clean(staged, manifest)
    if work.cache:
        _make_room(work.cache, manifest, action.missing)
    origin = _gather(action, staged, work)
    with (staged / MANIFEST_NAME).open("rb") as file:
        os.fsync(file.fileno())
    seal(staged)
    trash = work.places.trash / _unique(action.path)
    show(staged, work.places.model(action.path), trash, work.places.store)
    if work.cache and not _keep(manifest, work.places.model(action.path), work.cache, work.jobs):
        done.notes.append(f"{action.path}: the cache {work.cache.root} did not take everything")
    return {
        "path": action.path,
        "manifest": manifest.digest,
        "bytes": manifest.size,
        "files": len(manifest.files),
        "from": dict(sorted((+origin).items())),
        "seconds": round(time.monotonic() - begin, 3),
    }


def _clean(staged: Path, manifest: Manifest) -> None:
    """Remove from what was begun whatever this manifest does not name."""
    named = (
        {MANIFEST_NAME}
        | {entry.path for entry in manifest.files}
        | {f"{e.path}.part" for e in manifest.files}
    )
    for root, _, names in os.walk(staged):
        for name in names:
            file = Path(root) / name
            if str(file.relative_to(staged)) not in named:
                file.unlink()


def _gather(action: Fetch, staged: Path, work: Work) -> Counter[str]:
    """Every file, several at a time; bytes by where they came from. The first failure ends all."""
    stop, origin, problems = threading.Event(), Counter(), []  # type: ignore[var-annotated]

    def one(entry: FileEntry) -> None:
        if stop.is_set():
            return
        try:
            origin.update(_bring(action, entry, staged, work, stop))
        except Cancelled:
            pass
        except (StoreError, OSError) as problem:
            problems.append(problem)
            stop.set()

    with ThreadPoolExecutor(work.jobs) as pool:
        # the largest first, so that no single one is left over at the end
        list(pool.map(one, sorted(action.manifest.files, key=lambda entry: -entry.size)))
    if problems:
        raise StoreError(
            f"{action.path} is not there yet: {problems[0]}. What came so far is kept for the next run"
        )
    return origin


def _bring(
    action: Fetch, entry: FileEntry, staged: Path, work: Work, stop: threading.Event
) -> dict[str, int]:
    """One file into the staging folder: what is there already, the visible copy, the cache, the sources."""
    target = staged / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() or target.is_symlink():
        if right(target, entry, stop):
            return {HERE: entry.size}
        target.unlink()
    present = work.installed.get(action.path)
    for twin in (one for one in (present.files if present else ()) if one.sha256 == entry.sha256):
        visible = work.places.model(action.path) / twin.path
        if right(visible, entry, stop):
            os.link(visible, target)
            return {HERE: entry.size}
    if work.cache:
        taken = work.cache.take(entry, target, stop)
        if taken:
            return {CACHE: taken.travelled, HERE: taken.kept}
    came = fetch(entry, f"{action.path}/{entry.path}", target, work.sources, stop)
    return {came.source: came.travelled, HERE: came.kept}


def _make_room(cache: Cache, manifest: Manifest, missing: int) -> None:
    with suppress(OSError):
        cache.root.mkdir(parents=True, exist_ok=True)
        wanted = {entry.sha256 for entry in manifest.files} | {manifest.digest}
        cache.drop(wanted, missing + cache.floor - shutil.disk_usage(cache.root).free)


def _keep(manifest: Manifest, folder: Path, cache: Cache, jobs: int) -> bool:
    """Copies for the cache, once per content; whether all of them are there."""
    cache.keep_manifest(manifest)
    once = {entry.sha256: entry for entry in manifest.files}
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        return all(pool.map(lambda entry: cache.keep(entry, folder / entry.path, stop), once.values()))


def _unique(path: str) -> str:
    return f"{time.time_ns()}-{path.replace('/', '--')}"
