"""What the inventory says about vectors (``platform_milvus``, ``platform_chroma``,
``platform_knowledge``), as frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.capacity.vectors import Collection
from bedplate.inventory import Vars
from bedplate.units import parse_bytes

STANDALONE, CLUSTER = "standalone", "cluster"


@dataclass(frozen=True)
class Milvus:
    """Sizes in bytes. ``volume`` is the standalone's own (its log and cache), or each query node's cache;
    ``metadata`` each member of etcd's, on ``tier``. ``quota`` is the most that it may keep in the object
    store. ``kafka`` are brokers of the site that keep the log instead of the object store."""

    mode: str
    tier: str
    memory: int
    volume: int
    metadata: int
    quota: int
    query_nodes: int = 1
    kafka: str = ""
    collections: tuple[Collection, ...] = ()

    @property
    def cluster(self) -> bool:
        """Highly available: every program more than once."""
        return self.mode == CLUSTER

    @property
    def members(self) -> int:
        """Of etcd."""
        return 3 if self.cluster else 1


@dataclass(frozen=True)
class Chroma:
    """A vector store for development: one pod, no log-in of its own. Sizes in bytes."""

    tier: str
    volume: int
    memory: int


@dataclass(frozen=True)
class Knowledge:
    """Documents below ``prefix`` of the bucket, kept in step with ``collection``. ``embedding`` is the
    service that makes vectors of ``dimensions``; ``chunk`` and ``overlap`` in characters."""

    name: str
    collection: str
    embedding: str
    dimensions: int
    prefix: str = ""
    schedule: str = "*/15 * * * *"
    chunk: int = 1200
    overlap: int = 150


def milvus(entry: Vars | None) -> Milvus | None:
    """``platform_milvus`` as a record; None where it is left out."""
    if entry is None:
        return None
    return Milvus(
        mode=entry["mode"],
        tier=entry["tier"],
        memory=_size(entry, "memory", "8GiB"),
        volume=_size(entry, "volume", "50GiB"),
        metadata=_size(entry, "metadata", "10GiB"),
        quota=_size(entry, "quota", "100GiB"),
        query_nodes=entry.get("query_nodes", 2) if entry["mode"] == CLUSTER else 1,
        kafka=entry.get("kafka", ""),
        collections=tuple(Collection(**one) for one in entry.get("collections", [])),
    )


def chroma(entry: Vars | None) -> Chroma | None:
    """``platform_chroma`` as a record; None where it is left out."""
    if entry is None:
        return None
    return Chroma(entry["tier"], _size(entry, "volume", "10GiB"), _size(entry, "memory", "2GiB"))


def knowledge(entries: list[Vars]) -> tuple[Knowledge, ...]:
    """``platform_knowledge`` as records."""
    return tuple(Knowledge(**entry) for entry in entries)


def _size(entry: Mapping[str, object], key: str, default: str) -> int:
    return parse_bytes(str(entry.get(key, default)))
