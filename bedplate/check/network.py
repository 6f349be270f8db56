"""Rules of networks, links and addresses."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import combinations
from typing import Any

from bedplate.check.problem import Problem
from bedplate.check.rules import View, fleet_rule, host_rule
from bedplate.check.words import choose

Data = Mapping[str, Any]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@cache
def subnet_of(text: str) -> Network | None:
    """A subnet, or None where it is not one (the rule ``subnets`` says so)."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


@cache
def address_of(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


@host_rule
def subnets(site_networks: Sequence[Data]) -> Iterator[Problem]:
    """Each subnet is one, and no two overlap."""
    for index, network in enumerate(site_networks):
        subnet = subnet_of(network["subnet"])
        if subnet is None:
            yield Problem(
                ("site_networks", index, "subnet"), "there is no such subnet", "write it like 10.20.0.0/24"
            )
        elif str(subnet) != network["subnet"] and isinstance(subnet, IPv4Network):
            why = "this is an address in a subnet, not the subnet"
            yield Problem(("site_networks", index, "subnet"), why, f"write {subnet}")
    for (_, first), (index, second) in combinations(enumerate(site_networks), 2):
        one, two = subnet_of(first["subnet"]), subnet_of(second["subnet"])
        if one and two and one.version == two.version and one.overlaps(two):
            why = f"it overlaps {first['name']} ({first['subnet']})"
            remedy = "give each network a subnet of its own"
            yield Problem(("site_networks", index, "subnet"), why, remedy)


@host_rule
def network_names(site_networks: Sequence[Data]) -> Iterator[Problem]:
    """Names and VLAN ids belong to one network each, and somebody has to be the management network."""
    for key, what in (("name", "name"), ("vlan", "VLAN id")):
        for index, first in _repeated([network.get(key) for network in site_networks]):
            why = f"network {site_networks[first]['name']} has the same {what}"
            yield Problem(("site_networks", index, key), why, f"give each network a {what} of its own")
    if all(network["zone"] != "management" for network in site_networks):
        why = "no network has zone management, so the controller has no way in"
        yield Problem(("site_networks",), why, "set zone: management on the network that the controller uses")


@host_rule
def gateways(site_networks: Sequence[Data]) -> Iterator[Problem]:
    """A gateway is a host address of its network."""
    for index, network in enumerate(site_networks):
        subnet = subnet_of(network["subnet"])
        if "gateway" in network and subnet:
            key = ("site_networks", index, "gateway")
            yield from _inside(key, network["gateway"], subnet, network["name"])


@host_rule
def link_nics(
    vlan_network_links: Sequence[Data],
    hardware_nics: Sequence[Data],
    vlan_network_addresses: Data,
) -> Iterator[Problem]:
    """Links stand on NICs of the host, each NIC in one link."""
    nics = {nic["name"]: nic for nic in hardware_nics}
    users: dict[str, str] = {}
    for index, link in enumerate(vlan_network_links):
        if not any(name in vlan_network_addresses for name in link["networks"]):
            continue  # not set up on this host
        for place, nic in enumerate(link["nics"]):
            key = ("vlan_network_links", index, "nics", place)
            if nic not in nics:
                yield Problem(key, f"hardware_nics has no NIC {nic}", choose(nic, nics), nic)
            if nic in users:
                why = f"NIC {nic} is in link {users[nic]} already"
                yield Problem(key, why, "a NIC belongs to one link: take it out of one of them", nic)
            users[nic] = link["name"]
        yield from _bond(index, link, nics)


def _bond(index: int, link: Data, nics: Mapping[str, Data]) -> Iterator[Problem]:
    key = ("vlan_network_links", index)
    several = len(link["nics"]) > 1
    if several and link["name"] in nics:
        why = "a bond cannot have the name of a NIC"
        yield Problem((*key, "name"), why, "give the bond a name of its own, for example bond0")
    if not several and link.get("mode"):
        why = "a mode belongs to a bond of several NICs"
        yield Problem((*key, "mode"), why, "name the other NICs in nics, or remove mode")
    speeds = {nics[nic]["speed"] for nic in link["nics"] if nic in nics}
    if len(speeds) > 1:
        why = f"NICs of different speeds in one bond ({', '.join(sorted(speeds))})"
        remedy = "bond NICs of the same speed"
        yield Problem((*key, "nics"), why, remedy, level="warning")


@host_rule
def link_networks(vlan_network_links: Sequence[Data], site_networks: Sequence[Data]) -> Iterator[Problem]:
    """Links carry networks that exist, each network on one link."""
    names = [network["name"] for network in site_networks]
    carriers: dict[str, str] = {}
    for index, link in enumerate(vlan_network_links):
        for place, name in enumerate(link["networks"]):
            key = ("vlan_network_links", index, "networks", place)
            if name not in names:
                yield Problem(key, f"site_networks has no network {name}", choose(name, names), name)
            elif name in carriers:
                why = f"link {carriers[name]} carries network {name} already"
                yield Problem(key, why, "a network is on one link: take it off one of them", name)
            carriers.setdefault(name, link["name"])
    for index, first in _repeated([link["name"] for link in vlan_network_links]):
        why = f"link {first + 1} has the same name"
        yield Problem(("vlan_network_links", index, "name"), why, "give each link a name of its own")


@host_rule
def untagged_networks(
    vlan_network_links: Sequence[Data], site_networks: Sequence[Data], vlan_network_addresses: Data
) -> Iterator[Problem]:
    """One untagged network per link, whose MTU is the link's: no VLAN on it can have a larger one."""
    networks = {network["name"]: (i, network) for i, network in enumerate(site_networks)}
    for index, link in enumerate(vlan_network_links):
        here = [networks[n] for n in link["networks"] if n in networks and n in vlan_network_addresses]
        untagged = [(i, network) for i, network in here if not network.get("vlan")]
        if len(untagged) > 1:
            listed = " and ".join(network["name"] for _, network in untagged)
            why = f"{listed} are both untagged on link {link['name']}"
            remedy = "give all but one of them a vlan in site_networks"
            yield Problem(("vlan_network_links", index, "networks"), why, remedy)
        elif untagged:
            place, network = untagged[0]
            larger = [other["name"] for _, other in here if other["mtu"] > network["mtu"]]
            if larger:
                why = (
                    f"it is untagged on link {link['name']}, so VLAN {larger[0]} with its MTU does not fit in"
                )
                remedy = (
                    f"raise it to that of {larger[0]}, or give {network['name']} a vlan or a link of its own"
                )
                yield Problem(("site_networks", place, "mtu"), why, remedy)


@host_rule
def device_names(
    vlan_network_links: Sequence[Data], site_networks: Sequence[Data], hardware_nics: Sequence[Data]
) -> Iterator[Problem]:
    """A network with a VLAN id becomes a device of that name; NICs and bonds have theirs already."""
    taken = {nic["name"]: "a NIC" for nic in hardware_nics}
    taken |= {link["name"]: "a bond" for link in vlan_network_links if len(link["nics"]) > 1}
    for index, network in enumerate(site_networks):
        if network.get("vlan") and network["name"] in taken:
            why = f"{taken[network['name']]} has this name, and the VLAN's device would have it too"
            yield Problem(("site_networks", index, "name"), why, "rename the network")


@host_rule
def addresses(vlan_network_addresses: Data, site_networks: Sequence[Data]) -> Iterator[Problem]:
    """Addresses are in networks that exist, within their subnets, and not the gateway's."""
    networks = {network["name"]: network for network in reversed(site_networks)}  # the first of a name
    for name, text in vlan_network_addresses.items():
        key = ("vlan_network_addresses", name)
        if name not in networks:
            yield Problem(key, f"site_networks has no network {name}", choose(name, networks))
            continue
        subnet = subnet_of(networks[name]["subnet"])
        if subnet is None:
            continue
        yield from _inside(key, str(text), subnet, name)
        if text and text == networks[name].get("gateway"):
            yield Problem(key, f"this is the gateway of network {name}", "give the host another address")
    managed = [network["name"] for network in site_networks if network["zone"] == "management"]
    if managed and not any(name in vlan_network_addresses for name in managed):
        why = "the host has no address on a network of zone management, so the controller cannot reach it"
        yield Problem(("vlan_network_addresses",), why, f"add {' or '.join(managed)}: ADDRESS")


@host_rule
def carried(
    vlan_network_addresses: Data, vlan_network_links: Sequence[Data], site_networks: Sequence[Data]
) -> Iterator[Problem]:
    """A host that has an address in a network needs a link that carries it."""
    known = {name for link in vlan_network_links for name in link["networks"]}
    for name in (network["name"] for network in site_networks):
        if name in vlan_network_addresses and name not in known:
            why = f"no link of this host carries network {name}"
            remedy = "add it to a link in vlan_network_links, or remove the address"
            yield Problem(("vlan_network_addresses", name), why, remedy)


@fleet_rule
def addresses_once(view: View) -> Iterator[Problem]:
    """No two hosts have the same address."""
    owners: dict[Address, str] = {}
    for host, mine in view.each("vlan_network_addresses"):
        for name, text in mine.items():
            address = address_of(str(text))
            if address is None:
                continue
            if address in owners:
                key = ("vlan_network_addresses", name)
                why = f"{owners[address]} has this address already"
                yield Problem(key, why, "give each host an address of its own", host=host)
            owners.setdefault(address, host)


@fleet_rule
def macs_once(view: View) -> Iterator[Problem]:
    """No two NICs have the same MAC address, no two NICs of a host the same name."""
    owners: dict[str, str] = {}
    for host, nics in view.each("hardware_nics"):
        for index, nic in enumerate(nics):
            if nic["mac"] in owners:
                why = f"NIC {owners[nic['mac']]} has this MAC address already"
                remedy = "write the address that is printed on the card, or run `bedplate discover`"
                yield Problem(("hardware_nics", index, "mac"), why, remedy, host=host)
            owners.setdefault(nic["mac"], f"{nic['name']} of {host}")
        for index, first in _repeated([nic["name"] for nic in nics]):
            why = f"NIC {first + 1} of the host has the same name"
            yield Problem(("hardware_nics", index, "name"), why, "give each NIC a name of its own", host=host)


def _inside(key: tuple[str | int, ...], text: str, subnet: Network, name: str) -> Iterator[Problem]:
    """The address is one, and a host of the subnet."""
    address = address_of(text)
    example = f"write one like {next(subnet.hosts(), subnet.network_address)}"
    if address is None:
        yield Problem(key, "this is not an IP address", example, text)
    elif address not in subnet:
        yield Problem(key, f"it is not in the subnet of network {name}, {subnet}", example, text)
    elif subnet.num_addresses > 2 and address in (subnet.network_address, subnet.broadcast_address):  # noqa: PLR2004
        yield Problem(key, f"the first and last address of {subnet} belong to no host", example, text)


def _repeated(values: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Index of each repeated value, and the index where it stands first; None is no value."""
    places: dict[Any, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        if value is not None:
            places[value].append(index)
    for first, *others in places.values():
        yield from ((index, first) for index in others)
