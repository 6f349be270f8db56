"""Rules as Prometheus takes them: one file per group."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import yaml

from bedplate.inventory import Inventory
from bedplate.monitoring import catalogue, expected, thresholds
from bedplate.monitoring.model import Group

GROUP_RULES = 2000
HEAD = "# Rendered from bedplate/monitoring/rules and the inventory of {environment}; not edited by hand.\n"


def groups(inventory: Inventory) -> tuple[Group, ...]:
    """Every group of an environment: what is expected first, because the others compare with it."""
    return (*parts(expected.group(inventory)), *catalogue.groups(thresholds.read(inventory)))


def parts(group: Group, most: int = GROUP_RULES) -> tuple[Group, ...]:
    """Pure: a group of at most so many rules each. What is expected of a thousand hosts is one megabyte, more
    than the API server takes in one object, and groups are evaluated side by side."""
    if len(group.rules) <= most:
        return (group,)
    starts = range(0, len(group.rules), most)
    return tuple(
        replace(group, name=f"{group.name}-{number}", rules=group.rules[start : start + most])
        for number, start in enumerate(starts, start=1)
    )


def rule_files(environment: str, found: Iterable[Group]) -> dict[str, str]:
    """Pure: file name to content, one file per group."""
    return {f"{group.name}.yml": HEAD.format(environment=environment) + document(group) for group in found}


def document(*found: Group) -> str:
    """Pure: groups as the text of one rule file."""
    body = {"groups": [group.as_group() for group in found]}
    return yaml.dump(body, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000, allow_unicode=True)


def write(files: dict[str, str], folder: Path) -> list[Path]:
    """Write files below ``folder``; returns their paths."""
    written = []
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        written.append(path)
    return written
