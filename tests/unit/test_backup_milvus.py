"""Rows of Milvus as text, and back; digests that do not care for the order of rows."""

from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from backup import milvus_rows as rows
from backup.problem import BackupError

from bedplate import backup as _backup  # noqa: F401  makes the package above importable

FIELDS = [
    {"name": "id", "type": 5},
    {"name": "text", "type": 21},
    {"name": "vector", "type": 101},
    {"name": "bits", "type": 100},
    {"name": "few", "type": 104},
    {"name": "list", "type": 22},
    {"name": "made", "type": 104, "is_function_output": True},
]
TYPES = rows.kinds(FIELDS)
SINGLE = array("f", [0.1, -2.5, 1e-30]).tolist()  # what a client returns has four bytes' precision
ROW = {
    "id": 2**62 + 1,
    "text": "“ü☃\n",
    "vector": SINGLE,
    "bits": b"\x00\xff",
    "few": {7: 0.5, 3: 1.0},
    "list": [1, 2],
    "dynamic": {"a": None},
}


def test_a_row_comes_back_as_it_was() -> None:
    text = rows.line(ROW, TYPES)
    assert "\n" not in text
    assert rows.row(text, TYPES) == ROW


@pytest.mark.parametrize("value", [[b"\x00\xff"], b"\x00\xff", bytearray(b"\x00\xff")])
def test_bytes_are_the_same_however_a_client_holds_them(value: Any) -> None:
    assert rows.line({"bits": value}, TYPES) == '{"bits":"AP8="}'


@pytest.mark.parametrize("value", [tuple(SINGLE), array("f", SINGLE)])
def test_a_vector_is_the_same_however_a_client_holds_it(value: Sequence[float]) -> None:
    assert rows.line({"vector": value}, TYPES) == rows.line({"vector": SINGLE}, TYPES)


def test_nothing_is_no_vector_of_zeros() -> None:
    assert rows.row(rows.line({"vector": None, "text": None}, TYPES), TYPES) == {"vector": None, "text": None}


def test_what_milvus_computes_is_not_kept_and_what_nobody_knows_is_refused() -> None:
    assert "made" not in TYPES
    with pytest.raises(BackupError, match="field odd is of type 999"):
        rows.kinds([{"name": "odd", "type": 999}])


def digest(texts: Sequence[str], without: str = "") -> str:
    found = rows.Digest(without)
    for text in texts:
        found.add(text)
    return str(found)


ONE, TWO = '{"id":1,"x":"a"}', '{"id":2,"x":"a"}'


@pytest.mark.parametrize(
    ("left", "right", "without", "equal"),
    [
        ([ONE, TWO], [TWO, ONE], "", True),
        ([ONE, TWO], [ONE], "", False),
        ([ONE, ONE], [ONE], "", False),
        ([ONE, ONE], [], "", False),
        ([ONE], [TWO], "", False),
        ([ONE], [TWO], "id", True),
        ([ONE, ONE], [TWO], "id", False),
    ],
)
def test_a_digest_is_that_of_the_rows(left: list[str], right: list[str], without: str, equal: bool) -> None:
    assert (digest(left, without) == digest(right, without)) is equal


def test_a_request_holds_so_many_rows_and_bytes() -> None:
    assert list(rows.batches(["a" * 10] * 5, 2, 1000)) == [["a" * 10] * 2, ["a" * 10] * 2, ["a" * 10]]
    assert [len(batch) for batch in rows.batches(["a" * 600] * 3, 100, 1000)] == [2, 1]
    assert list(rows.batches([], 2, 1000)) == []
