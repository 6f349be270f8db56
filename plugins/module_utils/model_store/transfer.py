"""One file from a source to its place: hashed while it is written, continued where it was cut, whole or not
there."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from .model import FileEntry, StoreError
from .sources import Interrupted, Source, Stream

Digest = Any  # of hashlib
CHUNK = 2**18  # bytes; a run that is cut loses at most one of them per file, and larger ones are not faster
TRIES = 5  # connections for one file of one source without any progress in between
PAUSE = 0.5  # seconds before the second try, doubled each time


class Cancelled(StoreError):
    """Another file of the model has failed; this one stays where it is."""


class Differs(StoreError):
    """What the source gave is not what the manifest says."""


@dataclass(frozen=True)
class Fetched:
    """How a file came: from which source, bytes that travelled, bytes that an earlier run had left."""

    source: str
    travelled: int
    kept: int


def hash_file(path: Path, stop: threading.Event | None = None) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError, Cancelled."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        _absorb(file, digest, stop)
    return digest.hexdigest()


def right(path: Path, entry: FileEntry, stop: threading.Event | None = None) -> bool:
    """Whether ``path`` is a plain file that holds exactly what ``entry`` says."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.size:
        return False
    return hash_file(path, stop) == entry.sha256


def fetch(
    entry: FileEntry, name: str, target: Path, sources: Sequence[Source], stop: threading.Event
) -> Fetched:
    """Bring ``name`` from the first source that gives what ``entry`` says to ``target``; part files lie
    beside it.

    Raises StoreError with what every source said.
    """
    said: list[str] = []
    for source in sources:
        try:
            return _from_one(entry, name, target, source, stop)
        except Cancelled:
            raise
        except StoreError as problem:
            said.append(str(problem))
    raise StoreError("; ".join(said) or f"there is no source for {name}")


def _from_one(entry: FileEntry, name: str, target: Path, source: Source, stop: threading.Event) -> Fetched:
    """All from one source, over as many connections as it takes."""
    job = _Job(entry, name, target.with_name(f"{target.name}.part"), source, stop)
    tries = 0
    while True:
        before = job.size()
        try:
            whole = job.pull()
        except Interrupted as problem:
            tries = 1 if job.size() - before >= CHUNK else tries + 1
            if tries == TRIES:
                raise StoreError(f"{name}: {problem} (tried {TRIES} times)") from None
            if stop.wait(PAUSE * 2 ** (tries - 1)):
                raise Cancelled("stopped") from None
            continue
        if whole:
            job.part.replace(target)
            return Fetched(source.name, job.travelled, max(0, entry.size - job.travelled))
        job.part.unlink()
        if job.travelled >= entry.size:
            raise Differs(f"{source.name} gives another {name} than the manifest says: its SHA-256 differs")
        job.travelled = 0  # what an earlier run had left may be the flaw: once more from the beginning


@dataclass
class _Job:
    """One file from one source; ``travelled`` counts the bytes that came over all connections."""

    entry: FileEntry
    name: str
    part: Path
    source: Source
    stop: threading.Event
    travelled: int = 0

    def size(self) -> int:
        """Bytes that are here."""
        return self.part.stat().st_size if self.part.exists() else 0

    def pull(self) -> bool:
        """One connection; whether the whole is right now. Raises Interrupted on a cut, OSError of our own
        disk."""
        digest = hashlib.sha256()
        with self.part.open("ab+", buffering=0) as file:
            if file.tell() > self.entry.size:
                file.truncate(0)
            file.seek(0)
            have = _absorb(file, digest, self.stop)
            if have < self.entry.size:
                digest = self._continue(file, digest, have)
            os.fsync(file.fileno())
        return digest.hexdigest() == self.entry.sha256

    def _continue(self, file: FileIO, digest: Digest, have: int) -> Digest:
        stream = self.source.open(self.name, have)
        try:
            if stream.total not in (None, self.entry.size):
                wrong = f"has {stream.total} bytes of {self.name}, and the manifest says {self.entry.size}"
                raise Differs(f"{self.source.name} {wrong}")
            if stream.begin != have:  # a server without ranges begins at the beginning
                if stream.begin:
                    raise Interrupted(
                        f"{self.source.name} began {self.name} at {stream.begin}, not at {have}"
                    )
                file.truncate(0)
                have, digest, self.travelled = 0, hashlib.sha256(), 0
            self._pour(stream, file, digest, have)
        finally:
            stream.close()
        return digest

    def _pour(self, stream: Stream, file: FileIO, digest: Digest, have: int) -> None:
        buffer = memoryview(bytearray(CHUNK))
        while True:
            if self.stop.is_set():
                raise Cancelled("stopped")
            count = stream.readinto(buffer)
            if not count:
                break
            have += count
            self.travelled += count
            if have > self.entry.size:
                longer = f"gives more of {self.name} than the {self.entry.size} bytes of the manifest"
                raise Differs(f"{self.source.name} {longer}")
            digest.update(buffer[:count])
            _write(file, buffer[:count])
        if have < self.entry.size:
            raise Interrupted(f"{self.source.name} ended after {have} of {self.entry.size} bytes")


def _write(file: FileIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]


def _absorb(file: FileIO, digest: Digest, stop: threading.Event | None) -> int:
    """Hash ``file`` from where it stands to its end; returns how many bytes that was."""
    buffer, total = memoryview(bytearray(CHUNK)), 0
    while True:
        if stop and stop.is_set():
            raise Cancelled("stopped")
        count = file.readinto(buffer)
        if not count:
            return total
        digest.update(buffer[:count])
        total += count
