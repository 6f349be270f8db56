"""Milvus: what every collection is made of, and its rows, as a client reads them.

Not its object store and its etcd: what was acknowledged and lies in its log is in neither, so the two
together are a Milvus that misses rows, or does not start. Rows go into any later release, too.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from .kind import Compared, Kind, Place, against_manifest, read_manifest, write_manifest
from .milvus_rows import Digest
from .milvus_server import Collection, Server
from .plan import Item
from .problem import BackupError

MADE = "collection.json"
DRILL = "bedplate_drill_"  # databases of drills begin so
DRILL_ROWS = 100_000  # of each collection, which a drill loads beside the originals
_TRIES = 3


class Milvus(Kind):
    """A folder for each collection: what it is, and a file of rows for each partition. Users and their rights
    are the platform's, which makes them anew."""

    def collect(self, item: Item, stage: Path) -> None:
        """Rows that are written meanwhile may be in it or not."""
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True, mode=0o700)
        server = Server.of(item)
        kept = [_keep(server, one, stage) for one in _wanted(server, item)]
        write_manifest(stage, collections=kept, version=server.version())

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Load each collection into a database of the drill's own, read it again, and remove it."""
        whole = against_manifest(restored)
        if whole.differences:
            return whole
        server, most = Server.of(item), int(item.words.get("drill_rows", DRILL_ROWS))
        for old in (name for name in server.databases() if name.startswith(DRILL)):
            server.drop_database(old)  # of a drill that was killed
        scratch = DRILL + secrets.token_hex(4)
        wrong, things, changed = [], 0, 0
        server.make_database(scratch)
        try:
            for kept in read_manifest(restored)["collections"]:
                one = _read(restored / kept["folder"])
                rows, different = _drill(server, one, restored / kept["folder"], scratch, most)
                things += rows
                wrong += [f"{one.database}/{one.name}: {different}"] if different else []
                changed += int(_rows_now(server, one, kept["rows"]) != kept["rows"])
        finally:
            server.drop_database(scratch)
        return Compared(things, whole.bytes, tuple(wrong), changed)

    def load(self, item: Item, restored: Path, words: Mapping[str, str]) -> str:
        """Make the collections anew; one that is there already is never touched."""
        server = Server.of(Item(item.name, item.kind, {**item.words, **words}))
        folders = [restored / kept["folder"] for kept in read_manifest(restored)["collections"]]
        there = {(base, name) for base in server.databases() for name in server.names(base)}
        for one in map(_read, folders):
            if (one.database, one.name) in there:
                raise BackupError(
                    f"there is a collection {one.database}/{one.name} already",
                    "rename or drop it first; nothing was changed",
                )
        written = 0
        for folder in folders:
            one = _read(folder)
            server.make_database(one.database)
            server.create(one)
            written += sum(server.insert(one, lines, name) for name, lines in _files(one, folder))
            if one.loaded:
                server.client(one.database).load_collection(one.name)
        return f"{len(folders)} collections were made, with {written} rows"


def _wanted(server: Server, item: Item) -> Iterator[Collection]:
    named = item.words.get("databases") or server.databases()
    for database in named:
        for name in server.names(database) if not database.startswith(DRILL) else ():
            yield server.describe(database, name)


def _keep(server: Server, one: Collection, stage: Path) -> dict[str, object]:
    """Write a collection down; what the manifest says of it. Read again when rows were missed: a page may
    fail to come without a word."""
    folder = stage / quote(one.database, safe="") / quote(one.name, safe="")
    folder.mkdir(parents=True, mode=0o700)
    (folder / MADE).write_text(json.dumps(one.as_dict(), indent=1, sort_keys=True), encoding="utf-8")
    if not one.indexes:
        raise BackupError(
            f"collection {one.database}/{one.name} has no index, and Milvus reads no such",
            "make one, or drop the collection",
        )
    with server.loaded(one):
        for _ in range(_TRIES):
            before = server.count(one)
            found = Digest(one.given)
            for name, lines in _parts(server, one):
                _write(folder / _file(name), lines, found)
            if min(before, now := server.count(one)) <= found.rows <= max(before, now):
                return {"folder": str(folder.relative_to(stage)), "rows": found.rows, "content": str(found)}
    raise BackupError(f"{found.rows} rows of {one.database}/{one.name} were read, and {now} are there")


def _parts(server: Server, one: Collection) -> Iterator[tuple[str, Iterator[str]]]:
    for partition in one.partitions or ("",):
        yield partition, server.read(one, partition)


def _file(partition: str) -> str:
    return f"rows{'-' if partition else ''}{quote(partition, safe='')}.jsonl"


def _write(target: Path, lines: Iterable[str], found: Digest) -> None:
    with target.open("w", encoding="utf-8") as file:
        for text in lines:
            file.write(text + "\n")
            found.add(text)


def _read(folder: Path) -> Collection:
    return Collection.of(json.loads((folder / MADE).read_text(encoding="utf-8")))


def _files(one: Collection, folder: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Rows by partition."""
    for partition in one.partitions or ("",):
        with (folder / _file(partition)).open(encoding="utf-8", newline="\n") as file:
            yield partition, (text.rstrip("\n") for text in file)


def _drill(server: Server, one: Collection, folder: Path, scratch: str, most: int) -> tuple[int, str]:
    """Rows that came back, and in what they differ from those that were kept."""
    again, left = replace(one, database=scratch, loaded=False), most
    kept, found = Digest(one.given), Digest(one.given)
    server.create(again, aliases=False)
    try:
        for name, lines in _files(one, folder):
            left -= server.insert(again, _counted(islice(lines, left), kept), name)
        made = server.describe(scratch, one.name)
        with server.loaded(made):
            for _, lines in _parts(server, made):
                for text in lines:
                    found.add(text)
    finally:
        server.client(scratch).drop_collection(one.name)
    if (made.schema, made.indexes, made.partitions) != (one.schema, one.indexes, one.partitions):
        return found.rows, "it is made of something else"
    if (found.rows, str(found)) != (kept.rows, str(kept)):
        return found.rows, f"{found.rows} rows of {kept.rows} came back, or others"
    return found.rows, ""


def _counted(lines: Iterable[str], found: Digest) -> Iterator[str]:
    for text in lines:
        found.add(text)
        yield text


def _rows_now(server: Server, one: Collection, known: int) -> int:
    """Rows of the original, -1 when it is gone. One that is not in memory is not loaded for that."""
    if one.name not in server.names(one.database):
        return -1
    now = server.describe(one.database, one.name)
    return server.count(now) if now.loaded else known
