"""What earlier checks of an environment have read and found sound, by content.

Two answers depend on nothing but a text and our own code: what a file says, and whether a value has the type
that its schema asks for. They are kept with a digest of that code; a file or value that differs by one byte
is new. Every rule about more than one value is asked again on every run, over all hosts.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.check.files import Document, Secret, read


@dataclass
class Memory:
    """Answers of the last run (``known_…``) and of this one, which is what is kept."""

    file: Path | None = None
    known_documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    known_sound: frozenset[str] = frozenset()
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    sound: set[str] = field(default_factory=set)

    def document(self, path: str, data: bytes) -> Document:
        """The file as ``files.read`` has it; one that is not quite right is read anew each time."""
        key = hashlib.sha256(data).hexdigest()
        values = self.known_documents.get(key)
        found = read(path, data) if values is None else Document(path, values)
        if not found.findings and (values is not None or not _secret(found.values)):
            self.documents[key] = found.values
        return found

    def is_sound(self, name: str, value: Any) -> bool:
        """Was this very value of the variable ``name`` sound before?"""
        key = _key(name, value) if self.known_sound else ""
        if key not in self.known_sound:
            return False
        self.sound.add(key)
        return True

    def found_sound(self, name: str, value: Any) -> None:
        """Remember it."""
        if self.file and not _secret(value):
            self.sound.add(_key(name, value))

    def keep(self) -> None:
        """Write what this run has used, if it is not what is there already."""
        if self.file is None:
            return
        if self.documents.keys() == self.known_documents.keys() and self.known_sound == self.sound:
            return
        body = {"code": code(), "documents": self.documents, "sound": sorted(self.sound)}
        partial = self.file.with_suffix(f".{os.getpid()}.new")
        partial.write_text(json.dumps(body))
        partial.chmod(0o600)
        partial.replace(self.file)


def recall(environment: str) -> Memory:
    """What is known of an environment; nothing where the code has changed or the file cannot be read."""
    file = paths.cache("check") / f"{environment}.json"
    try:
        body = json.loads(file.read_bytes())
        if body["code"] == code():
            return Memory(file, body["documents"], frozenset(body["sound"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Memory(file)


@cache
def code() -> str:
    """Digest of all that decides the answers: this package, its schemas, the roles' types, the libraries."""
    digest = hashlib.sha256(f"{version('PyYAML')} {version('jsonschema')}".encode())
    for file in sorted(_sources()):
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    folder = Path(__file__).parent
    yield from folder.glob("*.py")
    yield from folder.glob("schema/*.yml")
    yield from paths.ROLES.glob("*/meta/argument_specs.yml")


def _key(name: str, value: Any) -> str:
    return hashlib.sha256(f"{name}\0{json.dumps(value)}".encode()).hexdigest()


def _secret(value: Any) -> bool:
    """Does a value come from a vault? Then it looks like another one that is no secret."""
    if isinstance(value, dict):
        return any(map(_secret, value.values()))
    return any(map(_secret, value)) if isinstance(value, list) else isinstance(value, Secret)
