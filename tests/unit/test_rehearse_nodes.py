"""From the inventory to nodes and volumes, by tables."""

from pathlib import Path
from typing import Any

import pytest

from bedplate.inventory import Inventory
from bedplate.rehearse import nodes, volumes
from bedplate.rehearse.session import group_of

SHARED = {
    "catalogue_gpus": {
        "h100": {"product": "NVIDIA-H100-80GB-HBM3", "memory_mib": 81559, "compute": "9.0"},
        "l40s": {"product": "NVIDIA-L40S", "memory_mib": 46068, "compute": "8.9"},
    },
    "catalogue_mig": {"sevenths": {"gpus": ["h100"], "devices": {"1g.10gb": 7}}},
    "catalogue_node_reserve": {"cpus": 2, "memory": "8GiB", "storage": "50GB"},
    "catalogue_node_pods": 110,
    "catalogue_local_volumes": 4,
    "catalogue_rdma_shares": 63,
    "site_networks": [{"name": "management", "zone": "management"}, {"name": "cluster", "zone": "compute"}],
    "version_kubernetes": "1.37.0",
}
CONTROLLER = {"hardware_cpus": 16, "hardware_memory": "64GiB"}
GPU_HOST = CONTROLLER | {"hardware_gpus": {"model": "h100", "count": 8}}
STORAGE = CONTROLLER | {"hardware_rack": {"rack": "r2"}}


def inventory(hosts: dict[str, dict[str, Any]], **groups: tuple[str, ...]) -> Inventory:
    groups = {"all": tuple(hosts), "kubernetes": tuple(hosts)} | groups
    return Inventory("test", Path(), {name: SHARED | host for name, host in hosts.items()}, groups)


def made(hosts: dict[str, dict[str, Any]], **groups: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {raw["metadata"]["name"]: raw for raw in nodes.nodes(inventory(hosts, **groups))}


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"),
        ("nvidia.com/gpu.memory", "81559"),
        ("nvidia.com/gpu.count", "8"),
        ("nvidia.com/gpu.family", "hopper"),
        ("nvidia.com/gpu.compute.major", "9"),
        ("nvidia.com/gpu.compute.minor", "0"),
        ("nvidia.com/gpu.present", "true"),
        ("kubernetes.io/hostname", "gpu1"),
        ("topology.kubernetes.io/region", "test"),
    ],
)
def test_labels_of_a_gpu_host(label: str, value: str) -> None:
    assert made({"gpu1": GPU_HOST})["gpu1"]["metadata"]["labels"][label] == value


@pytest.mark.parametrize(
    ("compute", "family"),
    [
        ((12, 0), "blackwell"),
        ((10, 0), "blackwell"),
        ((9, 0), "hopper"),
        ((8, 9), "ada-lovelace"),
        ((8, 6), "ampere"),
        ((7, 5), "turing"),
        ((7, 0), "volta"),
        ((6, 1), "undefined"),
    ],
)
def test_family_by_compute_capability(compute: tuple[int, int], family: str) -> None:
    assert nodes.family(compute) == family


def taints(raw: dict[str, Any]) -> list[str]:
    return [taint["key"] for taint in raw["spec"].get("taints", [])]


def test_a_gpu_host_keeps_pods_without_gpus_away() -> None:
    assert taints(made({"gpu1": GPU_HOST})["gpu1"]) == ["nvidia.com/gpu"]


@pytest.mark.parametrize(
    ("others", "tainted"),
    [({}, False), ({"gpu1": GPU_HOST}, False), ({"store1": STORAGE}, True)],
)
def test_the_control_plane_is_kept_free_where_other_pods_have_a_place(
    others: dict[str, Any], tainted: bool
) -> None:
    found = made({"ctl1": CONTROLLER, **others}, control_plane=("ctl1",))
    assert (taints(found["ctl1"]) == ["node-role.kubernetes.io/control-plane"]) is tainted


