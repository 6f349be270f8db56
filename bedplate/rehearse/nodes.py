"""The inventory's Kubernetes hosts as Node objects: what kubelet and GPU feature discovery would say.

Labels of GPUs follow NVIDIA's GPU feature discovery (names, and family by compute capability); topology
labels are Kubernetes' own: region is the environment, zone is the rack (what fails together);
``nvidia.com/gpu.clique`` is the NVLink domain where it is larger than a host.
"""

from collections.abc import Mapping
from typing import Any

from bedplate.capacity.models import Gpu, gpus
from bedplate.inventory import Inventory, Vars
from bedplate.units import parse_bytes, quantity

GROUP = "kubernetes"
CONTROL_PLANE = "control_plane"
GPU = "nvidia.com/gpu"
RDMA = "rdma/hca"
RDMA_KINDS = ("infiniband", "roce")
CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
GPU_TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
# gpu-feature-discovery, internal/lm/resource.go: the first row that the compute capability reaches
_FAMILIES = (
    ((10, 0), "blackwell"),
    ((9, 0), "hopper"),
    ((8, 9), "ada-lovelace"),
    ((8, 0), "ampere"),
    ((7, 5), "turing"),
    ((7, 0), "volta"),
)


def nodes(inventory: Inventory) -> list[dict[str, Any]]:
    """A Node object for every host of the group ``kubernetes``, in inventory order."""
    hosts = inventory.members(GROUP)
    catalogue = gpus(inventory.shared.get("catalogue_gpus", {}))
    controllers = set(inventory.groups.get(CONTROL_PLANE, ()))
    # Control-plane hosts run other pods only where nothing else could: kubeadm's taint stays off then.
    spare = any(name not in controllers and not gpu_count(host) for name, host in hosts.items())
    return [
        _node(inventory, name, host, catalogue, controller=name in controllers, tainted=spare)
        for name, host in hosts.items()
    ]


def gpu_count(host: Vars) -> int:
    """GPUs in a host."""
    return int(host.get("hardware_gpus", {}).get("count", 0))


def _node(
    inventory: Inventory,
    name: str,
    host: Vars,
    catalogue: Mapping[str, Gpu],
    *,
    controller: bool,
    tainted: bool,
) -> dict[str, Any]:
    devices = _devices(inventory, name, host)
    labels = _labels(inventory.environment, name, host) | _gpu_labels(host, catalogue, devices)
    taints = [GPU_TAINT] if gpu_count(host) else []
    if controller:
        labels["node-role.kubernetes.io/control-plane"] = ""
        taints += [CONTROL_PLANE_TAINT] if tainted else []
    capacity, allocatable = _resources(host, devices | _fabric(host))
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints} if taints else {},
        "status": {
            "capacity": capacity,
            "allocatable": allocatable,
            "addresses": _addresses(name, host),
            "nodeInfo": _node_info(host),
        },
    }


def _labels(environment: str, name: str, host: Vars) -> dict[str, str]:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/region": environment,
    }
    rack = host.get("hardware_rack", {}).get("rack")
    return labels | ({"topology.kubernetes.io/zone": str(rack)} if rack else {})


def _gpu_labels(host: Vars, catalogue: Mapping[str, Gpu], devices: Mapping[str, int]) -> dict[str, str]:
    count = gpu_count(host)
    if not count:
        return {}
    labels = {
        f"{GPU}.present": "true",
        f"{GPU}.count": str(count),
        f"{GPU}.replicas": "1",
        "nvidia.com/mig.strategy": "mixed",
        "feature.node.kubernetes.io/pci-10de.present": "true",
    }
    gpu = catalogue.get(host["hardware_gpus"]["model"])
    if gpu:
        labels |= {
            f"{GPU}.product": gpu.product,
            f"{GPU}.memory": str(gpu.memory_mib),
            f"{GPU}.family": family(gpu.compute),
            f"{GPU}.compute.major": str(gpu.compute[0]),
            f"{GPU}.compute.minor": str(gpu.compute[1]),
        }
    domain = host["hardware_gpus"].get("domain")
    if domain:
        labels[f"{GPU}.clique"] = str(domain)
    return labels | {f"{resource}.count": str(n) for resource, n in devices.items() if resource != GPU}


def family(compute: tuple[int, int]) -> str:
    """Architecture as GPU feature discovery names it."""
    return next((name for least, name in _FAMILIES if compute >= least), "undefined")


def _devices(inventory: Inventory, name: str, host: Vars) -> dict[str, int]:
    """Extended resources of a host: whole GPUs, or MIG devices where its group has a layout."""
    count = gpu_count(host)
    if not count:
        return {}
    for group, layout in host.get("platform_mig", {}).items():
        if name in inventory.groups.get(group, ()):
            profiles = host.get("catalogue_mig", {}).get(layout, {}).get("devices", {})
            return {f"nvidia.com/mig-{profile}": count * n for profile, n in profiles.items()}
    return {GPU: count}


def _fabric(host: Vars) -> dict[str, int]:
    """Shares of the host's RDMA cards, as the RDMA shared device plugin offers them."""
    has_card = any(nic.get("kind") in RDMA_KINDS for nic in host.get("hardware_nics", []))
    return {RDMA: int(host.get("catalogue_rdma_shares", 0))} if has_card else {}


def _resources(host: Vars, devices: Mapping[str, int]) -> tuple[dict[str, str], dict[str, str]]:
    """Capacity, and what is left of it for pods."""
    reserve = host.get("catalogue_node_reserve", {})
    cpus = int(host.get("hardware_cpus", 1))
    memory = parse_bytes(host.get("hardware_memory", "1GiB"))
    storage = sum(
        parse_bytes(disk["size"]) for disk in host.get("hardware_disks", []) if disk.get("use") == "system"
    )
    fixed = {"pods": str(host.get("catalogue_node_pods", 110))} | {k: str(n) for k, n in devices.items()}
    capacity = {"cpu": str(cpus), "memory": quantity(memory), "ephemeral-storage": quantity(storage)}
    left = {
        "cpu": str(max(cpus - int(reserve.get("cpus", 0)), 0)),
        "memory": quantity(max(memory - parse_bytes(reserve.get("memory", "0B")), 0)),
        "ephemeral-storage": quantity(max(storage - parse_bytes(reserve.get("storage", "0B")), 0)),
    }
    return capacity | fixed, left | fixed


def _addresses(name: str, host: Vars) -> list[dict[str, str]]:
    """The node's own address is the one in the network that carries pod traffic (zone compute)."""
    addresses: dict[str, str] = host.get("vlan_network_addresses", {})
    compute = [n["name"] for n in host.get("site_networks", []) if n.get("zone") == "compute"]
    chosen = next((addresses[n] for n in compute if n in addresses), next(iter(addresses.values()), None))
    internal = [{"type": "InternalIP", "address": chosen}] if chosen else []
    return [*internal, {"type": "Hostname", "address": name}]


def _node_info(host: Vars) -> dict[str, str]:
    kubernetes = f"v{host.get('version_kubernetes', '0.0.0')}"
    return {
        "architecture": "amd64",
        "bootID": "",
        "containerRuntimeVersion": f"containerd://{host.get('version_containerd', '')}",
        "kernelVersion": "",
        "kubeProxyVersion": "",
        "kubeletVersion": kubernetes,
        "machineID": "",
        "operatingSystem": "linux",
        "osImage": "",
        "systemUUID": "",
    }
