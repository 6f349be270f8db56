"""Reading a manifest: everything in it is checked before it is used, for paths in it become paths on the
host."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from .model import MANIFEST_NAME, FileEntry, Manifest

FORMAT = 1
LARGEST = 64 * 2**20  # bytes of a manifest; a model of 163 files has 30 kB
DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")


class BadManifest(ValueError):
    """The document is no manifest that can be used; the message says why."""


def digest_of(text: bytes) -> str:
    """SHA-256 of a manifest document, which names it."""
    return hashlib.sha256(text).hexdigest()


def parse(text: bytes, expected: str = "") -> Manifest:
    """The manifest in ``text``; with ``expected`` its digest must be that. Raises BadManifest."""
    digest = digest_of(text)
    if expected and digest != expected:
        raise BadManifest(f"its SHA-256 is {digest}, not the {expected} that is pinned")
    try:
        document = json.loads(text)
    except ValueError as problem:
        raise BadManifest(f"it is not JSON: {problem}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadManifest(f"it is not of format {FORMAT}")
    listed = document.get("files")
    if not isinstance(listed, list) or not listed:
        raise BadManifest("it lists no files")
    files = tuple(_entry(item) for item in listed)
    _distinct([entry.path for entry in files])
    return Manifest(digest, files, text)


def safe_path(path: Any) -> bool:
    """Whether ``path`` is a plain relative path that stays below its folder."""
    if not isinstance(path, str) or len(path.encode("utf-8", "surrogateescape")) > 1024:  # noqa: PLR2004
        return False
    parts = path.split("/")
    return all(_PART.fullmatch(part) and part not in (".", "..") for part in parts)


def _entry(item: Any) -> FileEntry:
    if not isinstance(item, dict) or set(item) != {"path", "size", "sha256"}:
        raise BadManifest(f"a file needs path, size and sha256, and nothing else: {item!r:.120}")
    path, size, sha256 = item["path"], item["size"], item["sha256"]
    if not safe_path(path) or path.endswith(".part") or path == MANIFEST_NAME:
        raise BadManifest(f"{path!r:.120} is no path that a file of a model may have")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadManifest(f"{path}: size {size!r:.40} is no number of bytes")
    if not isinstance(sha256, str) or not DIGEST.fullmatch(sha256):
        raise BadManifest(f"{path}: {sha256!r:.80} is no SHA-256")
    return FileEntry(path, size, sha256)


def _distinct(paths: list[str]) -> None:
    seen = set(paths)
    if len(seen) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise BadManifest(f"{twice} is listed more than once")
    for path in paths:
        parts = path.split("/")
        for length in range(1, len(parts)):
            if "/".join(parts[:length]) in seen:
                raise BadManifest(f"{'/'.join(parts[:length])} is a file and a folder at once")
