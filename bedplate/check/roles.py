"""The roles' own variables, typed from ``meta/argument_specs.yml``, where a role says its types."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths

_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "path": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {"type": ["string", "integer"]},
    "bits": {"type": ["string", "integer"]},
    "raw": {},
    "json": {},
    "jsonarg": {},
}


def schema_of(option: Mapping[str, Any]) -> dict[str, Any]:
    """One option of an argument spec as JSON Schema; nested ``options`` close their dictionary."""
    kind = option.get("type", "str")
    if kind == "list":
        return {"type": "array", "items": schema_of({**option, "type": option.get("elements", "raw")})}
    if kind == "dict":
        return _dictionary(option)
    schema = dict(_TYPES[kind])
    if "choices" in option:
        schema["enum"] = list(option["choices"])
    return schema


def _dictionary(option: Mapping[str, Any]) -> dict[str, Any]:
    nested = option.get("options")
    if nested is None:
        return {"type": "object"}
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: schema_of(part) for name, part in nested.items()},
    }
    required = [name for name, part in nested.items() if part.get("required")]
    return schema | ({"required": required} if required else {})


@cache
def specs(folder: Path = paths.ROLES) -> dict[str, dict[str, dict[str, Any]]]:
    """Role name to its public variables, each as JSON Schema."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for file in sorted(folder.glob("*/meta/argument_specs.yml")):
        options = yaml.load(file.read_bytes(), yaml.CSafeLoader)["argument_specs"]["main"].get("options", {})
        found[file.parent.parent.name] = {name: schema_of(option) for name, option in options.items()}
    return found


@cache
def common_names(folder: Path = paths.COMMON) -> frozenset[str]:
    """Names of the variables in ``inventories/_common``."""
    names: set[str] = set()
    for file in folder.glob("*.yml"):
        node = yaml.compose(file.read_bytes(), Loader=yaml.CSafeLoader)
        if isinstance(node, yaml.MappingNode):
            names.update(key.value for key, _ in node.value)
    return frozenset(names)
