"""The reference says what schemas and argument specs say."""

from typing import Any

import pytest

from bedplate.reference import Row, role_rows, schema_rows, table

SCHEMA: dict[str, Any] = {
    "required": ["a"],
    "properties": {
        "a": {"type": "integer", "minimum": 1, "maximum": 9, "description": "First"},
        "b": {"type": "array", "items": {"$ref": "#/$defs/pair"}},
        "c": {"enum": ["x", "y"]},
        "d": {"type": "object", "additionalProperties": {"$ref": "#/$defs/pair"}},
        "e": {"oneOf": [{"type": "string"}, {"type": "boolean"}]},
        "f": {"$ref": "#/$defs/word", "description": "Own words win"},
    },
    "$defs": {
        "pair": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
        "word": {"type": "string", "description": "A word"},
    },
}


@pytest.mark.parametrize(
    "row",
    [
        Row("a", "whole number, at least 1, at most 9", True, "First"),
        Row("b", "list of mapping", False, ""),
        Row("b[].k", "text", True, ""),
        Row("c", "one of `x`, `y`", False, ""),
        Row("d.NAME.k", "text", True, ""),
        Row("e", "text or yes or no", False, ""),
        Row("f", "text", False, "Own words win"),
    ],
)
def test_schema(row: Row) -> None:
    assert row in schema_rows(SCHEMA)


def test_role() -> None:
    options = {
        "r_mode": {"type": "str", "choices": ["on", ""], "description": ["One.", "Two."]},
        "r_list": {"type": "list", "elements": "dict", "options": {"k": {"type": "bool", "required": True}}},
        "r_long": {"type": "dict"},
    }
    defaults = {"r_mode": "on", "r_list": [], "r_long": {"key": "v" * 80}}
    assert role_rows({"argument_specs": {"main": {"options": options}}}, defaults) == [
        Row("r_mode", 'one of `on`, `""`', False, "One. Two.", '`"on"`'),
        Row("r_list", "list of mapping", False, "", "`[]`"),
        Row("r_list[].k", "yes or no", True, ""),
        Row("r_long", "mapping", False, "", "see defaults"),
    ]


def test_table_has_defaults_only_where_there_are_some() -> None:
    assert table([Row("a", "text", True, "x | y")]).splitlines()[2] == "| `a` | text, required | x \\| y |"
    assert "default" in table([Row("a", "text", False, "", "`1`")]).splitlines()[0]
