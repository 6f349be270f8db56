"""Rules of RDMA: ports that cannot work, and settings that switches and kernel refuse."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bedplate.check.problem import Problem
from bedplate.check.rules import host_rule
from bedplate.check.words import choose

Data = Mapping[str, Any]

_BITS = {"dscp": 63, "cnp_dscp": 63, "priority": 7, "cnp_priority": 7}
_PATH_MTU = 4200  # an interface needs this much for an RDMA path MTU of 4096 with its headers


@host_rule
def soft(
    rdma_soft: Sequence[Data], hardware_nics: Sequence[Data], site_networks: Sequence[Data] = ()
) -> Iterator[Problem]:
    """soft-RoCE devices lie on NICs of the host, one on each."""
    nics = [nic["name"] for nic in hardware_nics]
    vlans = {network["name"] for network in site_networks if "vlan" in network}
    seen: set[str] = set()
    for index, one in enumerate(rdma_soft):
        key, nic = ("rdma_soft", index, "nic"), one["nic"]
        if nic in vlans:
            yield Problem(key, "this is a VLAN, which soft-RoCE refuses", "name the NIC below it")
        elif nic not in nics:
            yield Problem(key, "hardware_nics has no such NIC", choose(nic, nics))
        elif nic in seen:
            yield Problem(key, "this NIC has a soft-RoCE device already", "give each device a NIC of its own")
        seen.add(nic)


@host_rule
def doca(
    rdma_stack: str, rdma_repository: Data | None = None, rdma_doca_version: str = ""
) -> Iterator[Problem]:
    """DOCA comes from a repository of its own, at an exact version."""
    if rdma_stack == "doca" and not rdma_repository:
        why = "DOCA is in no distribution, and no repository is named"
        yield Problem(("rdma_stack",), why, "add rdma_repository: {url: …, key: …, fingerprint: …}")
    elif rdma_stack == "doca" and not rdma_doca_version:
        yield Problem(("rdma_stack",), "DOCA has no version", "add rdma_doca_version, for example 3.2.3")


@host_rule
def service_classes(rdma_roce: Data) -> Iterator[Problem]:
    """Code points have six bits, priorities three."""
    for name, most in _BITS.items():
        if not 0 <= rdma_roce[name] <= most:
            yield Problem(("rdma_roce", name), f"this must be 0 to {most}", "write what the switches say")
    if rdma_roce["priority"] == rdma_roce["cnp_priority"] and rdma_roce["pfc"]:
        why = "congestion notifications would wait behind the very traffic that they are about"
        yield Problem(("rdma_roce", "cnp_priority"), why, "give them another priority, for example 6")


@host_rule
def path(
    hardware_nics: Sequence[Data], vlan_network_links: Sequence[Data], site_networks: Sequence[Data]
) -> Iterator[Problem]:
    """RoCE wants large frames, and no bond of different cards."""
    roce = {nic["name"] for nic in hardware_nics if nic["kind"] == "roce"}
    sizes = {network["name"]: network["mtu"] for network in site_networks}
    for index, link in enumerate(vlan_network_links):
        if not roce & set(link["nics"]):
            continue
        small = [name for name in link["networks"] if sizes.get(name, _PATH_MTU) < _PATH_MTU]
        if small and len(small) == len(link["networks"]):
            why = f"RoCE over {', '.join(small)} has small frames: the RDMA path MTU is 1024 in place of 4096"
            remedy = "give one of its networks an MTU of 9000"
            yield Problem(("vlan_network_links", index, "networks"), why, remedy, level="warning")
        if len(link["nics"]) > 1:
            why = "RoCE over a bond works for two ports of one card only"
            remedy = "give each RoCE port a link and a subnet of its own, and bond the others"
            yield Problem(("vlan_network_links", index, "nics"), why, remedy, level="warning")
