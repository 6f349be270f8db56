"""Collections of every shape that a Milvus of the tests knows, and what is in them as a client sees it, in a
process of its own (it has the client's packages). Prints JSON.

Usage: backup_milvus.py WHAT ADDRESS USER PASSWORD [COLLECTION ...]"""

import json
import sys
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

BASE, OTHER = "knowledge", "dify"
ROWS = 1200  # more than a page of the client's
PLACES = ((BASE, "everything"), (BASE, "parts"), (BASE, "resting"), (OTHER, "given"))


def schema(**more: Any) -> Any:
    return MilvusClient.create_schema(**{"auto_id": False, "enable_dynamic_field": False, **more})


def index(client: MilvusClient, name: str, field: str, **words: Any) -> None:
    wanted = client.prepare_index_params()
    wanted.add_index(field, **words)
    client.create_index(name, wanted)


def make(address: str, words: dict[str, str], names: list[str]) -> dict[str, Any]:
    """Collections by name."""
    draw = np.random.default_rng(7)
    for base, name in PLACES:
        if name in names:
            MAKERS[name](MilvusClient(address, **words, db_name=base), draw)
    return {}


def make_everything(client: MilvusClient, draw: Any) -> None:
    """Every type of field; some rows are removed and some written anew."""
    made = schema(enable_dynamic_field=True)
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("text", DataType.VARCHAR, max_length=200)
    made.add_field("score", DataType.DOUBLE)
    made.add_field("flag", DataType.BOOL)
    made.add_field("more", DataType.JSON)
    made.add_field("numbers", DataType.ARRAY, element_type=DataType.INT32, max_capacity=8)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=64)
    client.create_collection("everything", schema=made, consistency_level="Strong", num_shards=2)
    more = {"M": 8, "efConstruction": 64}
    index(client, "everything", "vector", index_type="HNSW", metric_type="COSINE", params=more)
    for start in range(0, ROWS, 500):
        rows = [everything(draw, number) for number in range(start, min(start + 500, ROWS))]
        client.insert("everything", rows)
    client.load_collection("everything")
    client.delete("everything", filter="id < 20")
    client.upsert("everything", [everything(draw, number) for number in range(100, 120)])
    client.create_alias("everything", "alias_of_everything")


def make_parts(client: MilvusClient, draw: Any) -> None:
    """Keys are text; two partitions."""
    made = schema()
    made.add_field("key", DataType.VARCHAR, max_length=60, is_primary=True)
    made.add_field("bits", DataType.BINARY_VECTOR, dim=32)
    client.create_collection("parts", schema=made, consistency_level="Strong")
    index(client, "parts", "bits", index_type="BIN_FLAT", metric_type="HAMMING")
    client.create_partition("parts", "winter")
    for part, name in (("_default", "a"), ("winter", "b")):
        rows = [{"key": f"{name} ☃ {number}", "bits": draw.bytes(4)} for number in range(200)]
        client.insert("parts", rows, partition_name=part)
    client.load_collection("parts")


def make_resting(client: MilvusClient, draw: Any) -> None:
    """Not loaded."""
    made = schema()
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection("resting", schema=made)
    index(client, "resting", "vector", index_type="FLAT", metric_type="L2")
    vectors = draw.standard_normal((50, 4)).astype(np.float32).tolist()
    client.insert("resting", [{"id": number, "vector": one} for number, one in enumerate(vectors)])


def make_given(client: MilvusClient, _: Any) -> None:
    """As Dify makes them: keys are Milvus' own."""
    made = schema(auto_id=True)
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("page_content", DataType.VARCHAR, max_length=65535)
    made.add_field("metadata", DataType.JSON)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    client.create_collection("given", schema=made)
    more = {"M": 8, "efConstruction": 64}
    index(client, "given", "vector", index_type="HNSW", metric_type="IP", params=more)
    client.insert("given", [given(number // 2) for number in range(300)])
    client.load_collection("given")


def everything(draw: Any, number: int) -> dict[str, Any]:
    vector = draw.standard_normal(64).astype(np.float32)
    return {
        "id": number,
        "text": f"paragraph {number} “ü☃\\n\\\\”",
        "score": float(draw.standard_normal()),
        "flag": bool(number % 2),
        "more": {"b": [1, None, {"deep": number}], "a": "ü"},
        "numbers": list(range(number % 8)),
        "vector": vector.tolist(),
        **({"dynamic": number, "other": "x"} if number % 3 else {}),
    }


def given(number: int) -> dict[str, Any]:
    """Every text is there twice."""
    vector = np.random.default_rng(number).standard_normal(8).astype(np.float32).tolist()
    return {"page_content": f"chunk {number}", "metadata": {"doc_id": f"d{number}"}, "vector": vector}


def content(address: str, words: dict[str, str], _: list[str]) -> dict[str, Any]:
    """All rows of all collections, what each is made of, and what a search finds."""
    found: dict[str, Any] = {}
    for base, name in PLACES:
        client = MilvusClient(address, **words, db_name=base)
        if not client.has_collection(name):
            found[name] = None
            continue
        resting = client.get_load_state(name)["state"].name != "Loaded"
        client.load_collection(name)
        key = next(f["name"] for f in client.describe_collection(name)["fields"] if f.get("is_primary"))
        low = f'{key} >= ""' if name == "parts" else f"{key} >= -9223372036854775807"
        rows = client.query(name, low, output_fields=["*"], limit=16_000, consistency_level="Strong")
        texts = sorted(json.dumps(plain(row, key if name == "given" else ""), sort_keys=True) for row in rows)
        said = client.describe_collection(name)
        found[name] = {
            "rows": texts,
            "aliases": list(said["aliases"]),
            "indexes": client.list_indexes(name),
            "parts": client.list_partitions(name),
            "loaded": not resting,
        }
        if name == "everything":
            near = client.search("alias_of_everything", [[1.0] * 64], limit=10, output_fields=["text"])
            found["nearest"] = [(one["id"], round(one["distance"], 4)) for one in near[0]]
        if resting:
            client.release_collection(name)
    found["databases"] = sorted(MilvusClient(address, **words).list_databases())
    return found


def plain(row: Any, without: str) -> dict[str, Any]:
    """Comparable: a JSON object has no order, and Milvus gives it back in the order in which it came."""
    return {
        key: json.dumps(value, sort_keys=True, default=repr) for key, value in row.items() if key != without
    }


def drop(address: str, words: dict[str, str], _: list[str]) -> dict[str, Any]:
    """All of it is lost."""
    for base, name in PLACES:
        client = MilvusClient(address, **words, db_name=base)
        if not client.has_collection(name):
            continue
        for alias in client.describe_collection(name)["aliases"]:
            client.drop_alias(alias)
        client.drop_collection(name)
    return {}


MAKERS = {
    "everything": make_everything,
    "parts": make_parts,
    "resting": make_resting,
    "given": make_given,
}


def main() -> None:
    """Do it, and say what was found."""
    what, address, user, password, *names = sys.argv[1:]
    words = {"user": user, "password": password}
    print(json.dumps(globals()[what](address, words, names)))


if __name__ == "__main__":
    main()
