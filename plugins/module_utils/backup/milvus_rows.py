"""Rows of Milvus as lines of text that are the same whenever the row is: what restic finds again in the next
night, and what a restore is held against."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .problem import BackupError

# Milvus' numbers of data types.
ARRAY, BINARY, FLOAT, HALF, BRAIN, SPARSE = 22, 100, 101, 102, 103, 104
_BYTES = (BINARY, HALF, BRAIN)
_PLAIN = {1, 2, 3, 4, 5, 10, 11, 21, ARRAY, 23}  # booleans, numbers, text, arrays, JSON
_FULL = 1 << 256


def kinds(fields: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Fields that a row has and their types; those that Milvus computes itself (functions) are left out.
    Raises BackupError for one that nobody here knows."""
    found = {}
    for field in fields:
        number = int(field["type"])
        if field.get("is_function_output"):
            continue
        if number not in _PLAIN and number != SPARSE and number not in (*_BYTES, FLOAT):
            raise BackupError(
                f"field {field['name']} is of type {number}, which cannot be backed up",
                "take it out of the items",
            )
        found[str(field["name"])] = number
    return found


def line(row: Mapping[str, Any], types: Mapping[str, int]) -> str:
    """A row as text: keys in order, vectors as their bytes. Keys that no field has are dynamic ones."""
    packed = {name: _pack(value, types.get(name, 0)) for name, value in row.items()}
    return json.dumps(packed, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def row(text: str, types: Mapping[str, int]) -> dict[str, Any]:
    """The row of such a text, as a client inserts it."""
    return {name: _unpack(value, types.get(name, 0)) for name, value in json.loads(text).items()}


def _pack(value: Any, number: int) -> Any:
    if value is None:
        return None
    if number == FLOAT:
        return base64.b64encode(_little(array("f", (float(one) for one in value)))).decode()
    if number in _BYTES:
        one = value[0] if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)) else value
        return base64.b64encode(bytes(one)).decode()
    if number == SPARSE:
        return sorted([int(key), float(weight)] for key, weight in value.items())
    if isinstance(value, bytes):  # JSON, where a client leaves it as it came
        return json.loads(value)
    return list(value) if number == ARRAY else value


def _unpack(value: Any, number: int) -> Any:
    if value is None:
        return None
    if number == FLOAT:
        return _little(array("f", base64.b64decode(value))).tolist()
    if number in _BYTES:
        return base64.b64decode(value)
    return dict(map(tuple, value)) if number == SPARSE else value


def _little(numbers: array[float]) -> array[float]:
    """The same bytes on every machine."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class Digest:
    """Of rows in whatever order, one that is there twice counted twice. ``without`` is a field that Milvus
    itself sets anew (``auto_id``)."""

    def __init__(self, without: str = "") -> None:
        self.rows, self._sum, self._without = 0, 0, without

    def add(self, text: str) -> None:
        """One more row, as its line."""
        if self._without:
            known = json.loads(text)
            known.pop(self._without, None)
            text = json.dumps(known, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")) % _FULL

    def __str__(self) -> str:
        return f"{self._sum:064x}"


def batches(lines: Iterable[str], rows: int, size: int) -> Iterator[list[str]]:
    """At most so many rows and about so many bytes of text at a time."""
    found: list[str] = []
    held = 0
    for text in lines:
        found.append(text)
        held += len(text)
        if len(found) >= rows or held >= size:
            yield found
            found, held = [], 0
    if found:
        yield found
