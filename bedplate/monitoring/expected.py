"""What the inventory says should be there, as series: an alert then compares two series, and one GPU, link,
disk, mount or exporter that is missing is seen even where nothing is left to say so."""

from collections.abc import Iterator, Mapping
from typing import Any

from bedplate.inventory import Inventory, Vars
from bedplate.monitoring.model import Group, Record

GROUP = "expected"
# Seconds. Seven numbers for each host change with the inventory only; Prometheus forgets a series after 300.
PACE = 120
ARRAY_OWNER = (
    "bedplate"  # first part of the names of our arrays (plugins/module_utils/storage_tiers/model.py)
)
RDMA = ("infiniband", "roce")


def group(inventory: Inventory) -> Group:
    """Pure: the recording rules of one environment. Numbers are those of the inventory, host by host."""
    gpus = inventory.shared.get("catalogue_gpus", {})
    rules = [rule for host, values in inventory.hosts.items() for rule in _host(host, values, gpus)]
    return Group(GROUP, (*rules, *_services(inventory.shared)), PACE)


def _host(host: str, values: Vars, catalogue: Mapping[str, Any]) -> Iterator[Record]:
    yield _expected("target", 1, job="node", node=host)
    yield _expected("disks", len(values.get("hardware_disks", ())), node=host)
    gpus = values.get("hardware_gpus")
    if gpus:
        yield _expected("target", 1, job="dcgm", node=host)
        yield _expected("gpus", gpus["count"], node=host)
        gpu = catalogue.get(gpus["model"], {})
        if gpus["count"] in gpu.get("fabric_boards", ()):
            yield _expected("nvlinks", gpus["count"] * gpu["nvlink"]["links"], node=host)
    ports = sum(nic.get("kind") in RDMA for nic in values.get("hardware_nics", ()))
    if ports:
        yield _expected("rdma_ports", ports, node=host)
    for tier in values.get("storage_tiers", ()):
        yield from _tier(host, tier)


def _tier(host: str, tier: Mapping[str, Any]) -> Iterator[Record]:
    name = tier["name"]
    yield _expected("mount", 1, node=host, tier=name, mountpoint=tier["mount"])
    disks = tier.get("count") or len(tier.get("disks", ()))
    if disks > 1 and tier.get("raid") is not None:
        yield _expected("tier_disks", disks, node=host, tier=name, array=f"{ARRAY_OWNER}-{name}")


def _services(shared: Vars) -> Iterator[Record]:
    for server in ("vllm", "triton"):
        for service in shared.get(f"platform_{server}", ()):
            replicas = service.get("replicas", 1 if server == "vllm" else 2)
            yield _expected(f"{server}_replicas", replicas, service=service["name"])
    if "platform_api" in shared:
        yield _expected("gateway_replicas", shared["platform_api"].get("replicas", 1))


def _expected(what: str, number: int, **labels: str) -> Record:
    return Record(
        f"bedplate:expected_{what}", f"vector({number})", {name: str(value) for name, value in labels.items()}
    )
