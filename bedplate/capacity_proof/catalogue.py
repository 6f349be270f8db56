"""The shared catalogue, read from its files: a machine with a GPU need not have Ansible."""

from functools import cache
from typing import Any

import yaml

from bedplate import paths
from bedplate.capacity import models as records


def models() -> dict[str, records.Model]:
    """Models by id."""
    return records.models(read("models")["catalogue_models"])


def gpu_of(name: str) -> records.Gpu | None:
    """The catalogue's row of a GPU by the driver's name (``NVIDIA H200``); None where there is none."""
    product = name.replace(" ", "-")
    rows = records.gpus(read("gpus")["catalogue_gpus"]).values()
    return next((gpu for gpu in rows if gpu.product == product), None)


@cache
def read(name: str) -> dict[str, Any]:
    """A file of inventories/_common."""
    content: dict[str, Any] = yaml.safe_load((paths.COMMON / f"{name}.yml").read_text())
    return content
