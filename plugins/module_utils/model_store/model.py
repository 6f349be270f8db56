"""Records of the store: what is wished, what is there, what a manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MANIFEST_NAME = "bedplate-manifest.json"
NEVER, SPACE, ALWAYS = "never", "space", "always"


@dataclass(frozen=True)
class FileEntry:
    """One file of a model: path relative to the model, size in bytes, SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All files of a model; ``digest`` is the SHA-256 of the document itself, which an inventory pins."""

    digest: str
    files: tuple[FileEntry, ...]
    text: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


@dataclass(frozen=True)
class Model:
    """A wished model: its folder relative to the store, and the digest of its manifest."""

    path: str
    digest: str


@dataclass(frozen=True)
class Policy:
    """When models that nobody wishes are removed, which of them are kept, and the bytes that stay free.

    ``never``: not at all; ``space``: the oldest first, and only as many as wished models need; ``always``:
    all of them.
    """

    prune: str = NEVER
    keep: frozenset[str] = frozenset()
    floor: int = 0


@dataclass(frozen=True)
class Installed:
    """A model that is visible. ``faults`` says what differs from its manifest, ``users`` who has it open."""

    path: str
    digest: str
    size: int
    published: float = 0.0
    faults: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    files: tuple[FileEntry, ...] = ()


@dataclass(frozen=True)
class Host:
    """What was observed: free bytes, visible models, begun ones (digest to bytes on disk), and manifests at
    hand.

    ``strangers`` are wished paths where something lies that is no model; ``unreachable`` maps a digest to
    the reason
    why its manifest could not be had.
    """

    free: int
    installed: tuple[Installed, ...] = ()
    staged: Mapping[str, int] = field(default_factory=dict)
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    strangers: frozenset[str] = frozenset()
    unreachable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Why nothing is done: the object, what was found, what to do about it."""

    subject: str
    found: str
    remedy: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.subject}: {self.found}. {self.remedy}"


class StoreError(Exception):
    """A transfer or an operation on the store failed; the visible models are as they were."""
