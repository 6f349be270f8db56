"""What the inventory says about the data services (``platform_data``), as frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.inventory import Vars
from bedplate.units import parse_bytes

GIB = 2**30
RECLAIMED = "10GiB"  # volumes are local: a claim binds the smallest that is large enough


@dataclass(frozen=True)
class Kept:
    """Pods of one program that keep something: how many, on which tier; sizes in bytes. ``primary`` is the
    ordinal of the pod that is written to, where the others copy it."""

    replicas: int
    tier: str
    volume: int
    memory: int
    primary: int = 0


@dataclass(frozen=True)
class Archive:
    """Where PostgreSQL's log goes as it is written, for recovery to a point in time; bytes and days."""

    tier: str
    volume: int
    days: int


@dataclass(frozen=True)
class DataServices:
    """The platform's own data services. ``store`` is None where the site brings an object store; ``mlflow``
    is the number of its pods, 0 for none."""

    postgresql: Kept
    valkey: Kept
    cache: int
    store: Kept | None = None
    archive: Archive | None = None
    mlflow: int = 0


def read(entry: Vars | None) -> DataServices | None:
    """``platform_data`` as a record; None where it is left out."""
    if entry is None:
        return None
    return DataServices(
        postgresql=_kept(entry["postgresql"], "4GiB"),
        valkey=_kept(entry["valkey"], "1GiB"),
        cache=parse_bytes(entry["valkey"].get("cache", "512MiB")),
        store=_kept(entry["object_store"], "2GiB") if "object_store" in entry else None,
        archive=_archive(entry["postgresql"].get("archive")),
        mlflow=entry.get("mlflow", {}).get("replicas", 1) if "mlflow" in entry else 0,
    )


def _kept(entry: Mapping[str, object], memory: str) -> Kept:
    return Kept(
        replicas=int(str(entry.get("replicas", 1))),
        tier=str(entry["tier"]),
        volume=parse_bytes(str(entry.get("volume", RECLAIMED))),
        memory=parse_bytes(str(entry.get("memory", memory))),
        primary=int(str(entry.get("primary", 0))),
    )


def _archive(entry: Mapping[str, object] | None) -> Archive | None:
    if entry is None:
        return None
    days = int(str(entry.get("days", 7)))
    return Archive(str(entry["tier"]), parse_bytes(str(entry.get("volume", "100GiB"))), days)
