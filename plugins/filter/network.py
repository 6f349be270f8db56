"""Filters about networks: `network_peers`, hosts to ask; `zone_interfaces`, devices of each zone;
`network_of`, the network that an address lies in."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

LOOK_AT = 16  # hosts; the inventory of thousands is not read for two addresses


def network_peers(
    hostvars: Mapping[str, Mapping[str, Any]], host: str, hosts: Iterable[str], count: int
) -> dict[str, list[str]]:
    """Addresses of up to ``count`` hosts that follow ``host`` in the inventory, for each network that it
    shares.

    The last is followed by the first, so every host is asked by another.
    """
    names = list(hosts)
    start = names.index(host) + 1
    own = hostvars[host].get("vlan_network_addresses") or {}
    peers: dict[str, list[str]] = {}
    for name in [*names[start:], *names[: start - 1]][:LOOK_AT]:
        for network, address in (hostvars[name].get("vlan_network_addresses") or {}).items():
            if network in own and len(peers.setdefault(network, [])) < count:
                peers[network].append(address)
    return peers


def zone_interfaces(
    networks: list[dict[str, Any]],
    links: list[dict[str, Any]],
    addresses: Mapping[str, str],
    further: Mapping[str, list[str]] | None = None,
) -> dict[str, list[str]]:
    """Devices of every zone of the site on a host with ``addresses``, in the order of the networks.

    A network with a VLAN id has a device of its own name; one without is its link: the NIC, or the bond over
    several. Role vlan_network makes them so.
    """
    devices = {
        network: link["nics"][0] if len(link["nics"]) == 1 else link["name"]
        for link in links
        for network in link["networks"]
    }
    zones: dict[str, list[str]] = {}
    for network in networks:
        found = zones.setdefault(network["zone"], [])
        if network["name"] in addresses:
            device = network["name"] if network.get("vlan") else devices.get(network["name"])
            found += [device] if device and device not in found else []
    for zone, names in (further or {}).items():
        zones[zone] = list(dict.fromkeys([*zones.get(zone, []), *names]))
    return zones


def network_of(networks: Iterable[dict[str, Any]], address: str) -> dict[str, Any]:
    """The network of the site that ``address`` lies in. Raises ValueError when it lies in none."""
    for network in networks:
        if ip_address(address) in ip_network(network["subnet"]):
            return network
    raise ValueError(f"{address} is in no network of site_networks")


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {
            "network_of": network_of,
            "network_peers": network_peers,
            "zone_interfaces": zone_interfaces,
        }
