"""The output of ``ansible-inventory --list``, kept by content: the same files give the same answer, and
``pulumi up``, ``preview`` and ``refresh`` should not each wait while Ansible reads a thousand hosts.

Kept only when the answer follows from the files alone: an inventory with a program, an inventory plugin or
anything encrypted is asked anew each time.
"""

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bedplate import paths

Listing = dict[str, Any]
KEPT = 32  # answers; the least recently used go first
_PLUGIN = re.compile(rb"^plugin\s*:", re.MULTILINE)
_VAULT = b"$ANSIBLE_VAULT"
_BESIDE = ("group_vars", "host_vars")  # Ansible reads these beside the working directory too


def listing(sources: Sequence[Path], ask: Callable[[], str]) -> Listing:
    """What ``ask`` answers for these sources, or answered before for the same content."""
    key = content_key(sources)
    kept = paths.cache("inventories") / f"{key}.json" if key else None
    if kept and (known := _read(kept)) is not None:
        return known
    answer = ask()
    found: Listing = json.loads(answer)
    if kept and content_key(sources) == key:  # nobody wrote while Ansible read
        _write(kept, answer)
    return found


def content_key(sources: Iterable[Path]) -> str | None:
    """Pure but for reading: a digest of all that decides the answer; None where files alone do not."""
    digest = hashlib.sha256()
    for part in (sys.version, version("ansible-core"), *_settings()):
        _add(digest, part.encode())
    for root in (paths.ROOT / "ansible.cfg", *(paths.ROOT / name for name in _BESIDE), *sources):
        _add(digest, str(root.resolve()).encode())
        for path in _files(root):
            content = path.read_bytes()
            if _VAULT in content or _PLUGIN.search(content) or path.stat().st_mode & stat.S_IXUSR:
                return None
            _add(digest, str(path.relative_to(root)).encode())
            _add(digest, content)
    return digest.hexdigest()


def _settings() -> Iterator[str]:
    yield from sorted(f"{k}={v}" for k, v in os.environ.items() if k.startswith("ANSIBLE_"))


def _files(root: Path) -> Iterator[Path]:
    """Every file below, through symbolic links, in a fixed order."""
    if root.is_file():
        yield root
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if Path(folder, name).is_file())


def _add(digest: Any, part: bytes) -> None:
    """Length first, so that no two lists of parts look alike."""
    digest.update(len(part).to_bytes(8, "big"))
    digest.update(part)


def _read(kept: Path) -> Listing | None:
    try:
        known: Listing = json.loads(kept.read_bytes())
        os.utime(kept)
    except (OSError, ValueError):
        return None  # not there, or cut short
    return known


def _write(kept: Path, answer: str) -> None:
    partial = kept.with_suffix(f".{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(answer)
    partial.replace(kept)
    newest_first = sorted(kept.parent.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest_first[KEPT:]:
        old.unlink(missing_ok=True)
