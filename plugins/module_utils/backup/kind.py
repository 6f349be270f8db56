"""What every kind of item knows: how its content is collected, compared after a restore, and loaded again."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from .plan import Item
from .problem import BackupError, explain

MANIFEST = "manifest.json"  # beside what was collected: {file: {sha256, size}} and what its kind adds
_BLOCK = 1 << 20
_SHOWN = 20


@dataclass(frozen=True)
class Compared:
    """``things`` were held against their original; ``changed`` ones cannot be, the original went on."""

    things: int
    bytes: int
    differences: tuple[str, ...] = ()
    changed: int = 0

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.differences:
            shown = "; ".join(self.differences[:_SHOWN])
            return f"{len(self.differences)} differences: {shown}"
        since = f", {self.changed} changed since the backup" if self.changed else ""
        return f"{self.things} compared, {self.bytes} bytes, all equal{since}"


@dataclass(frozen=True)
class Place:
    """Where a drill may write, and when its snapshot was made."""

    scratch: Path
    time: datetime


class Kind:
    """A kind of item. ``staged``: collect() fills a folder, which is what restic sees."""

    staged = True

    def collect(self, item: Item, stage: Path) -> None:
        """Fill ``stage`` with the content, whole and consistent. Raises BackupError."""
        raise NotImplementedError

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Hold what was restored against its original. Raises BackupError when it cannot be used at all."""
        raise NotImplementedError

    def load(self, item: Item, restored: Path, words: Mapping[str, str]) -> str:
        """Put what was restored to use; what was done. Raises BackupError."""
        raise BackupError(f"{item.kind} is restored into a folder", "name one with --into")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def write_manifest(stage: Path, **more: Any) -> None:
    """Size and SHA-256 of everything in ``stage``, which a restore is held against."""
    files = {
        str(path.relative_to(stage)): {"sha256": digest(path), "size": path.stat().st_size}
        for path in sorted(stage.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    (stage / MANIFEST).write_text(json.dumps({"files": files, **more}, indent=1), encoding="utf-8")


def read_manifest(restored: Path) -> dict[str, Any]:
    """The manifest of what was restored. Raises BackupError."""
    try:
        found: dict[str, Any] = json.loads((restored / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackupError(
            f"what was restored has no manifest: {error}", "restore an older snapshot"
        ) from None
    return found


def against_manifest(restored: Path) -> Compared:
    """Every file of the manifest is there as it was, and no other."""
    listed = read_manifest(restored)["files"]
    there = {str(path.relative_to(restored)) for path in restored.rglob("*") if path.is_file()} - {MANIFEST}
    wrong = [f"{name} is missing" for name in sorted(set(listed) - there)]
    wrong += [f"{name} was not backed up" for name in sorted(there - set(listed))]
    for name in sorted(there & set(listed)):
        if digest(restored / name) != listed[name]["sha256"]:
            wrong.append(f"{name} has another content")
    return Compared(len(listed), sum(entry["size"] for entry in listed.values()), tuple(wrong))


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: BinaryIO | None = None,
    stdin: BinaryIO | None = None,
    user: str = "",
) -> str:
    """Run a program as ``user`` (empty: as we are); its output. Raises BackupError with its last words."""
    home = {"HOME": pwd.getpwnam(user).pw_dir} if user else {}
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **home, **(env or {})},
            stdin=stdin or subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            cwd="/",
            **identity(user),
        )
    except FileNotFoundError:
        raise BackupError(f"{command[0]} is not here", "install the package that brings it") from None
    errors = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        raise explain(Path(command[0]).name, errors)
    return "" if output else done.stdout.decode(errors="replace")


def identity(user: str) -> dict[str, Any]:
    """Arguments of subprocess that make a program run as ``user``."""
    if not user or pwd.getpwnam(user).pw_uid == os.getuid():
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}
