"""What a run has to do: pure. A document is known by its name; its version is a hash of what it is and of
how it is made into pieces. Everything is remembered in the collection itself, in the row of a document's
first piece: so what is remembered and what is there are never two things, not even after a restore."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PARSER = 1  # another one makes other pieces of the same document: count up


@dataclass(frozen=True)
class Head:
    """A document in the collection: ``total`` pieces, or 0 while it is being written or deleted."""

    document: str
    version: str
    total: int


@dataclass(frozen=True)
class Plan:
    """Documents to write (name to version), documents of which other versions are left over, and documents
    that are gone."""

    write: Mapping[str, str]
    tidy: Mapping[str, str]
    delete: tuple[str, ...]
    kept: int


def fingerprint(model: str, chunk: int, overlap: int) -> str:
    """How pieces and vectors are made."""
    return f"{PARSER}/{model}/{chunk}/{overlap}"


def version(tag: str, made: str) -> str:
    """Of a document whose content has ``tag``."""
    return hashlib.sha256(f"{tag}\0{made}".encode()).hexdigest()[:32]


def row_id(document: str, version_: str, position: int) -> str:
    """The same piece has the same row, however often it is written."""
    return hashlib.sha256(f"{document}\0{version_}\0{position}".encode()).hexdigest()[:48]


def plan(source: Mapping[str, str], heads: Iterable[Head], made: str) -> Plan:
    """``source`` is name to tag, of everything that is there now."""
    known: dict[str, dict[str, int]] = {}
    for head in heads:
        known.setdefault(head.document, {})[head.version] = head.total
    write, tidy, kept = {}, {}, 0
    for name, tag in source.items():
        wanted, there = version(tag, made), known.get(name, {})
        if not there.get(wanted):
            write[name] = wanted
        elif len(there) > 1:
            tidy[name] = wanted
        else:
            kept += 1
    return Plan(write, tidy, tuple(sorted(set(known) - set(source))), kept)
