"""The second tier as a cache: files by their SHA-256, so that models share what they have in common.

The cache is a convenience. What it gives is verified like everything else, and what it cannot take is left
out.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .model import FileEntry, Manifest, StoreError
from .sources import FolderSource
from .transfer import Cancelled, Fetched, fetch


@dataclass(frozen=True)
class Cache:
    """A folder of the second tier; ``floor`` bytes of it stay free."""

    root: Path
    floor: int = 0

    def place(self, sha256: str) -> Path:
        """Where a file of this content lies, if it does."""
        return self.root / "sha256" / sha256[:2] / sha256

    def manifest(self, digest: str) -> bytes | None:
        """A manifest that was kept."""
        try:
            return self.place(digest).read_bytes()
        except OSError:
            return None

    def take(self, entry: FileEntry, target: Path, stop: threading.Event) -> Fetched | None:
        """Copy a file out, verified; None when it is not here. One that is wrong is thrown away."""
        kept = self.place(entry.sha256)
        if not kept.is_file():
            return None
        try:
            return fetch(entry, kept.name, target, [FolderSource(kept.parent)], stop)
        except Cancelled:
            raise
        except StoreError:
            kept.unlink(missing_ok=True)
            return None

    def keep(self, entry: FileEntry, source: Path, stop: threading.Event) -> bool:
        """Take a copy of a verified file; whether it is here now. A full or broken cache is no reason to
        fail."""
        kept = self.place(entry.sha256)
        if kept.is_file() and kept.stat().st_size == entry.size:
            return True
        with suppress(OSError, StoreError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.root).free - entry.size >= self.floor:
                fetch(entry, source.name, kept, [FolderSource(source.parent)], stop)
                return True
        with suppress(OSError):
            kept.with_name(f"{kept.name}.part").unlink(missing_ok=True)
        return False

    def keep_manifest(self, manifest: Manifest) -> None:
        """Remember a manifest, so that a model can be had while its source is away."""
        kept = self.place(manifest.digest)
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_name(f"{kept.name}.part")
            part.write_bytes(manifest.text)
            part.replace(kept)

    def drop(self, wanted: Collection[str], short: int) -> list[Path]:
        """Remove what no wished model has, the oldest first, until ``short`` bytes more are free; what was
        removed."""
        files = [file for file in (self.root / "sha256").glob("??/*") if file.name not in wanted]
        removed = []
        for file in sorted(files, key=lambda one: one.stat().st_mtime):
            if short <= 0:
                break
            short -= file.stat().st_size
            file.unlink()
            removed.append(file)
        return removed
