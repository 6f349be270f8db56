"""A Milvus server as its client's library sees it: collections are described, read row by row, and made."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import milvus_rows as rows
from .plan import Item
from .problem import BackupError, explain

USER, PASSWORD = "backup", "MILVUS_PASSWORD"
_PAGE = 1000  # rows of an answer
_SEND = 4 << 20  # bytes of text of a request; gRPC takes 64 MiB
_SECONDS = 60.0  # of trying to reach it
_COUNTERS = {"total_rows", "indexed_rows", "pending_index_rows", "state", "index_no"}
_STRONG = "Strong"


@dataclass(frozen=True)
class Collection:
    """A collection without its rows. ``schema`` and ``indexes`` as the client's library writes them."""

    database: str
    name: str
    schema: Mapping[str, Any]
    indexes: tuple[Mapping[str, Any], ...]
    partitions: tuple[str, ...]  # empty where a field divides the rows
    aliases: tuple[str, ...]
    properties: Mapping[str, str]
    shards: int
    consistency: int
    loaded: bool

    @property
    def types(self) -> dict[str, int]:
        """Fields that a row has, and their types."""
        return rows.kinds(self.schema["fields"])

    @property
    def given(self) -> str:
        """The key that Milvus itself gives to every row, where it does."""
        keys = [f for f in self.schema["fields"] if f.get("is_primary")]
        own = [f["name"] for f in keys if f.get("auto_id") or self.schema.get("auto_id")]
        return str(own[0]) if own else ""

    def as_dict(self) -> dict[str, Any]:
        """As it is kept."""
        return vars(self).copy()

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Collection:
        """As it was kept."""
        lists = {key: tuple(kept[key]) for key in ("indexes", "partitions", "aliases")}
        return cls(**{**kept, **lists})


@contextmanager
def complaints(about: str) -> Iterator[None]:
    """What the client's library raises, in words for an operator."""
    try:
        yield
    except (BackupError, OSError):
        raise
    except Exception as error:  # gRPC's own are of no common class
        raise explain(f"Milvus ({about})", str(error)) from None


