"""A small environment with an object store and vector stores on it."""

from typing import Any

from bedplate.inventory import Inventory
from tests.data_samples import DATA, GROUPS, HOSTS
from tests.platform_samples import host, inventory, onnx, triton

ALONE = {"mode": "standalone", "tier": "warm"}
CLUSTER = {"mode": "cluster", "tier": "warm", "query_nodes": 3, "memory": "16GiB", "volume": "40GiB"}
SYNC = {"name": "handbook", "collection": "handbook", "embedding": "search", "dimensions": 1024}


def vectors(**platform: Any) -> Inventory:
    """The environment; ``milvus``, ``chroma`` and ``knowledge`` as in the inventory."""
    gpus = {"gpu1": host("h100-sxm5-80gb")}
    served = {"triton": [triton(onnx())], "data": DATA}
    return inventory(HOSTS | gpus, GROUPS | {"gpu_nodes": ["gpu1"]}, **served | platform)
