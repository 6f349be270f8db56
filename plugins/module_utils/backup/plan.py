"""What is backed up, and which snapshots are kept: data and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from .problem import BackupError

KINDS: dict[str, tuple[set[str], set[str]]] = {  # kind: words that it needs, words that it may have
    "files": ({"paths"}, {"exclude"}),
    "postgresql": (set(), {"host", "port", "user", "password_file", "run_as", "databases", "passwords"}),
    "etcd": (set(), {"endpoint", "folder", "ca", "certificate", "key"}),
    "bucket": ({"endpoint", "bucket"}, {"credentials_file", "ca", "region"}),
    "pulumi": ({"project", "stack", "backend", "passphrase_file"}, set()),
    "secrets": ({"folder"}, set()),
    "milvus": ({"address"}, {"user", "password_file", "ca", "databases", "drill_rows"}),
}
SKEW = timedelta(minutes=10)  # two clocks that agree
ARRIVAL = timedelta(days=1)  # between a snapshot's own time and the time at which the server got it


@dataclass(frozen=True)
class Item:
    """One thing that is backed up; ``words`` are those of its kind."""

    name: str
    kind: str
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Keep:
    """How many of the last days, weeks and months that have a snapshot keep their last one."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 12


@dataclass(frozen=True)
class Config:
    """What one host, pod or controller backs up, and where to. Files hold what is secret."""

    host: str
    repository_file: Path
    password_file: Path
    state: Path
    items: tuple[Item, ...]
    ca: str = ""
    environment_file: str = ""
    metrics: str = ""
    scratch: str = ""
    limit_kib: int = 0  # KiB/s to the repository; 0: as fast as it goes
    patience: float = 120.0  # seconds of failing attempts, after which a run gives up

    def chosen(self, names: Iterable[str]) -> list[Item]:
        """Items by name or kind, all for none. Raises BackupError."""
        wanted = list(names)
        known = {item.name for item in self.items} | {item.kind for item in self.items}
        for name in wanted:
            if name not in known:
                raise BackupError(f"nothing here is called {name}", f"there is {', '.join(sorted(known))}")
        return [item for item in self.items if not wanted or item.name in wanted or item.kind in wanted]


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of one item, as restic lists it."""

    id: str
    time: datetime
    host: str
    item: str


def parse(document: Mapping[str, Any]) -> Config:
    """A configuration as it is written (JSON). Raises BackupError that names the word."""
    needed = {"host", "repository_file", "password_file", "state", "items"}
    known = needed | {"ca", "environment_file", "metrics", "scratch", "limit_kib", "patience"}
    _words("the configuration", document, needed, known)
    items = tuple(_item(entry) for entry in document["items"])
    names = [item.name for item in items]
    for name in names:
        if names.count(name) > 1:
            raise BackupError(f"two items are called {name}", "give each a name of its own")
    rest = {key: document[key] for key in known - needed if key in document}
    return Config(
        host=str(document["host"]),
        repository_file=Path(document["repository_file"]),
        password_file=Path(document["password_file"]),
        state=Path(document["state"]),
        items=items,
        **rest,
    )


def faults(items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[int, str], str, str]]:
    """What is wrong with items: place in the list, reason and remedy."""
    names = [entry.get("name") for entry in items]
    for number, entry in enumerate(items):
        try:
            _item(entry)
        except BackupError as error:
            yield (number, "name"), str(error.args[0]), error.remedy
        if entry.get("name") in names[:number]:
            yield (number, "name"), "another item is called so", "give each a name of its own"


def _item(entry: Mapping[str, Any]) -> Item:
    name, kind = str(entry.get("name", "")), str(entry.get("kind", ""))
    if not name or "," in name or "/" in name:
        raise BackupError(f"{name!r} is no name of an item", "write letters, digits and dashes")
    if kind not in KINDS:
        raise BackupError(f"item {name}: {kind!r} is no kind", f"write one of: {', '.join(KINDS)}")
    words = {key: value for key, value in entry.items() if key not in ("name", "kind") and value is not None}
    needed, more = KINDS[kind]
    _words(f"item {name}", words, needed, needed | more)
    if kind == "etcd" and ("endpoint" in words) is ("folder" in words):
        raise BackupError(f"item {name} does not say endpoint, or else folder", "add one of them")
    for path in [*words.get("paths", ()), *words.get("exclude", ())]:
        if not str(path).startswith("/"):
            raise BackupError(f"item {name}: {path} is no absolute path", "begin it with /")
    return Item(name, kind, words)


def _words(where: str, document: Mapping[str, Any], needed: set[str], known: set[str]) -> None:
    absent, unknown = sorted(needed - set(document)), sorted(set(document) - known)
    if absent:
        raise BackupError(f"{where} does not say {absent[0]}", "add it")
    if unknown:
        raise BackupError(f"{where}: nobody reads {unknown[0]}", f"known are: {', '.join(sorted(known))}")


def snapshots(listed: Iterable[Mapping[str, Any]]) -> list[Snapshot]:
    """What `restic snapshots --json` lists, oldest first."""
    found = [
        Snapshot(entry["id"], _time(entry["time"]), entry["hostname"], (entry.get("tags") or [""])[0])
        for entry in listed
    ]
    return sorted(found, key=lambda snapshot: snapshot.time)


def _time(text: str) -> datetime:
    """Go's time (nanoseconds, Z or an offset), in UTC; Python 3.9 reads no more than microseconds."""
    head, zone = (text[:-1], "+00:00") if text.endswith("Z") else (text[:-6], text[-6:])
    whole, _, fraction = head.partition(".")
    moment = datetime.fromisoformat(f"{whole}.{fraction[:6].ljust(6, '0')}{zone}")
    return moment.astimezone(timezone.utc)  # noqa: UP017  Python 3.11's