class Server:
    """A running Milvus, and who we are to it."""

    def __init__(self, address: str, user: str, credential: str, ca: str = "") -> None:
        try:
            self._library = importlib.import_module("pymilvus")  # of the image `knowledge` only
        except ImportError:
            raise BackupError(
                "pymilvus is not here", "run this in the image `knowledge`, or pip install it"
            ) from None
        self._words = {"uri": address, "user": user, "password": credential, "timeout": _SECONDS}
        self._words |= {"server_pem_path": ca} if ca else {}
        self._clients: dict[str, Any] = {}

    @classmethod
    def of(cls, item: Item) -> Server:
        """The server that an item names; the password is in a file or in the environment, as a pod has it."""
        file = item.words.get("password_file")
        try:
            password = Path(file).read_text(encoding="utf-8").strip() if file else os.environ[PASSWORD]
        except (OSError, KeyError) as error:
            raise BackupError(
                f"the password of Milvus is not there: {error}", "name a password_file"
            ) from None
        words = item.words
        return cls(str(words["address"]), str(words.get("user", USER)), password, str(words.get("ca", "")))

    def client(self, database: str = "default") -> Any:
        """A client of one database."""
        if database not in self._clients:
            with complaints(f"database {database}"):
                self._clients[database] = self._library.MilvusClient(**self._words, db_name=database)
        return self._clients[database]

    def databases(self) -> list[str]:
        """Their names, in order."""
        with complaints("databases"):
            return sorted(self.client().list_databases())

    def version(self) -> str:
        """As the server says it."""
        with complaints("version"):
            return str(self.client().get_server_version())

    def names(self, database: str) -> list[str]:
        """Collections of a database, in order."""
        with complaints(database):
            return sorted(self.client(database).list_collections())

    def describe(self, database: str, name: str) -> Collection:
        """One collection."""
        client = self.client(database)
        with complaints(f"{database}/{name}"):
            said = client.describe_collection(name)
            schema = self._library.CollectionSchema.construct_from_dict(said).to_dict()
            schema = json.loads(json.dumps(schema))
            divided = any(field.get("is_partition_key") for field in schema["fields"])
            indexes = [client.describe_index(name, one) for one in sorted(client.list_indexes(name))]
            return Collection(
                database=database,
                name=name,
                schema=schema,
                indexes=tuple({k: v for k, v in one.items() if k not in _COUNTERS} for one in indexes if one),
                partitions=() if divided else tuple(sorted(client.list_partitions(name))),
                aliases=tuple(sorted(said.get("aliases") or ())),
                properties=dict(said.get("properties") or {}),
                shards=int(said.get("num_shards") or 1),
                consistency=int(said.get("consistency_level") or 0),
                loaded=client.get_load_state(name)["state"].name == "Loaded",
            )

    @contextmanager
    def loaded(self, one: Collection) -> Iterator[None]:
        """In memory as long as it is read; Milvus answers for no other."""
        client = self.client(one.database)
        if not one.loaded:
            with complaints(f"loading {one.database}/{one.name}"):
                client.load_collection(one.name)
        try:
            yield
        finally:
            if not one.loaded:
                client.release_collection(one.name)

    def count(self, one: Collection) -> int:
        """Rows that are there now."""
        with complaints(f"{one.database}/{one.name}"):
            said = self.client(one.database).query(
                one.name, "", output_fields=["count(*)"], consistency_level=_STRONG
            )
            return int(said[0]["count(*)"])

    def read(self, one: Collection, partition: str = "") -> Iterator[str]:
        """Every row as its line, by its key."""
        types = one.types
        extra = {"partition_names": [partition]} if partition else {}
        fields = ["*"] if one.schema.get("enable_dynamic_field") else sorted(types)
        with complaints(f"reading {one.database}/{one.name}"):
            pages = self.client(one.database).query_iterator(
                one.name, batch_size=_PAGE, output_fields=fields, consistency_level=_STRONG, **extra
            )
            try:
                while page := pages.next():
                    yield from (rows.line(dict(found), types) for found in page)
            finally:
                pages.close()

    def create(self, one: Collection, *, aliases: bool = True) -> None:
        """Make it, empty, with its indexes."""
        client, library = self.client(one.database), self._library
        with complaints(f"making {one.database}/{one.name}"):
            schema = library.CollectionSchema.construct_from_dict(dict(one.schema))
            more = {"properties": dict(one.properties)} if one.properties else {}
            client.create_collection(
                one.name, schema=schema, num_shards=one.shards, consistency_level=one.consistency, **more
            )
            for partition in set(one.partitions) - {"_default"}:
                client.create_partition(one.name, partition)
            wanted = client.prepare_index_params()
            for index in one.indexes:
                wanted.add_index(**index)
            if one.indexes:
                client.create_index(one.name, wanted)
            for alias in one.aliases if aliases else ():
                client.create_alias(one.name, alias)

    def insert(self, one: Collection, lines: Iterable[str], partition: str = "") -> int:
        """Write rows; how many."""
        client, types, written = self.client(one.database), one.types, 0
        extra = {"partition_name": partition} if partition else {}
        for batch in rows.batches(lines, _PAGE, _SEND):
            made = [rows.row(text, types) for text in batch]
            for found in made:
                found.pop(one.given, None)
            with complaints(f"writing {one.database}/{one.name}"):
                client.insert(one.name, made, **extra)
            written += len(made)
        return written

    def make_database(self, name: str) -> None:
        """Make a database, unless it is there."""
        if name not in self.databases():
            with complaints(f"making {name}"):
                self.client().create_database(name)

    def drop_database(self, name: str) -> None:
        """Remove a database and all that is in it."""
        client = self.client(name)
        with complaints(f"dropping {name}"):
            for collection in client.list_collections():
                client.drop_collection(collection)
            self._clients.pop(name).close()
            self.client().drop_database(name)
