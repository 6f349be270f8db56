"""Secrets as a pod sees them: a folder of files that kubelet replaces all at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from .kind import Compared, Kind, Place, against_manifest, digest, write_manifest
from .plan import Item
from .problem import BackupError


class Secrets(Kind):
    """One file for each secret."""

    def collect(self, item: Item, stage: Path) -> None:
        """Copy them: the names that they have underneath are others in every pod."""
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True, mode=0o700)
        found = dict(_files(item))
        if not found:
            raise BackupError(f"{item.words['folder']} holds no secret", "see what is mounted there")
        for name, path in found.items():
            (stage / name).write_bytes(path.read_bytes())
        write_manifest(stage)

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Hold each against the manifest, and against what it is now: one that is another now was rotated."""
        whole = against_manifest(restored)
        now = dict(_files(item))
        changed = sum(
            1 for path in restored.iterdir() if path.name in now and digest(path) != digest(now[path.name])
        )
        return Compared(whole.things, whole.bytes, whole.differences, changed)


def _files(item: Item) -> Iterator[tuple[str, Path]]:
    folder = Path(item.words["folder"])
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith("..") and path.is_file():
            yield path.name, path
