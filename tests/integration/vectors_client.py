"""What a client does with Milvus, in a process of its own (it has the client's packages). Prints JSON.

Usage: vectors_client.py WHAT ADDRESS USER PASSWORD DATABASE COLLECTION [MORE ...], where COLLECTION is
NAME[:DIMENSIONS[:INDEX]]. Vectors are made, the same for the same row: 32 random directions, as the data of a
real model, too, lies on few of its dimensions. They say nothing of the recall of anybody's real data."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from bedplate.capacity.vectors import M, lists

DIRECTIONS, TOP, QUERIES, PROBES = 32, 10, 200, 64
EF_CONSTRUCTION, EF = 240, 128
Array = np.ndarray


@dataclass(frozen=True)
class Shape:
    """A collection: its name, the size of its vectors, its index."""

    name: str
    dimensions: int = 64
    index: str = "HNSW"

    @classmethod
    def of(cls, word: str) -> "Shape":
        name, *more = word.split(":")
        return cls(name, *(kind(part) for kind, part in zip((int, str), more, strict=False)))


def made(first: int, count: int, dimensions: int) -> Array:
    """The same vectors for the same rows, whoever makes them."""
    directions = np.random.default_rng(dimensions).standard_normal((DIRECTIONS, dimensions))
    places = [np.random.default_rng(row).standard_normal(DIRECTIONS) for row in range(first, first + count)]
    return (np.stack(places) @ directions).astype(np.float32)


def create(client: MilvusClient, one: Shape, rows: str = "1000") -> dict[str, Any]:
    """An empty collection with the index that is advised for so many rows."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=one.dimensions)
    client.create_collection(one.name, schema=schema, consistency_level="Strong")
    chosen = {"HNSW": {"M": M, "efConstruction": EF_CONSTRUCTION}, "IVF_SQ8": {"nlist": lists(int(rows))}}
    wanted = client.prepare_index_params()
    wanted.add_index("vector", index_type=one.index, metric_type="L2", params=chosen.get(one.index, {}))
    client.create_index(one.name, wanted)
    client.load_collection(one.name)
    return {}


def insert(client: MilvusClient, one: Shape, first: str, count: str, batch: str = "1000") -> dict[str, Any]:
    """Says after every batch how far it was acknowledged."""
    for start in range(int(first), int(first) + int(count), int(batch)):
        vectors = made(start, int(batch), one.dimensions)
        client.insert(one.name, [{"id": start + n, "vector": vector} for n, vector in enumerate(vectors)])
        print(start + int(batch), flush=True)
    return {}


def settle(client: MilvusClient, one: Shape) -> dict[str, Any]:
    """Everything lies in segments, these have their index, and memory is given back."""
    client.flush(one.name)
    deadline = time.monotonic() + 900
    while client.describe_index(one.name, "vector")["pending_index_rows"] and time.monotonic() < deadline:
        time.sleep(1)
    client.release_collection(one.name)
    return {"pending": client.describe_index(one.name, "vector")["pending_index_rows"]}


def load(client: MilvusClient, one: Shape) -> dict[str, Any]:
    """It may be searched."""
    client.load_collection(one.name)
    return {}


def there(client: MilvusClient, one: Shape, first: str, count: str) -> dict[str, Any]:
    """Rows of this range that are not there."""
    missing, step = 0, 10_000
    for start in range(int(first), int(first) + int(count), step):
        end = min(start + step, int(first) + int(count))
        rows = client.query(one.name, f"id >= {start} and id < {end}", output_fields=["id"], limit=step)
        missing += end - start - len({row["id"] for row in rows})
    return {"missing": missing}


def delete(client: MilvusClient, one: Shape, first: str, count: str) -> dict[str, Any]:
    """Rows of this range go; how many are still there."""
    which = f"id >= {first} and id < {int(first) + int(count)}"
    client.delete(one.name, filter=which)
    return {"left": len(client.query(one.name, which, output_fields=["id"], limit=int(count)))}


def recall(client: MilvusClient, one: Shape, count: str) -> dict[str, Any]:
    """Of the nearest ten, how many brute force finds, too; milliseconds of both, one question at a time."""
    everything = made(0, int(count), one.dimensions)
    queries = made(2**40, QUERIES, one.dimensions)
    lengths = (everything**2).sum(1)
    search = {"metric_type": "L2", "params": {"ef": EF, "nprobe": PROBES}}

    def asked(query: Array) -> set[int]:
        [answer] = client.search(one.name, [query], limit=TOP, search_params=search)
        return {row["id"] for row in answer}

    def counted(query: Array) -> set[int]:
        return set(np.argpartition(lengths - 2 * everything @ query, TOP)[:TOP].tolist())

    found, times = timed(asked, queries)
    nearest, plain = timed(counted, queries)
    hits = sum(len(a & b) for a, b in zip(found, nearest, strict=True))
    return {"recall": hits / (QUERIES * TOP), "milvus": times, "brute_force": plain}


def timed(answer: Callable[[Array], set[int]], queries: Array) -> tuple[list[set[int]], dict[str, float]]:
    """Answers, and their median and 99th percentile in milliseconds; the first ten are not counted."""
    found, took = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(answer(query))
        took.append((time.perf_counter() - began) * 1000)
    return found, {
        name: round(float(np.percentile(took[10:], at)), 2) for name, at in (("p50", 50), ("p99", 99))
    }


def attempt(client: MilvusClient, one: Shape, what: str) -> dict[str, Any]:
    """One thing that may be refused."""
    row = {"id": -1, "vector": [0.0] * one.dimensions}
    todo = {
        "query": lambda: client.query(one.name, "id >= 0", output_fields=["id"], limit=1),
        "insert": lambda: client.insert(one.name, [row]),
        "delete": lambda: client.delete(one.name, filter="id >= 0"),
        "drop": lambda: client.drop_collection(one.name),
        "create": lambda: client.create_collection("another", dimension=4),
        "user": lambda: client.create_user("stranger", "a-password-of-ours"),
    }
    todo[what]()
    return {"allowed": True}


def rows(client: MilvusClient, one: Shape) -> dict[str, Any]:
    """Everything of a collection of documents, in order."""
    client.load_collection(one.name)
    fields = ["id", "document", "version", "position", "total", "text", "vector"]
    found = client.query(
        one.name, "position >= 0", output_fields=fields, limit=16_000, consistency_level="Strong"
    )
    for row in found:
        row["vector"] = [round(float(x), 4) for x in row["vector"]]
    return {"rows": sorted((dict(row) for row in found), key=lambda row: row["id"])}


def search(client: MilvusClient, one: Shape, vector: str) -> dict[str, Any]:
    """The nearest document."""
    found = client.search(one.name, [json.loads(vector)], limit=1, output_fields=["document"])
    return {"document": found[0][0]["entity"]["document"]}


def main() -> None:
    """Whatever is refused is said, and is no failure of this program."""
    what, address, user, password, database, collection, *more = sys.argv[1:]
    try:
        client = MilvusClient(uri=address, user=user, password=password, db_name=database, timeout=120)
        answer = globals()[what](client, Shape.of(collection), *more)
    except (MilvusException, grpc.RpcError) as error:
        answer = {"refused": str(error)[:300]}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
