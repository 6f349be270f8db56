"""The rule files of this package with an environment's thresholds filled in.

A file is one group: ``group``, and ``rules`` of two kinds. A recording rule has ``record``, ``expr``,
``labels`` and ``each`` (one rule per value, which name and expression use as ``${key}``); an alert has
``alert``, ``expr``, ``for``, ``severity``, ``owner``, ``summary``. ``${name}`` is the threshold
``monitoring_name``.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bedplate.monitoring.model import Alert, Group, Record, Rule

FOLDER = Path(__file__).with_name("rules")
_PLACE = re.compile(r"\$\{(\w+)\}")


def groups(thresholds: Mapping[str, str]) -> tuple[Group, ...]:
    """Every group, in order of the files' names. Raises KeyError for a threshold that nobody has set."""
    return tuple(group(document, thresholds) for document in documents())


@cache
def documents() -> tuple[dict[str, Any], ...]:
    """The rule files as they are written."""
    files = sorted(FOLDER.glob("*.yml"))
    return tuple(yaml.load(file.read_text(), yaml.CSafeLoader) for file in files)


def group(document: Mapping[str, Any], thresholds: Mapping[str, str]) -> Group:
    """Pure: one file as a group."""
    rules = [rule for entry in document["rules"] for rule in _rules(entry, thresholds)]
    return Group(document["group"], tuple(rules))


def _rules(entry: Mapping[str, Any], thresholds: Mapping[str, str]) -> Iterator[Rule]:
    if "alert" in entry:
        yield Alert(
            name=entry["alert"],
            expr=_filled(entry["expr"], thresholds),
            wait=entry["for"],
            severity=entry["severity"],
            owner=entry["owner"],
            summary=_filled(entry["summary"], thresholds),
            runbook=f"{thresholds['runbooks'].rstrip('/')}/{entry['alert']}.md",
        )
        return
    for key, values in entry.get("each", {"": [""]}).items():
        for value in values:
            words = {**thresholds, key: value}
            yield Record(
                _filled(entry["record"], words), _filled(entry["expr"], words), entry.get("labels", {})
            )


def _filled(text: str, words: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: words[place[1]], text).strip()


def used(document: Mapping[str, Any]) -> set[str]:
    """Pure: the thresholds that a file names."""
    found = set()
    for entry in document["rules"]:
        own = set(entry.get("each", {}))
        texts = (str(entry.get(key, "")) for key in ("expr", "summary", "record"))
        found |= {name for text in texts for name in _PLACE.findall(text)} - own
    return found