@dataclass(frozen=True)
class Retention:
    """``unclear`` are snapshots whose time cannot be right: they are neither counted nor removed."""

    keep: tuple[Snapshot, ...]
    remove: tuple[Snapshot, ...]
    unclear: tuple[Snapshot, ...]


def retention(
    found: Iterable[Snapshot], keep: Keep, now: datetime, arrived: Mapping[str, datetime] | None = None
) -> Retention:
    """Which snapshots stay. Everything of the last ``daily`` days does, whatever was added besides.

    A host may be in other hands, or its clock wrong: a snapshot that says to be from the future, or from a
    day other than the one on which it arrived (``arrived``: id to the server's time), pushes no other out.
    """
    kept: set[str] = set()
    clear: list[Snapshot] = []
    unclear: list[Snapshot] = []
    for snapshot in found:
        told = snapshot.time
        came = (arrived or {}).get(snapshot.id, told)
        (unclear if told > now + SKEW or abs(came - told) > ARRIVAL else clear).append(snapshot)
    groups: dict[tuple[str, str], list[Snapshot]] = {}
    for snapshot in sorted(clear, key=lambda one: one.time, reverse=True):
        groups.setdefault((snapshot.host, snapshot.item), []).append(snapshot)
    for members in groups.values():
        kept |= {one.id for one in members if now - one.time <= timedelta(days=keep.daily)}
        for number, period in ((keep.daily, _day), (keep.weekly, _week), (keep.monthly, _month)):
            kept |= _last_of(members, number, period)
    return Retention(
        keep=tuple(one for one in clear if one.id in kept),
        remove=tuple(one for one in clear if one.id not in kept),
        unclear=tuple(unclear),
    )


def _last_of(members: Sequence[Snapshot], number: int, period: Callable[[datetime], object]) -> set[str]:
    """The last snapshot of each of the last ``number`` periods that have one; ``members`` newest first."""
    last: dict[object, str] = {}
    for snapshot in members:
        last.setdefault(period(snapshot.time), snapshot.id)
    return set(list(last.values())[:number])


def _day(time: datetime) -> object:
    return time.date()


def _week(time: datetime) -> object:
    return time.isocalendar()[:2]


def _month(time: datetime) -> object:
    return time.year, time.month
