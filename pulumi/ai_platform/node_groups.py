"""Groups of Kubernetes nodes, as the inventory describes their hosts."""

from collections.abc import Mapping

from ai_platform.settings import FABRICS, RDMA_FABRICS, NodeGroup, Rdma
from bedplate.capacity.models import Gpu
from bedplate.inventory import Inventory, Vars
from bedplate.units import parse_bytes

PARENT = "kubernetes"


def node_groups(inventory: Inventory, gpus: Mapping[str, Gpu]) -> dict[str, NodeGroup]:
    """Every group whose hosts are all Kubernetes nodes, by name; empty groups are left out."""
    nodes = inventory.members(PARENT)
    groups = {}
    for name, hosts in inventory.groups.items():
        if hosts and name not in ("all", "ungrouped") and nodes.keys() >= set(hosts):
            groups[name] = _group(name, {host: nodes[host] for host in hosts}, nodes, gpus)
    return groups


def _group(
    name: str, hosts: Mapping[str, Vars], nodes: Mapping[str, Vars], gpus: Mapping[str, Gpu]
) -> NodeGroup:
    products = {_product(v) for v in hosts.values()}
    product = products.pop() if len(products) == 1 else ""
    count = min(v.get("hardware_gpus", {}).get("count", 0) for v in hosts.values())
    outside = {_product(v) for host, v in nodes.items() if host not in hosts}
    return NodeGroup(
        name=name,
        hosts=tuple(hosts),
        cpus=min(v.get("hardware_cpus", 1) for v in hosts.values()),
        memory=min(parse_bytes(v.get("hardware_memory", "1GiB")) for v in hosts.values()),
        gpu=gpus.get(product),
        gpus_per_host=count,
        fabric=_fabric(hosts),
        product_is_exact=product not in outside,
        interface=_interface(next(iter(hosts.values()))),
        hcas=tuple(dict.fromkeys(h for v in hosts.values() for h in _hcas(v))),
    )


def rdma(inventory: Inventory) -> Rdma | None:
    """The Kubernetes nodes that have RDMA cards; None where there is none."""
    ports = {
        host: [nic["name"] for nic in variables.get("hardware_nics", []) if nic.get("kind") in RDMA_FABRICS]
        for host, variables in inventory.members(PARENT).items()
    }
    hosts = tuple(host for host, names in ports.items() if names)
    interfaces = sorted({name for names in ports.values() for name in names})
    return Rdma(hosts, tuple(interfaces), inventory.shared["catalogue_rdma_shares"]) if hosts else None


def _interface(host: Vars) -> str:
    """The host's interface on the compute network: the VLAN's own device, or the link that carries it
    untagged."""
    compute = [network for network in host.get("site_networks", []) if network["zone"] == "compute"]
    for network in compute:
        for link in host.get("vlan_network_links", []):
            if network["name"] in link["networks"]:
                untagged = link["name"] if len(link["nics"]) > 1 else link["nics"][0]
                return str(network["name"] if "vlan" in network else untagged)
    return ""


def _hcas(host: Vars) -> list[str]:
    """RDMA devices that the inventory names; NCCL looks for itself where it names none."""
    return [nic["hca"] for nic in host.get("hardware_nics", []) if "hca" in nic]


def _product(variables: Vars) -> str:
    return str(variables.get("hardware_gpus", {}).get("model", ""))


def _fabric(hosts: Mapping[str, Vars]) -> str:
    """The best network that every host has."""
    kinds = [{nic.get("kind") for nic in v.get("hardware_nics", [])} for v in hosts.values()]
    common = set.intersection(*kinds) if kinds else set()
    return next((fabric for fabric in reversed(FABRICS) if fabric in common), FABRICS[0])
