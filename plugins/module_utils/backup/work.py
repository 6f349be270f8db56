"""The work: run, verify, list, drill, restore, and keep."""

from __future__ import annotations

import json
import shutil
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from . import state as memory
from .bucket import Bucket
from .etcd import Etcd
from .files import Files
from .kind import Kind, Place
from .milvus import Milvus
from .plan import SKEW, Config, Item, Keep, Retention, Snapshot, retention
from .postgresql import PostgreSQL
from .problem import BackupError
from .pulumi import Pulumi
from .restic import Restic, of
from .secrets import Secrets

KINDS: dict[str, Kind] = {
    "files": Files(),
    "postgresql": PostgreSQL(),
    "etcd": Etcd(),
    "bucket": Bucket(),
    "pulumi": Pulumi(),
    "secrets": Secrets(),
    "milvus": Milvus(),
}
DRILL_MARGIN = 1.2  # free room that a drill wants, as a multiple of what it restores
Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """How one item fared."""

    item: str
    kind: str
    ok: bool
    said: str
    seconds: float
    snapshot: str = ""
    bytes: int = 0
    added: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as a program reads it."""
        return asdict(self)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)  # noqa: UP017  Python 3.11's


def run(
    config: Config, names: Sequence[str] = (), say: Say = print, moment: datetime | None = None
) -> list[Result]:
    """Back up items. One that fails keeps no other from being backed up. Raises BackupError before the first
    when nothing can be written."""
    chosen, restic = config.chosen(names), of(config)
    with memory.only_one(config):
        clock(restic, config, moment or now())
        state = memory.read(config)
        open_repository(restic, state)
        restic.ask("unlock")  # locks of runs that are dead; those of the living stay
        found = []
        for item in chosen:
            say(f"{item.name}: backing up")
            found.append(_attempt(item, lambda item=item: _backup(config, restic, item)))  # type: ignore[misc]
            _remember_run(state, found[-1])
        for item in chosen:
            count = len(restic.listed(config.host, item.name))
            memory.remember(state, item.name, snapshots=count)
        memory.write(config, state)
    return found


def _remember_run(state: dict[str, Any], result: Result) -> None:
    memory.remember(state, result.item, ok=int(result.ok), duration_seconds=round(result.seconds, 3))
    if result.ok:
        memory.remember(
            state,
            result.item,
            last_success_seconds=int(time.time()),
            bytes=result.bytes,
            added_bytes=result.added,
        )


def _backup(config: Config, restic: Restic, item: Item) -> Mapping[str, Any]:
    kind = KINDS[item.kind]
    if not kind.staged:
        summary = restic.backup(config.host, item, [str(path) for path in item.words["paths"]], None)
    else:
        stage = config.state / "stage" / item.name
        kind.collect(item, stage)
        summary = restic.backup(config.host, item, ["."], stage)
    said = f"{summary['total_bytes_processed']:,} bytes read, {summary['data_added']:,} new"
    return {
        "said": said,
        "snapshot": summary["snapshot_id"][:8],
        "bytes": summary["total_bytes_processed"],
        "added": summary["data_added"],
    }


def _attempt(item: Item, do: Callable[[], Mapping[str, Any]]) -> Result:
    begin = time.monotonic()
    try:
        told = do()
    except (BackupError, OSError) as error:
        return Result(item.name, item.kind, False, str(error), time.monotonic() - begin)
    return Result(item.name, item.kind, seconds=time.monotonic() - begin, **{"ok": True, **told})


def open_repository(restic: Restic, state: dict[str, Any]) -> None:
    """The repository of the last run, or a new one where there was none. A disk that is not mounted, or a
    server that forgot, must not look like a fresh start. Raises BackupError."""
    found, known = restic.identity(), state.get("repository", "")
    if known and found != known:
        raise BackupError(
            f"the repository {known[:8]} is gone"
            + (f", another one ({found[:8]}) is in its place" if found else ""),
            "mount or bring back what holds it; to begin anew on purpose, remove state.json",
        )
    if not found:
        restic.ask("init")
        found = restic.identity()
    state["repository"] = found


def clock(restic: Restic, config: Config, moment: datetime) -> None:
    """Raises BackupError when our clock and that of the repository's server differ: snapshots would be dated
    wrong, and retention would keep the wrong ones."""
    address = config.repository_file.read_text(encoding="utf-8").strip()
    if not address.startswith("rest:"):
        return
    told = _server_time(address[len("rest:") :], config.ca)
    if told and abs(told - moment) > SKEW:
        raise BackupError(
            f"the clock says {moment:%F %R} UTC, and that of the repository's server {told:%F %R}",
            "set the one that is wrong; nothing was written",
        )


def _server_time(address: str, ca: str) -> datetime | None:
    """The Date that a web server says, whatever else it says; None when it cannot be reached."""
    scheme, _, rest = address.partition("://")
    request = urllib.request.Request(f"{scheme}://{rest.rpartition('@')[2]}", method="HEAD")  # noqa: S310
    context = ssl.create_default_context(cafile=ca or None) if scheme == "https" else None
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:  # noqa: S310
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date")
    except OSError:
        return None
    return parsedate_to_datetime(date) if date else None


def verify(config: Config, part: str = "") -> list[str]:
    """What is broken in the repository; ``part`` as 3/7 reads a share of the bytes, else all of them."""
    with memory.only_one(config):
        state = memory.read(config)
        broken = of(config).check(part)
        state["verify_ok"] = int(not broken)
        if not broken:
            state["verify_last_success_seconds"] = int(time.time())
        memory.write(config, state)
    return broken


def listing(config: Config, names: Sequence[str] = ()) -> list[Snapshot]:
    """Snapshots of items, oldest first."""
    wanted = {item.name for item in config.chosen(names)}
    return [snapshot for snapshot in of(config).listed(config.host) if snapshot.item in wanted]


def drill(config: Config, names: Sequence[str] = (), say: Say = print) -> list[Result]:
    """Restore the newest snapshot of items into a scratch place, compare, and leave nothing behind."""
    chosen, restic = config.chosen(names), of(config)
    with memory.only_one(config):
        found = []
        for item in chosen:
            say(f"{item.name}: restoring and comparing")
            found.append(_attempt(item, lambda item=item: _drill(config, restic, item)))  # type: ignore[misc]
            state = memory.read(config)
            result = found[-1]
            memory.remember(
                state, item.name, drill_ok=int(result.ok), drill_duration_seconds=round(result.seconds, 3)
            )
            if result.ok:
                memory.remember(state, item.name, drill_last_success_seconds=int(time.time()))
            memory.write(config, state)
    return found


def _drill(config: Config, restic: Restic, item: Item) -> Mapping[str, Any]:
    snapshot = _newest(config, restic, item)
    with _scratch(config) as scratch:
        restored = scratch / "restored"
        fetch(restic, snapshot, restored)
        told = KINDS[item.kind].compare(item, restored, Place(scratch, snapshot.time))
    return {
        "ok": not told.differences,
        "said": told.sentence,
        "snapshot": snapshot.id[:8],
        "bytes": told.bytes,
    }


@contextmanager
def _scratch(config: Config) -> Iterator[Path]:
    parent = Path(config.scratch) if config.scratch else None
    if parent:
        parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    place = Path(tempfile.mkdtemp(prefix="bedplate-drill-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _newest(config: Config, restic: Restic, item: Item, snapshot: str = "") -> Snapshot:
    found = restic.listed(config.host, item.name)
    chosen = [one for one in found if one.id.startswith(snapshot)]
    if not chosen:
        raise BackupError(
            f"{item.name} has no snapshot {snapshot}".rstrip(),
            f"there are {', '.join(one.id[:8] for one in found[-5:]) or 'none: back it up first'}",
        )
    return chosen[-1]


def fetch(restic: Restic, snapshot: Snapshot, into: Path) -> None:
    """Restore a snapshot into a folder that is empty or not there. Raises BackupError, also when it would not
    fit."""
    size = int(json.loads(restic.ask("stats", "--json", "--no-lock", snapshot.id).output)["total_size"])
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(into.iterdir()):
        raise BackupError(f"{into} is not empty", "name a folder that is; nothing was written")
    free = shutil.disk_usage(into).free
    if size * DRILL_MARGIN > free:
        raise BackupError(
            f"{into} has {free:,} bytes free, and {size:,} are restored", "name a place with more room"
        )
    restic.ask("restore", snapshot.id, "--target", str(into), "--no-lock")


def restore(
    config: Config, name: str, into: Path, snapshot: str = "", load: Mapping[str, str] | None = None
) -> tuple[Snapshot, str]:
    """Bring a snapshot (empty: the newest) back into a folder; with ``load`` put it to use too. What was
    done."""
    items = config.chosen([name])
    if len(items) > 1:
        raise BackupError(
            f"{name} is {len(items)} items", f"name one: {', '.join(one.name for one in items)}"
        )
    restic, item = of(config), items[0]
    chosen = _newest(config, restic, item, snapshot)
    fetch(restic, chosen, into)
    if load is None:
        return chosen, f"restored into {into}"
    return chosen, KINDS[item.kind].load(item, into, load)


def keep(
    restic: Restic,
    wanted: Keep,
    arrivals: Path | None = None,
    moment: datetime | None = None,
    dry: bool = False,
) -> Retention:
    """Remove what need not be kept, with a credential that may. ``arrivals`` is the repository's folder,
    where it can be seen: when a snapshot came is then known, whatever it says itself."""
    arrived = (
        {
            file.name: datetime.fromtimestamp(file.stat().st_mtime, timezone.utc)  # noqa: UP017
            for file in (arrivals / "snapshots").rglob("*")
            if file.is_file()
        }
        if arrivals
        else {}
    )
    decided = retention(restic.listed(), wanted, moment or now(), arrived)
    if decided.remove and not dry:
        restic.ask("unlock")
        restic.ask("forget", "--prune", *(snapshot.id for snapshot in decided.remove))
    return decided
