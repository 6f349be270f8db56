"""What a rule says, and how it becomes a finding with file and line."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bedplate.errors import Finding

Key = tuple[str | int, ...]  # ("hardware_disks", 3, "size")
Locate = Callable[[str, Key], str]  # host ("" for any) and key to "file:line"
UNSET = object()  # look the value up
MISSING = object()  # there is none, and there should be
_PRIVATE = re.compile(r"pas+w|passphrase|secret|token|private|credential|(^|_)key$", re.IGNORECASE)
_SHOWN_VALUE = 80  # characters of a value in a finding
_SHOWN_HOSTS = 3


@dataclass(frozen=True)
class Problem:
    """One thing wrong. ``key`` begins with the variable; ``value`` is looked up there unless given."""

    key: Key
    why: str
    remedy: str
    value: Any = UNSET
    host: str = ""
    level: Literal["error", "warning"] = "error"


def dotted(key: Key) -> str:
    """``("hardware_disks", 3, "size")`` as ``hardware_disks[3].size``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def lookup(variables: Any, key: Key) -> Any:
    """The value at ``key``, or UNSET."""
    value = variables
    for part in key:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return UNSET
    return value


def shown(value: Any) -> str:
    """A value in one short line."""
    if value is UNSET or value is MISSING:
        return "(not set)"
    text = ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _SHOWN_VALUE else text[: _SHOWN_VALUE - 1] + "…"


def printable(key: Key, value: Any) -> str:
    """``shown``, unless the key's name says that the value is nobody's business."""
    return "(not shown)" if any(_PRIVATE.search(str(part)) for part in key) else shown(value)


def findings(problems: Iterable[Problem], values: dict[str, dict[str, Any]], locate: Locate) -> list[Finding]:
    """Problems as findings in file order. The same problem of many hosts at the same place is said once."""
    merged: dict[Finding, set[str]] = defaultdict(set)
    for problem in problems:
        value = problem.value
        if value is UNSET:
            value = lookup(values.get(problem.host, {}), problem.key)
        place, text = locate(problem.host, problem.key), printable(problem.key, value)
        entry = Finding(place, dotted(problem.key), text, problem.why, problem.remedy, problem.level)
        merged[entry].add(problem.host)
    return sorted(_with_hosts(entry, hosts, len(values)) for entry, hosts in merged.items())


def _with_hosts(entry: Finding, hosts: set[str], total: int) -> Finding:
    """Say whom it concerns where the file does not, and it is not everybody."""
    names = sorted(hosts - {""})
    if len(names) in (0, total) or any(f"/host_vars/{name}" in entry.file for name in names):
        return entry
    why = f"{entry.why} ({_some(names)})"
    return Finding(entry.file, entry.key, entry.value, why, entry.remedy, entry.level)


def _some(names: Sequence[str]) -> str:
    text = ", ".join(names[:_SHOWN_HOSTS])
    rest = len(names) - _SHOWN_HOSTS
    return f"{text} and {rest} more" if rest > 0 else text
