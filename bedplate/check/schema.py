"""Types: every variable against its JSON Schema, with messages that say what to write instead."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from jsonschema.protocols import Validator

from bedplate.check.files import Secret
from bedplate.check.problem import MISSING, Key, Problem
from bedplate.check.words import choose

FOLDER = Path(__file__).with_name("schema")
Error = Any  # jsonschema.ValidationError; its stubs allow for boolean schemas, which ours are not
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a dictionary",
    "null": "nothing",
}


@dataclass(frozen=True)
class Schema:
    """One schema over top-level variables. ``name`` is its file's, and its variables' prefix where closed."""

    name: str
    body: Mapping[str, Any]

    @property
    def closed(self) -> bool:
        """No other variable may begin with ``NAME_``."""
        return self.body.get("additionalProperties") is False

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that the schema types."""
        return tuple(self.body.get("properties", {}))

    @property
    def required(self) -> tuple[str, ...]:
        """Names that every host must have."""
        return tuple(self.body.get("required", ()))

    def of(self, variable: str) -> Mapping[str, Any] | None:
        """The schema of one variable, by its name or by a pattern of names."""
        named = self.body.get("properties", {}).get(variable)
        patterns = self.body.get("patternProperties", {}).items()
        part = named or next((part for pattern, part in patterns if re.search(pattern, variable)), None)
        return part


@cache
def load_all() -> tuple[Schema, ...]:
    """Every schema file of this folder; a test holds each against the rules for schemas."""
    files = sorted(FOLDER.glob("*.yml"))
    return tuple(
        Schema(file.stem, _inlined(yaml.load(file.read_bytes(), yaml.CSafeLoader))) for file in files
    )


def _inlined(body: dict[str, Any]) -> dict[str, Any]:
    """Pure: a schema with its own definitions in the places that refer to them. Looking them up anew for each
    value takes as long as everything else that a validator does. A definition must not contain itself.
    """
    definitions = body.get("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, list):
            return [put(item) for item in part]
        if not isinstance(part, dict):
            return part
        name = str(part.get("$ref", "")).removeprefix("#/$defs/")
        rest = {key: put(value) for key, value in part.items() if key not in ("$ref", "$defs")}
        return put(definitions[name]) | rest if name else rest

    result: dict[str, Any] = put(body)
    return result


def validator(schema: Mapping[str, Any]) -> Validator:
    """A validator to be used many times."""
    return jsonschema.Draft202012Validator(schema)


def violations(variable: str, value: Any, check: Validator) -> Iterator[Problem]:
    """What is wrong with one variable's type. Vault values and templates are taken on trust."""
    found = [problem for error in check.iter_errors(value) for problem in _explain(variable, error)]
    meant = {(*problem.key[:-1], problem.remedy.removeprefix("write ")) for problem in found}
    # A mistyped key is said once, not again as the right one that is missing.
    yield from (p for p in found if not (p.value is MISSING and p.key in meant))


def _explain(variable: str, error: Error) -> Iterator[Problem]:
    """One error of the validator in the words of someone who writes inventories."""
    value = error.instance
    if isinstance(value, Secret) or (isinstance(value, str) and "{{" in value):
        return
    if error.context:
        for cause in error.context:
            yield from _explain(variable, cause)
        return
    key = (variable, *error.absolute_path)
    words = _WORDS.get(str(error.validator), _otherwise)
    yield from words(key, error)


def _unknown_key(key: Key, error: Error) -> Iterator[Problem]:
    known = error.schema.get("properties", {})
    for name in (name for name in error.instance if name not in known):
        yield Problem((*key, name), f"{_last(key)} has no such key", choose(str(name), known))


def _missing_key(key: Key, error: Error) -> Iterator[Problem]:
    names = (name for name in error.validator_value if name not in error.instance)
    missing = next(name for name in names if error.message.startswith(repr(name)))
    part = error.schema.get("properties", {}).get(missing, {})
    remedy = f"add {missing}"
    if "enum" in part:
        remedy += f": one of {', '.join(map(str, part['enum']))}"
    elif part.get("examples"):
        remedy += f", for example {part['examples'][0]}"
    yield Problem((*key, missing), f"{_last(key)} needs {missing}", remedy, MISSING)


def _type(key: Key, error: Error) -> Iterator[Problem]:
    rule = error.validator_value
    wanted = " or ".join(_TYPES[kind] for kind in ([rule] if isinstance(rule, str) else rule))
    why = f"this must be {wanted}, not {_kind(error.instance)}"
    yield Problem(key, why, _example(error.schema) or f"write {wanted}", error.instance)


def _choice(key: Key, error: Error) -> Iterator[Problem]:
    remedy = choose(str(error.instance), map(str, error.validator_value))
    yield Problem(key, "this is not one of the choices", remedy, error.instance)


def _pattern(key: Key, error: Error) -> Iterator[Problem]:
    what = error.schema.get("description", "in the expected form")
    remedy = _example(error.schema) or f"write it to match {error.validator_value}"
    yield Problem(key, f"this is not {what}", remedy, error.instance)


def _bound(key: Key, error: Error) -> Iterator[Problem]:
    bound = f"{'at least' if error.validator == 'minimum' else 'at most'} {error.validator_value}"
    yield Problem(key, f"this must be {bound}", f"write a number of {bound}", error.instance)


def _empty(key: Key, error: Error) -> Iterator[Problem]:
    yield Problem(key, "this must not be empty", f"write at least {error.validator_value}", error.instance)


def _twice(key: Key, error: Error) -> Iterator[Problem]:
    again = next(item for item in error.instance if error.instance.count(item) > 1)
    yield Problem(key, f"{again} stands in this list more than once", "write it once", error.instance)


def _otherwise(key: Key, error: Error) -> Iterator[Problem]:
    why = error.message.replace("\n", " ")
    yield Problem(key, why, f"change it to fit {error.validator}: {error.validator_value}", error.instance)


_WORDS = {
    "additionalProperties": _unknown_key,
    "required": _missing_key,
    "type": _type,
    "enum": _choice,
    "pattern": _pattern,
    "minimum": _bound,
    "maximum": _bound,
    "minLength": _empty,
    "minItems": _empty,
    "minProperties": _empty,
    "uniqueItems": _twice,
}


def _last(key: Key) -> str:
    named = [part for part in key if isinstance(part, str)]
    return f"an item of {named[-1]}" if isinstance(key[-1], int) else named[-1]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return _TYPES["boolean"]
    kinds = {
        str: "string",
        int: "integer",
        float: "number",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    return _TYPES[kinds.get(type(value), "string")]


def _example(schema: Any) -> str:
    examples = schema.get("examples", ()) if isinstance(schema, dict) else ()
    return f"write it like {examples[0]}" if examples else ""
