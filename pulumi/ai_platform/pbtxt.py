"""Protocol buffers in text format, as far as Triton's config.pbtxt needs them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


class Enum(str):
    """A value that is written without quotes."""

    __slots__ = ()


def dumps(message: Mapping[str, Any], indent: int = 0) -> str:
    """A message: values are text, numbers, truth values, enums, messages, or lists of one kind of them."""
    pad = "  " * indent
    lines = []
    for name, value in message.items():
        if isinstance(value, Mapping):
            lines.append(f"{pad}{name} {{\n{dumps(value, indent + 1)}{pad}}}\n")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            lines.append(_repeated(name, value, indent))
        else:
            lines.append(f"{pad}{name}: {_scalar(value)}\n")
    return "".join(lines)


def _repeated(name: str, values: Sequence[Any], indent: int) -> str:
    """Messages one after another, anything else as a list on one line."""
    if values and isinstance(values[0], Mapping):
        return "".join(dumps({name: value}, indent) for value in values)
    return f"{'  ' * indent}{name}: [ {', '.join(_scalar(value) for value in values)} ]\n"


def _scalar(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=True)  # text format takes JSON's quotes and escapes
