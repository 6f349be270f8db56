"""The chain of an audit archive: every record carries the SHA-256 of the record before it, so nothing can be
changed, left out or put in between without breaking everything after it.

An archive is a folder of files YYYY-MM-DD.jsonl (UTC, the day a record arrived). A line is canonical JSON:
keys sorted, no spaces, so that even a changed space is found. What a chain alone cannot show is that its end
was cut off or that all of it was written anew: for that, remember ``Head`` elsewhere and verify against it.

Standard library only: the same file runs on the collector.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO

GENESIS = "0" * 64
FIELDS = (
    "client",
    "duration_ms",
    "host",
    "id",
    "operation",
    "parameters_sha256",
    "source",
    "status",
    "time",
    "user",
)
Record = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """The end of a chain: number of its last record (from 1; 0 when empty) and that record's hash."""

    seq: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """What ``str`` made of a head. Raises ValueError."""
        seq, _, digest_ = text.partition(":")
        if len(digest_) != len(GENESIS) or set(digest_) - set("0123456789abcdef"):
            raise ValueError(f"{text!r} is no head of a chain: NUMBER:SHA-256")
        return cls(int(seq), digest_)


@dataclass(frozen=True)
class Break:
    """Where a chain is broken first, and how. ``seq`` is 0 where the first line of all cannot be read."""

    file: str
    line: int
    seq: int
    record: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """What a verification found: number of the first record (0: none), head of what is good, first break."""

    first: int
    head: Head
    broken: Break | None = None

    @property
    def records(self) -> int:
        """How many records are good."""
        return self.head.seq - self.first + 1 if self.first else 0


def canonical(value: Any) -> bytes:
    """The one way in which ``value`` is written as JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def unreadable(what: str, text: str, source: str, moment: str) -> Record:
    """The record of something that is no ``what``: its SHA-256, and nothing of ``text``."""
    said = hashlib.sha256(text.encode()).hexdigest()
    return dict.fromkeys(FIELDS, "") | {
        "duration_ms": 0,
        "id": said[:32],
        "operation": f"unreadable {what}",
        "parameters_sha256": said,
        "source": source,
        "status": "refused",
        "time": moment,
    }


def is_torn(file: BinaryIO) -> bool:
    """Whether the last line of an open file has no end: a power cut leaves such lines."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def digest(seq: int, previous: str, record: Record) -> str:
    """SHA-256, hexadecimal, over number, hash of the record before and the record itself."""
    return hashlib.sha256(b"%d\n%s\n%s" % (seq, previous.encode(), canonical(record))).hexdigest()


def link(head: Head, record: Record) -> tuple[bytes, Head]:
    """The line (with its newline) that puts ``record`` behind ``head``, and the new head."""
    seq = head.seq + 1
    now = Head(seq, digest(seq, head.hash, record))
    entry = {"hash": now.hash, "previous": head.hash, "record": record, "seq": seq}
    return canonical(entry) + b"\n", now


def files(folder: Path) -> list[Path]:
    """The files of an archive, oldest first. Other names in the folder are not part of it."""
    return sorted(path for path in folder.glob("*.jsonl") if _day(path) is not None)


def entries(paths: Sequence[Path]) -> Iterator[tuple[str, int, bytes]]:
    """File, line from 1 and the line's bytes, of all files as one sequence."""
    for path in paths:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                yield path.name, number, line


def verify(lines: Iterable[tuple[str, int, bytes]], known: Head | None = None) -> Verdict:
    """Follow the chain to its end or its first break.

    ``known`` is a head that was seen before: the chain must still contain it. The first record may have any
    number, its predecessors having been pruned (``missing`` tells whether that was due).
    """
    head, first, last = Head(), 0, Break("", 0, 0, "", "")
    for file, number, line in lines:
        entry = _read(line)
        here = Break(file, number, head.seq + 1 if first else 0, entry.name, "")
        why = entry.wrong or (_gap(entry, head) if first else "")
        if not why and first and entry.previous != head.hash:
            why, here = "it was replaced: the record after it was made behind another one", last
        if not why and known and known.seq == entry.seq and known.hash != entry.hash:
            why = "it had another hash when the head was noted: the chain was written anew"
        if why:
            return Verdict(first, head, replace(here, why=why))
        head, first, last = Head(entry.seq, entry.hash), first or entry.seq, replace(here, seq=entry.seq)
    if known and head.seq < known.seq:
        why = f"the chain ends at record {head.seq}, and record {known.seq} was there before"
        return Verdict(first, head, Break(last.file, last.line, head.seq + 1, "", why))
    return Verdict(first, head)


def missing(paths: Sequence[Path], first: int, keep_days: int, today: date) -> str:
    """Why a chain that begins at record ``first`` begins too late; empty when it does not.

    Files may be missing at the beginning only once they are older than ``keep_days``.
    """
    if first <= 1 or not paths:
        return ""
    oldest = _day(paths[0])
    due = today - timedelta(days=keep_days)
    if oldest is None or oldest <= due:
        return ""
    return (
        f"the archive begins on {oldest} with record {first}: files younger than {keep_days} days are missing"
    )


def verify_folder(folder: Path, keep_days: int, today: date, known: Head | None = None) -> Verdict:
    """``verify`` for an archive, files that went too early included."""
    paths = files(folder)
    verdict = verify(entries(paths), known)
    why = missing(paths, verdict.first, keep_days, today)
    if why and verdict.broken is None:
        return replace(verdict, broken=Break(paths[0].name, 1, verdict.first - 1, "", why))
    return verdict


def expired(paths: Sequence[Path], keep_days: int, today: date) -> list[Path]:
    """Files that may go: older than ``keep_days``, never the last one, on which the chain goes on."""
    due = today - timedelta(days=keep_days)
    return [path for path in paths[:-1] if (day := _day(path)) is not None and day < due]


@dataclass(frozen=True)
class _Entry:
    """A line by itself: what it says, and what is wrong with it whatever stands before it."""

    seq: int = 0
    previous: str = ""
    hash: str = ""
    name: str = ""
    wrong: str = "the line is not an entry of a chain"


def _read(line: bytes) -> _Entry:
    try:
        entry = json.loads(line)
        seq, previous, record = int(entry["seq"]), str(entry["previous"]), dict(entry["record"])
    except (ValueError, KeyError, TypeError):
        return _Entry()
    whole, made = link(Head(seq - 1, previous), record)
    wrong = "" if whole == line else "it was changed: it does not have the hash that it carries"
    return _Entry(seq, previous, made.hash, str(record.get("id", "")), wrong)


def _gap(entry: _Entry, head: Head) -> str:
    return "" if entry.seq == head.seq + 1 else f"it is missing: record {head.seq} is followed by {entry.seq}"


def _day(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.stem)
    except ValueError:
        return None
