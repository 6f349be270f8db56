"""The ``monitoring_`` values of an environment, as rules use them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.errors import BadInput, Finding
from bedplate.inventory import Inventory

PREFIX = "monitoring_"
FILE = paths.COMMON / "monitoring.yml"


def read(inventory: Inventory) -> dict[str, str]:
    """Name without prefix to the value as PromQL writes it. Rules hold for the whole environment, so a value
    that differs between hosts raises BadInput."""
    shared = {k: v for k, v in inventory.shared.items() if k.startswith(PREFIX)}
    everywhere = {name for values in inventory.hosts.values() for name in values if name.startswith(PREFIX)}
    split = sorted(everywhere - shared.keys())
    if split:
        raise BadInput([_differs(inventory.path, name) for name in split])
    return written(shared)


def written(values: Mapping[str, Any]) -> dict[str, str]:
    """Pure: values as text; a list is an alternative of a regular expression."""
    return {name.removeprefix(PREFIX): _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(str(item) for item in value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _differs(inventory: Path, name: str) -> Finding:
    return Finding(
        str(inventory),
        name,
        "",
        "the value differs between hosts, and alert rules hold for the whole environment",
        f"set {name} in group_vars/all only",
    )
