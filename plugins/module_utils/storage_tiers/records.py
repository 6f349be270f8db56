"""What we remember on the host, written so that a power cut leaves the old text or the new, never a mix."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from .model import Record

FORMAT = 1  # raised when the shape of a record changes


def read(folder: Path) -> tuple[Record, ...]:
    """All records. Raises ValueError for one that cannot be read: guessing at it could cost data."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            data = json.loads(path.read_text())
            if data.pop("format") != FORMAT:
                raise ValueError("it was written by another version")
            data["serials"] = tuple(data["serials"])
            found.append(Record(**data))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} cannot be used ({error}); restore it or move it away") from error
    return tuple(found)


def write(folder: Path, record: Record) -> None:
    """Remember ``record``, durably."""
    data = {"format": FORMAT, **asdict(record)}
    replace_file(folder / f"{record.tier}.json", json.dumps(data, indent=2) + "\n", 0o600)


def forget(folder: Path, tier: str) -> None:
    """Remove the record of a tier whose disks were wiped."""
    (folder / f"{tier}.json").unlink(missing_ok=True)
    _sync_folder(folder)


def replace_file(path: Path, text: str | bytes, mode: int | None = None) -> None:
    """Write a file whole: new text beside it, synced, renamed over it. ``mode`` None keeps the old mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode is None:
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    beside = path.with_name(f".{path.name}.bedplate")
    data = text.encode() if isinstance(text, str) else text
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.fchmod(handle, mode)
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    beside.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
