"""What a site knows of itself and of the other one: the file that role disaster_recovery writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .problem import SiteError


@dataclass(frozen=True)
class Database:
    """A PostgreSQL server here, and its counterpart. ``start`` and ``stop`` are commands; ``settings`` is a
    file that the server includes and we write; ``config_file`` its own, where that is not with its data.
    ``sslmode`` and ``ca`` hold for the way to the other site."""

    data: Path
    programs: Path
    settings: Path
    socket: str
    address: str
    peer_address: str
    port: int
    start: tuple[str, ...]
    stop: tuple[str, ...]
    password_file: str
    peer_port: int = 0
    user: str = "replication"
    run_as: str = "postgres"
    sslmode: str = "require"
    ca: str = ""
    config_file: str = ""
    keep_mib: int = 10240  # log that is kept for a copy that is away


@dataclass(frozen=True)
class BucketCopy:
    """A bucket that is brought here from the other site, every ``seconds``, while this site is the standby.
    rclone reads ``remotes``; ``most_removed`` objects may vanish in one run, more is refused."""

    name: str
    source: str
    target: str
    most_removed: int = 1000


@dataclass(frozen=True)
class Config:
    """One site."""

    site: str
    peer: str
    state: Path
    synchronous: bool
    database: Database
    buckets: tuple[BucketCopy, ...] = ()
    remotes: str = ""
    metrics: str = ""


def parse(document: Mapping[str, Any]) -> Config:
    """The configuration. Raises SiteError that names the word."""
    words = _words(Config, "the configuration", document)
    words["database"] = _database(document["database"])
    words["buckets"] = tuple(
        BucketCopy(**_words(BucketCopy, "a bucket", entry)) for entry in document.get("buckets", ())
    )
    return Config(**{**words, "state": Path(words["state"])})


def _database(document: Mapping[str, Any]) -> Database:
    words = _words(Database, "the database", document)
    words |= {name: Path(words[name]) for name in ("data", "programs", "settings")}
    words |= {name: tuple(words[name]) for name in ("start", "stop")}
    return Database(**words)


def _words(kind: Any, where: str, document: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(document) - known)
    absent = sorted(f.name for f in fields(kind) if f.name not in document and f.default is f.default_factory)
    if unknown or absent:
        raise SiteError(
            f"{where}: nobody reads {unknown[0]}" if unknown else f"{where} does not say {absent[0]}"
        )
    return dict(document)
