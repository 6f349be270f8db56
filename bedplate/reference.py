"""The reference of every inventory variable, derived from the schemas and the roles' argument specs.

``python -m bedplate.reference`` writes ``docs/inventory-reference.md``; a contract test holds the file to it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths

FILE = paths.ROOT / "docs" / "inventory-reference.md"
SCHEMAS = Path(__file__).parent / "check" / "schema"
Node = dict[str, Any]
LONGEST = 48  # letters of a default that a table can hold
EMPTY, BAR = '""', "\\|"
_HEAD = """# Every word of an inventory

Derived from the schemas of `bedplate check` and from the roles' argument specs by
`python -m bedplate.reference`; not edited by hand. What the words are for: [inventory.md](inventory.md). The
reasons for a role's defaults stand beside them in its `defaults/main.yml`.
"""


@dataclass(frozen=True)
class Row:
    """One variable, or one key inside a variable; ``key`` is dotted, ``[]`` marks items of a list."""

    key: str
    kind: str
    required: bool
    meaning: str
    default: str = ""


def schema_rows(schema: Node) -> list[Row]:
    """Rows of a JSON Schema whose properties are variables."""
    return list(_properties(schema, "", schema))


def _properties(node: Node, prefix: str, root: Node) -> Iterator[Row]:
    required = set(node.get("required", ()))
    for name, value in node.get("properties", {}).items():
        yield from _schema_rows(_resolved(value, root), prefix + name, name in required, root)


def _schema_rows(node: Node, key: str, required: bool, root: Node) -> Iterator[Row]:
    yield Row(key, _kind(node, root), required, str(node.get("description", "")))
    if node.get("type") == "array":
        yield from _properties(_resolved(node.get("items", {}), root), f"{key}[].", root)
        return
    yield from _properties(node, f"{key}.", root)
    others = node.get("additionalProperties")
    if isinstance(others, dict):
        yield from _properties(_resolved(others, root), f"{key}.NAME.", root)


def _resolved(node: Node, root: Node) -> Node:
    """The node with what its local ``$ref`` says; its own words win."""
    reference = node.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return node
    found: Any = root
    for step in reference[2:].split("/"):
        found = found[step]
    return _resolved(found, root) | {k: v for k, v in node.items() if k != "$ref"}


def _kind(node: Node, root: Node) -> str:
    if "enum" in node:
        return "one of " + ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    for word in ("anyOf", "oneOf"):
        if word in node:
            kinds = [_kind(_resolved(choice, root), root) for choice in node[word]]
            return " or ".join(dict.fromkeys(kinds))
    kind = node.get("type", "any")
    if kind == "array":
        return f"list of {_kind(_resolved(node.get('items', {}), root), root)}"
    words = {"object": "mapping", "integer": "whole number", "boolean": "yes or no", "string": "text"}
    written = " or ".join(kind) if isinstance(kind, list) else words.get(str(kind), str(kind))
    bounds = [f"at least {node['minimum']}"] if "minimum" in node else []
    bounds += [f"at most {node['maximum']}"] if "maximum" in node else []
    return ", ".join([written, *bounds])


def role_rows(spec: Node, defaults: Node) -> list[Row]:
    """Rows of a role's ``meta/argument_specs.yml``, its main entry point, with ``defaults/main.yml``."""
    rows = _options(spec["argument_specs"]["main"].get("options", {}), "")
    return [replace(row, default=_short(defaults[row.key])) if row.key in defaults else row for row in rows]


def _short(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False)
    return f"`{written}`" if len(written) <= LONGEST else "see defaults"


def _options(options: dict[str, Node], prefix: str) -> Iterator[Row]:
    for name, option in options.items():
        kind = str(option.get("type", "str"))
        if "choices" in option:
            kind = "one of " + ", ".join(f"`{choice or EMPTY}`" for choice in option["choices"])
        words = {"str": "text", "int": "whole number", "bool": "yes or no", "dict": "mapping", "raw": "any"}
        kind = words.get(kind, kind)
        if kind == "list":
            elements = str(option.get("elements", "raw"))
            kind = f"list of {words.get(elements, elements)}"
        meaning = option.get("description", "")
        yield Row(
            key=prefix + name,
            kind=kind,
            required=bool(option.get("required")),
            meaning=" ".join(meaning) if isinstance(meaning, list) else str(meaning),
        )
        inner = f"{prefix}{name}[]." if option.get("type") == "list" else f"{prefix}{name}."
        yield from _options(option.get("options", {}), inner)


def table(rows: list[Row]) -> str:
    """A Markdown table; required keys are marked, defaults have a column where there are any."""
    columns = (
        ["key", "is", "default", "meaning"] if any(row.default for row in rows) else ["key", "is", "meaning"]
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = {
            "key": f"`{row.key}`",
            "is": row.kind + (", required" if row.required else ""),
            "default": row.default,
            "meaning": " ".join(row.meaning.split()),
        }
        lines.append(f"| {' | '.join(cells[column].replace('|', BAR) for column in columns)} |")
    return "\n".join(lines) + "\n"


def document() -> str:
    """The whole reference: schemas by file name, then roles by name."""
    parts = [_HEAD]
    for file in sorted(SCHEMAS.glob("*.yml")):
        schema = yaml.safe_load(file.read_text())
        parts.append(f"\n## {schema.get('title', file.stem)}\n\n{table(schema_rows(schema))}")
    for file in sorted(paths.ROLES.glob("*/meta/argument_specs.yml")):
        role = file.parent.parent.name
        spec = yaml.safe_load(file.read_text())
        short = spec["argument_specs"]["main"].get("short_description", "")
        values = yaml.safe_load((file.parent.parent / "defaults" / "main.yml").read_text()) or {}
        rows = role_rows(spec, values)
        parts.append(
            f"\n## Role {role}\n\n{short}\n\n{table(rows)}" if rows else f"\n## Role {role}\n\n{short}\n"
        )
    return "".join(parts)


if __name__ == "__main__":
    FILE.write_text(document())