def test_a_host_keeps_something_for_itself() -> None:
    disk = {"serial": "s", "class": "ssd", "size": "480GB", "use": "system"}
    status = made({"gpu1": GPU_HOST | {"hardware_disks": [disk]}})["gpu1"]["status"]
    assert (status["capacity"]["cpu"], status["allocatable"]["cpu"]) == ("16", "14")
    assert (status["capacity"]["memory"], status["allocatable"]["memory"]) == ("64Gi", "56Gi")
    assert status["capacity"]["nvidia.com/gpu"] == status["allocatable"]["nvidia.com/gpu"] == "8"
    assert status["capacity"]["ephemeral-storage"] == "457764Mi"


def test_mig_devices_take_the_place_of_whole_gpus() -> None:
    host = GPU_HOST | {"platform_mig": {"gpu_nodes": "sevenths"}}
    status = made({"gpu1": host}, gpu_nodes=("gpu1",))["gpu1"]["status"]
    assert status["allocatable"].get("nvidia.com/gpu") is None
    assert status["allocatable"]["nvidia.com/mig-1g.10gb"] == "56"


@pytest.mark.parametrize(("kind", "shares"), [("roce", "63"), ("infiniband", "63"), ("ethernet", None)])
def test_rdma_cards_are_shared(kind: str, shares: str | None) -> None:
    host = GPU_HOST | {"hardware_nics": [{"name": "data0", "kind": kind}]}
    assert made({"gpu1": host})["gpu1"]["status"]["allocatable"].get("rdma/hca") == shares


def test_the_address_is_the_one_that_carries_pod_traffic() -> None:
    host = GPU_HOST | {"vlan_network_addresses": {"management": "10.10.0.11", "cluster": "10.20.0.11"}}
    assert made({"gpu1": host})["gpu1"]["status"]["addresses"] == [
        {"type": "InternalIP", "address": "10.20.0.11"},
        {"type": "Hostname", "address": "gpu1"},
    ]


def test_only_kubernetes_hosts_are_nodes() -> None:
    known = inventory({"gpu1": GPU_HOST, "gw1": CONTROLLER}, kubernetes=("gpu1",))
    assert [raw["metadata"]["name"] for raw in nodes.nodes(known)] == ["gpu1"]


DISKS = [
    {"serial": "boot", "class": "nvme", "size": "960GB", "use": "system"},
    *({"serial": f"n{i}", "class": "nvme", "size": "3.84TB"} for i in range(4)),
]


@pytest.mark.parametrize(
    ("tier", "size"),
    [
        ({"class": "nvme", "count": 4, "raid": 5}, 3 * 3840 * 10**9),
        ({"class": "nvme", "count": 4, "raid": 6}, 2 * 3840 * 10**9),
        ({"class": "nvme", "count": 4, "raid": 10}, 2 * 3840 * 10**9),
        ({"class": "nvme", "count": 4, "raid": 0}, 4 * 3840 * 10**9),
        ({"disks": ["n0", "n3"], "raid": 1}, 3840 * 10**9),
        ({"class": "hdd", "count": 2, "raid": 1}, 0),
    ],
)
def test_capacity_of_a_tier(tier: dict[str, Any], size: int) -> None:
    assert volumes.capacity({"hardware_disks": DISKS}, tier) == size


def test_a_tier_is_offered_as_equal_volumes_on_its_host() -> None:
    tier = {"name": "hot", "class": "nvme", "count": 4, "raid": 5, "mount": "/srv/hot"}
    host = GPU_HOST | {"hardware_disks": DISKS, "storage_tiers": [tier]}
    found = volumes.volumes(inventory({"gpu1": host}))
    assert [raw["metadata"]["name"] for raw in found] == [f"local-hot-gpu1-{i}" for i in range(4)]
    spec = found[0]["spec"]
    assert (spec["storageClassName"], spec["local"]["path"]) == ("tier-hot", "/srv/hot/volumes/0")
    assert spec["capacity"]["storage"] == "2746583Mi"
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["gpu1"]


def test_a_node_is_counted_in_its_own_kind() -> None:
    known = inventory(
        {"ctl1": CONTROLLER, "gpu1": GPU_HOST, "gpu2": GPU_HOST},
        control_plane=("ctl1",),
        gateways=("ctl1",),
        gpu_nodes=("gpu1", "gpu2"),
        large=("gpu2",),
    )
    assert group_of(known) == {"ctl1": "control_plane", "gpu1": "gpu_nodes", "gpu2": "large"}
