"""One mistake in production's inventory, and what the check has to say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bedplate.inventory import Inventory

HARDWARE = "production/host_vars/prod-gpu1/hardware.yml"
NETWORK = "production/host_vars/prod-gpu1/network.yml"
SITE = "production/group_vars/all/site.yml"
LINKS = "production/group_vars/all/network.yml"
PLATFORM = "production/group_vars/all/platform.yml"
TIERS = "production/group_vars/gpu_nodes/storage_tiers.yml"
STORE = "production/group_vars/storage_nodes/storage_tiers.yml"
VERSIONS = "_common/versions.yml"
HOSTS = "production/hosts.yml"
GPU, STO, NODES = "prod-gpu1", "prod-sto1", "gpu_nodes"
SERIAL, OTHER, SYSTEM = "S63UNC0T691231", "S63UNC0T226161", "8b7f8b97acc971870010"  # disks of prod-gpu1


@dataclass(frozen=True)
class Case:
    """A mistake; ``file`` is the end of the path, ``value`` None where it is long."""

    name: str
    edits: tuple[Callable[[Inventory], Inventory], ...]
    file: str
    key: str
    value: str | None
    why: str
    remedy: str


def case(
    name: str,
    *edits: Callable[[Inventory], Inventory],
    at: tuple[str, str],
    value: str | None,
    why: str,
    remedy: str,
) -> Case:
    """A case; ``at`` is (file, key)."""
    return Case(name, edits, *at, value, why, remedy)


def disks(*serials: str) -> list[dict[str, Any]]:
    """A hot tier named by serial numbers."""
    return [{"name": "hot", "disks": list(serials), "raid": 0, "mount": "/srv/hot"}]
