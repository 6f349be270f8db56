"""The collection of one knowledge base. The first piece of a document is its head: it is written first,
without a total, and again with one when all the others are there; before anything is deleted its total
goes, and it is deleted last. So whatever is in the collection belongs to a head, and what is not whole
says so."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pymilvus import DataType, MilvusClient

from knowledge.plan import Head, row_id

BATCH = 200
TIMEOUT = 120.0
LONGEST_NAME, LONGEST_TEXT = 1024, 65_535
PAGE = 16_000  # Milvus hands out 16,384 rows at most
FIELDS = ["id", "document", "version", "position", "total", "text", "vector"]
HEADS = "position == 0"
STRONG = "Strong"  # what was written is seen


class WrongCollection(Exception):
    """It is there, and made for something else."""


class Collection:
    """A collection; made where it is not there."""

    def __init__(self, milvus: Mapping[str, Any], name: str, model: str, dimensions: int) -> None:
        self.name, self.dimensions = name, dimensions
        self.client = MilvusClient(
            uri=milvus["uri"],
            user=milvus["user"],
            password=os.environ["MILVUS_PASSWORD"],
            db_name=milvus["database"],
            timeout=TIMEOUT,
        )
        described = f"vectors of {model}"
        if not self.client.has_collection(name):
            self._make(described)
        self._check(described)
        self._index()
        self.client.load_collection(name)

    def _make(self, described: str) -> None:
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=described)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("document", DataType.VARCHAR, max_length=LONGEST_NAME)
        schema.add_field("version", DataType.VARCHAR, max_length=64)
        schema.add_field("position", DataType.INT64)
        schema.add_field("total", DataType.INT64)
        schema.add_field("text", DataType.VARCHAR, max_length=LONGEST_TEXT)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.dimensions)
        self.client.create_collection(self.name, schema=schema, consistency_level=STRONG)

    def _check(self, described: str) -> None:
        found = self.client.describe_collection(self.name)
        [vector] = [one for one in found["fields"] if one["name"] == "vector"] or [{}]
        there = int(vector.get("params", {}).get("dim", 0))
        if found["description"] != described or there != self.dimensions:
            is_, wanted = f"{found['description']} ({there})", f"{described} ({self.dimensions})"
            raise WrongCollection(f"{self.name} has {is_}, not {wanted}: give the new one another name")

    def _index(self) -> None:
        """Also where a run ended between the two."""
        if self.client.list_indexes(self.name):
            return
        wanted = self.client.prepare_index_params()
        wanted.add_index(
            "vector", index_type="HNSW", metric_type="COSINE", params={"M": 18, "efConstruction": 240}
        )
        self.client.create_index(self.name, wanted)

    def heads(self) -> list[Head]:
        """Of all documents that are there, whole or not."""
        found, last = [], ""
        while True:  # page by page, by the key: an offset of millions is refused
            wanted = f'{HEADS} and id > "{last}"' if last else HEADS
            rows = self._query(wanted, ["id", "document", "version", "total"], limit=PAGE)
            found += [Head(row["document"], row["version"], row["total"]) for row in rows]
            if len(rows) < PAGE:
                return found
            last = max(row["id"] for row in rows)

    def write(
        self, document: str, version: str, texts: Sequence[str], vectors: Sequence[Sequence[float]]
    ) -> None:
        """A document whole: its head, its other pieces, its head again; then its other versions go."""
        pairs = zip(texts, vectors, strict=True)
        rows = [self._row(document, version, n, text, vector) for n, (text, vector) in enumerate(pairs)]
        self.client.upsert(self.name, rows[:1])
        for start in range(1, len(rows), BATCH):
            self.client.upsert(self.name, rows[start : start + BATCH])
        self.client.upsert(self.name, [rows[0] | {"total": len(rows)}])
        self.tidy(document, version)

    def tidy(self, document: str, version: str) -> None:
        """Other versions of a document go."""
        self._delete(f'document == "{_quoted(document)}" and version != "{version}"')

    def delete(self, document: str) -> None:
        """A document goes."""
        self._delete(f'document == "{_quoted(document)}"')

    def _delete(self, what: str) -> None:
        whole = self._query(f"{what} and {HEADS} and total > 0", FIELDS, limit=PAGE)
        if whole:
            self.client.upsert(self.name, [row | {"total": 0} for row in whole])
        self.client.delete(self.name, filter=f"{what} and position > 0")
        self.client.delete(self.name, filter=what)

    def _row(
        self, document: str, version: str, position: int, text: str, vector: Sequence[float]
    ) -> dict[str, Any]:
        return {
            "id": row_id(document, version, position),
            "document": document,
            "version": version,
            "position": position,
            "total": 0,
            "text": text,
            "vector": list(vector),
        }

    def _query(self, what: str, fields: list[str], limit: int) -> list[dict[str, Any]]:
        rows = self.client.query(
            self.name, filter=what, output_fields=fields, limit=limit, consistency_level=STRONG
        )
        return [dict(row) for row in rows]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
