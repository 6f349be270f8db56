"""What is there: visible models held against their manifests, begun ones, free space, and who uses what."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from .cache import Cache
from .manifest import LARGEST, BadManifest, parse
from .model import MANIFEST_NAME, FileEntry, Host, Installed, Manifest, Model, StoreError
from .places import OWN, SEALED, Places, size_of
from .sources import Source
from .transfer import hash_file
from .usage import inodes, users


def observe(
    models: Sequence[Model], places: Places, sources: Sequence[Source], full: bool, jobs: int
) -> Host:
    """The host as it is. ``full`` reads every byte of every wished model again, with ``jobs`` files at a
    time.

    Manifests of models that are not there are asked for; what is there as wished asks nobody.
    """
    wished = {model.path: model.digest for model in models}
    looked = [_look(places, path, full and path in wished, jobs) for path in _visible(places)]
    installed = _with_users([there for there in looked if there], wished, places)
    settled = {
        there.path for there in installed if there.digest == wished.get(there.path) and not there.faults
    }
    manifests, unreachable = _manifests([m for m in models if m.path not in settled], places, sources)
    paths = {there.path for there in installed}
    return Host(
        free=_free(places.store),
        installed=tuple(installed),
        staged={folder.name: size_of(folder) for folder in _folders(places.staging)},
        manifests=manifests,
        strangers=frozenset(path for path in wished if path not in paths and _in_the_way(places.model(path))),
        unreachable=unreachable,
    )


def _visible(places: Places) -> Iterator[str]:
    """Paths of all folders that have a manifest; models do not lie in each other."""
    for root, folders, names in os.walk(places.store):
        if Path(root) == places.store:
            folders[:] = [name for name in folders if name != OWN]
        if MANIFEST_NAME in names:
            folders.clear()
            yield str(Path(root).relative_to(places.store))
        folders.sort()


def _look(places: Places, path: str, full: bool, jobs: int) -> Installed | None:
    """One visible model; None where the manifest is none of ours, which makes the folder a stranger's."""
    folder = places.model(path)
    try:
        manifest = parse((folder / MANIFEST_NAME).read_bytes())
    except (OSError, BadManifest):
        return None
    faults = _faults(folder, manifest, full, jobs)
    sound = tuple(entry for entry in manifest.files if entry.path not in faults)
    return Installed(
        path=path,
        digest=manifest.digest,
        size=manifest.size,
        published=folder.lstat().st_ctime,
        faults=tuple(f"{name} {why}" for name, why in faults.items()),
        files=sound,
    )


def _faults(folder: Path, manifest: Manifest, full: bool, jobs: int) -> dict[str, str]:
    """File to what is wrong with it: missing, size, touched since it was sealed; with ``full`` its content
    too."""
    faults = {e.path: why for e in manifest.files if (why := _fault(folder / e.path, e))}
    listed = {entry.path for entry in manifest.files} | {MANIFEST_NAME}
    there = [Path(root) / name for root, _, names in os.walk(folder) for name in names]
    faults.update(
        {n: "is not in the manifest" for f in there if (n := str(f.relative_to(folder))) not in listed}
    )
    if full:
        rest = [entry for entry in manifest.files if entry.path not in faults]
        with ThreadPoolExecutor(jobs) as pool:
            hashes = pool.map(lambda entry: hash_file(folder / entry.path), rest)
            pairs = zip(rest, hashes)  # noqa: B905  `strict` is Python 3.10's
            faults.update({e.path: "has another content" for e, found in pairs if found != e.sha256})
    return faults


def _fault(file: Path, entry: FileEntry) -> str:
    try:
        status = file.lstat()
    except OSError:
        return "is missing"
    if not stat.S_ISREG(status.st_mode):
        return "is no plain file"
    if status.st_size != entry.size:
        return f"has {status.st_size} bytes, not {entry.size}"
    return "" if status.st_mtime_ns == SEALED else "was touched"


def _with_users(there: list[Installed], wished: dict[str, str], places: Places) -> list[Installed]:
    """Who has those open that may have to go; nobody is asked about the others."""
    going = {one.path: inodes(places.model(one.path)) for one in there if wished.get(one.path) != one.digest}
    busy = users(going)
    return [replace(one, users=tuple(busy.get(one.path, ()))) for one in there]


def _manifests(
    models: Sequence[Model], places: Places, sources: Sequence[Source]
) -> tuple[dict[str, Manifest], dict[str, str]]:
    """Manifests of models, from what was begun, the visible copy, the cache, or a source; and why one is
    missing."""
    found: dict[str, Manifest] = {}
    unreachable: dict[str, str] = {}
    for model in models:
        said: list[str] = []
        for text in _texts(model, places, sources, said):
            try:
                found[model.digest] = parse(text, model.digest)
                break
            except BadManifest as problem:
                said.append(f"the manifest cannot be used: {problem}")
        else:
            unreachable[model.digest] = (
                "; ".join(dict.fromkeys(said)) or "there is no source for its manifest"
            )
    return found, unreachable


def _texts(model: Model, places: Places, sources: Sequence[Source], said: list[str]) -> Iterator[bytes]:
    for near in (places.staging / model.digest / MANIFEST_NAME, places.model(model.path) / MANIFEST_NAME):
        if near.is_file():
            text = near.read_bytes()
            if _is(text, model.digest):
                yield text
    kept = Cache(places.cache).manifest(model.digest) if places.cache else None
    if kept is not None and _is(kept, model.digest):
        yield kept
    for source in sources:
        try:
            yield read_all(source, f"{model.path}/{MANIFEST_NAME}")
        except StoreError as problem:
            said.append(str(problem))


def _is(text: bytes, digest: str) -> bool:
    try:
        parse(text, digest)
    except BadManifest:
        return False
    return True


def read_all(source: Source, name: str) -> bytes:
    """A small file of a source. Raises StoreError."""
    stream, text = source.open(name, 0), bytearray()
    buffer = memoryview(bytearray(2**16))
    try:
        while len(text) <= LARGEST:
            count = stream.readinto(buffer)
            if not count:
                return bytes(text)
            text += buffer[:count]
    finally:
        stream.close()
    raise StoreError(f"{source.name}: {name} has more than {LARGEST} bytes")


def _in_the_way(folder: Path) -> bool:
    """Whether something lies where a model shall be."""
    return folder.is_symlink() or folder.exists()


def _folders(parent: Path) -> list[Path]:
    return sorted(parent.iterdir()) if parent.is_dir() else []


def _free(store: Path) -> int:
    """Bytes free where the store is, or will be."""
    there = next(folder for folder in (store, *store.parents) if folder.is_dir())
    return shutil.disk_usage(there).free
