"""Filters of role rdma: who measures against whom, by which command, and what the figures say."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bedplate import paths

sys.path.append(str(paths.MODULE_UTILS))
from rdma import perftest  # the same functions as on the hosts

_UNITS = {"Gbit": 1.0, "Mbit": 0.001}


def rdma_peer(host: str, hosts: Sequence[str]) -> str:
    """The host that ``host`` measures against: the next one, the last against the first; none when alone."""
    place = list(hosts).index(host)
    return hosts[(place + 1) % len(hosts)] if len(hosts) > 1 else ""


def rdma_device(devices: Sequence[Mapping[str, Any]], soft: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The device to measure: the first active one, soft ones only where there is no other; with ``soft``."""
    names = {one["name"] for one in soft}
    active = [one for one in devices if one["active"]]
    cards = [one for one in active if one["device"] not in names]
    chosen = next(iter([*cards, *active]), None)
    return {**chosen, "soft": chosen["device"] in names} if chosen else {}


def link_gbits(device: Mapping[str, Any], nics: Sequence[Mapping[str, Any]]) -> float:
    """Line rate of a device's interface by hardware_nics, in Gbit/s; 0 where the inventory does not say."""
    speeds = [nic["speed"] for nic in nics if nic["name"] == device.get("netdev")]
    speeds = speeds or [nic["speed"] for nic in nics if nic["kind"] == "infiniband"]
    unit = next((unit for unit in _UNITS if speeds and speeds[0].endswith(unit)), "")
    return float(speeds[0].removesuffix(unit)) * _UNITS[unit] if unit else 0.0


def perftest_command(
    what: str, device: Mapping[str, Any], settings: Mapping[str, int], peer: str = ""
) -> list[str]:
    """The command line of one side."""
    return perftest.command(what, device, settings, soft=device["soft"], peer=peer)


def perftest_verdict(
    ran: Mapping[str, Mapping[str, Any]], device: Mapping[str, Any], peer: str, gbits: float
) -> dict[str, Any]:
    """Results of a host as they are written down; ``ran`` are what the commands for bandwidth and latency
    gave."""
    if not device or not peer:
        return {"pass": False, "why": "there is no other host" if device else "no RDMA device is active"}
    said = {what: f"{one.get('stdout', '')}\n{one.get('stderr', '')}" for what, one in ran.items()}
    result = {"device": device["device"], "soft": device["soft"], "peer": peer}
    try:
        wide, quick = perftest.bandwidth(said["bandwidth"])[-1], perftest.latency(said["latency"])[0]
    except perftest.Unclear as problem:
        return {**result, "pass": False, "why": str(problem)}
    verdict = perftest.verdict(wide.gbits, gbits, device["soft"])
    latency = {"typical": quick.typical, "p99": quick.tail, "unit": "us"}
    return {**result, "bandwidth": verdict, "latency": latency, "pass": verdict["pass"]}


def rdma_address(host: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    """Address of ``host`` on the link of its device; any of its addresses where the link has none
    (InfiniBand)."""
    addresses = host.get("vlan_network_addresses", {})
    links = [link for link in host.get("vlan_network_links", ()) if device.get("netdev") in link["nics"]]
    untagged = {network["name"] for network in host.get("site_networks", ()) if "vlan" not in network}
    names = [name for link in links for name in link["networks"]]
    ordered = [*(n for n in names if n in untagged), *names, *addresses]
    return next((addresses[name] for name in ordered if name in addresses), "")


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {
            "rdma_peer": rdma_peer,
            "rdma_device": rdma_device,
            "link_gbits": link_gbits,
            "perftest_command": perftest_command,
            "perftest_verdict": perftest_verdict,
            "rdma_address": rdma_address,
        }
