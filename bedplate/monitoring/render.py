"""Rules as the programs take them: files for a Prometheus on a host, ConfigMaps for one in the cluster."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from bedplate.inventory import Inventory
from bedplate.monitoring import catalogue, expected, thresholds
from bedplate.monitoring.model import Group

HEAD = "# Rendered from bedplate/monitoring/rules and the inventory of {environment}; not edited by hand.\n"


def groups(inventory: Inventory) -> tuple[Group, ...]:
    """Every group of an environment: what is expected first, because the others compare with it."""
    return (expected.group(inventory), *catalogue.groups(thresholds.read(inventory)))


def rule_files(environment: str, found: Iterable[Group]) -> dict[str, str]:
    """Pure: file name to content, one file per group."""
    return {f"{group.name}.yml": HEAD.format(environment=environment) + document(group) for group in found}


def document(*found: Group) -> str:
    """Pure: groups as the text of one rule file."""
    body = {"groups": [group.as_group() for group in found]}
    return yaml.safe_dump(body, sort_keys=False, width=1000, allow_unicode=True)


def config_maps(found: Iterable[Group], environment: str, metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Pure: one ConfigMap per group, ``metadata`` with the group's name in it. One alone would be too large
    for the API server (1 MiB) in an environment of a thousand hosts."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata | {"name": f"{metadata['name']}-{name.removesuffix('.yml')}"},
            "data": {name: text},
        }
        for name, text in rule_files(environment, found).items()
    ]


def write(files: dict[str, str], folder: Path) -> list[Path]:
    """Write files below ``folder``; returns their paths."""
    written = []
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        written.append(path)
    return written
