"""One YAML file of an inventory: its values, where each of them stands, and keys that stand there twice.

Values are read by libyaml alone, which for a thousand hosts is ten times faster than Ansible's own loader;
places are found only when something has to be said about a file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.check.problem import Key, dotted, printable
from bedplate.errors import Finding

_MERGE = "tag:yaml.org,2002:merge"


class Secret(str):
    """A value that Ansible Vault encrypts: its type and content are not the check's business."""

    __slots__ = ()


class Unreadable(Exception):
    """The file is no YAML dictionary; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def _name(key: Any) -> str:
    """A key as JSON has it, in which inventories are listed."""
    if key is None or isinstance(key, bool):
        return "null" if key is None else str(key).lower()
    return str(key)


class _Loader(yaml.CSafeLoader):
    """Ansible's values as it lists them: those of YAML's safe loader, and its own tags; dates are text."""

    repeated = False

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if key.tag != _MERGE]
        self.repeated = self.repeated or len(names) != len(set(map(str, names)))
        return {_name(name): value for name, value in super().construct_mapping(node, deep).items()}


def _date(loader: _Loader, node: yaml.ScalarNode) -> str:
    value = loader.construct_yaml_timestamp(node)
    return str(value) if isinstance(value, date) else str(node.value)


_Loader.add_constructor("!vault", lambda *_: Secret("(vault)"))
_Loader.add_constructor("!vault-encrypted", lambda *_: Secret("(vault)"))
_Loader.add_constructor("!unsafe", lambda _, node: str(node.value))
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)


@dataclass(frozen=True)
class Document:
    """A file as read: its values by name, and what is wrong with it although YAML takes it."""

    path: str
    values: dict[str, Any]
    findings: tuple[Finding, ...] = ()

    def place(self, key: Key) -> str:
        """``file:line`` of the value at exactly this key; nothing when it does not stand in the file."""
        line = self._lines.get(key)
        return f"{relative(Path(self.path))}:{line}" if line else ""

    @cached_property
    def _lines(self) -> dict[Key, int]:
        """Line of every key; of one that stands there twice, that of the last, whose value it is."""
        root = yaml.compose(Path(self.path).read_bytes(), Loader=yaml.CSafeLoader)
        return {key: node.start_mark.line + 1 for key, node, _ in _walk((), root)}


def read(path: str, data: bytes) -> Document:
    """Pure: what a file with this content says. Raises Unreadable; an empty file has no values."""
    loader = _Loader(data)
    try:
        values = loader.get_single_data()
    except yaml.YAMLError as broken:
        raise Unreadable(_broken(path, broken)) from broken
    except (ValueError, TypeError) as wrong:  # 2026-13-01, a list as a key
        raise Unreadable(_wrong(path, f"not valid YAML: {wrong}")) from wrong
    finally:
        loader.dispose()
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise Unreadable(_wrong(path, "this is no dictionary of variables"))
    findings = tuple(_twice(path, data)) if loader.repeated else ()
    return Document(path, values, findings)


def _broken(path: str, broken: yaml.YAMLError) -> Finding:
    mark = getattr(broken, "problem_mark", None)
    why = f"not valid YAML: {getattr(broken, 'problem', None) or broken}"
    return _wrong(path, why, "correct this line, or the one before it", mark.line + 1 if mark else 0)


def _wrong(path: str, why: str, remedy: str = "write `name: value` lines", line: int = 0) -> Finding:
    place = relative(Path(path)) + (f":{line}" if line else "")
    return Finding(place, "(file)", Path(path).name, why, remedy)


def _twice(path: str, data: bytes) -> Iterator[Finding]:
    """Keys that stand in one dictionary more than once; the last one would win, without a word."""
    first: dict[Key, int] = {}
    for key, node, value in _walk((), yaml.compose(data, Loader=yaml.CSafeLoader)):
        line = node.start_mark.line + 1
        if key in first:
            text = value.value if isinstance(value, yaml.ScalarNode) else "(a list or dictionary)"
            why = f"line {first[key]} sets this key already, and Ansible would take only the last one"
            place = f"{relative(Path(path))}:{line}"
            yield Finding(place, dotted(key), printable(key, text), why, "keep one of the two lines")
        first.setdefault(key, line)


def _walk(key: Key, node: Any) -> Iterator[tuple[Key, Any, Any]]:
    """Every key below ``node``, with the node at which it stands and the node of its value."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.tag != _MERGE and isinstance(name, yaml.ScalarNode):
                inner = (*key, name.value)
                yield inner, name, value
                yield from _walk(inner, value)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            inner = (*key, index)
            yield inner, item, item
            yield from _walk(inner, item)


@cache
def relative(path: Path) -> str:
    """Relative to the project, through symbolic links: the file that has to be edited."""
    real = path.resolve()
    return str(real.relative_to(paths.ROOT) if real.is_relative_to(paths.ROOT) else real)
