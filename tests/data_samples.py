"""A small environment with every data service, two of each."""

from functools import cache
from typing import Any

from ai_platform.reading import read
from ai_platform.settings import Settings
from bedplate.inventory import Inventory
from tests.platform_samples import host, inventory

TIER = [{"name": "warm", "class": "ssd", "count": 2, "raid": 1, "mount": "/srv/warm"}]
HOSTS = {f"sto{n}": host(storage_tiers=TIER) for n in (1, 2, 3)} | {"ctl1": host()}
GROUPS = {"storage_nodes": ["sto1", "sto2", "sto3"], "control_plane": ["ctl1"]}
DATA: dict[str, Any] = {
    "object_store": {"tier": "warm", "replicas": 2, "volume": "20GiB"},
    "postgresql": {
        "tier": "warm",
        "replicas": 2,
        "volume": "2GiB",
        "memory": "256MiB",
        "archive": {"tier": "warm", "volume": "20GiB"},
    },
    "valkey": {"tier": "warm", "replicas": 2, "memory": "96MiB", "cache": "32MiB"},
    "mlflow": {"replicas": 2},
}


def stored(**data: Any) -> Inventory:
    """The environment; a service that is None is left out."""
    wanted = {name: entry for name, entry in (DATA | data).items() if entry is not None}
    return inventory(hosts=HOSTS, groups=GROUPS, data=wanted)


@cache
def settings() -> Settings:
    """It as the components see it."""
    return read(stored())
