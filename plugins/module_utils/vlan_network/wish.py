"""From the inventory's words to the devices of one host, or to everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from .model import BOND, NIC, VLAN, Desired, Device, Refusal, Route

Data = dict[str, Any]
MODES = ("802.3ad", "active-backup", "balance-xor", "balance-rr", "broadcast", "balance-tlb", "balance-alb")
DEFAULT_MODE = "802.3ad"
DEFAULT_MTU = 1500
NAME_LENGTH = 15  # IFNAMSIZ less the end
METRIC = 100  # default routes: first network with a gateway 100, next 200, ...
VLAN_IDS = range(1, 4095)


def wish(
    backend: str,
    *,
    nics: list[Data],
    networks: list[Data],
    links: list[Data],
    addresses: dict[str, str],
    routes: list[Data],
    dns: list[str],
) -> tuple[Desired, list[Refusal]]:
    """The devices that these words of the inventory ask for, and every reason to refuse them.

    A network on which the host has no address is not set up on it. With refusals the devices are incomplete.
    """
    wrong: list[Refusal] = []
    known_nics = {str(nic["name"]): nic for nic in nics}
    known_networks = {str(network["name"]): network for network in networks}
    _check_references(links, known_nics, known_networks, addresses, wrong)
    if wrong:  # what follows would only repeat it in other words
        return Desired(backend, ()), wrong
    gateways = [n["name"] for n in networks if n.get("gateway") and n["name"] in addresses]
    lower: list[Device] = []
    upper: list[Device] = []
    for link in links:
        carried = [known_networks[n] for n in link["networks"] if n in known_networks and n in addresses]
        if not carried or any(nic not in known_nics for nic in link["nics"]):
            continue
        _check_link(link, carried, known_nics, wrong)
        mtu = max(_mtu(network) for network in carried)
        base = _base(link, mtu, known_nics)
        untagged = [network for network in carried if not network.get("vlan")]
        top = base[-1]
        base[-1] = _with_networks(top, untagged, addresses, gateways, wrong)
        lower += base
        for network in (n for n in carried if n.get("vlan")):
            device = Device(network["name"], VLAN, _mtu(network), parent=top.name, vlan=int(network["vlan"]))
            upper.append(_with_networks(device, [network], addresses, gateways, wrong))
    devices = _add_routes([*sorted(lower, key=lambda d: d.kind == BOND), *upper], routes, wrong)
    devices = _add_dns(devices, dns)
    _check_names(devices, wrong)
    return Desired(backend, tuple(devices)), wrong


def _base(link: Data, mtu: int, nics: dict[str, Data]) -> list[Device]:
    """The NIC of a link, or its NICs and the bond over them."""
    names = [str(name) for name in link["nics"]]
    bonded = len(names) > 1
    base = [
        Device(name, NIC, mtu, mac=str(nics[name]["mac"]).lower(), parent=link["name"] if bonded else "")
        for name in names
    ]
    if bonded:
        mode = link.get("mode") or DEFAULT_MODE
        base.append(Device(str(link["name"]), BOND, mtu, members=tuple(names), mode=mode))
    return base


def _with_networks(
    device: Device, networks: list[Data], addresses: dict[str, str], gateways: list[str], wrong: list[Refusal]
) -> Device:
    """``device`` with the addresses and default routes of the networks that it carries."""
    found: list[str] = []
    routes: list[Route] = []
    for network in networks:
        name, subnet = network["name"], ip_network(network["subnet"])
        interface = _interface(name, addresses[name], network["subnet"], wrong)
        if interface is None:
            continue
        found.append(interface)
        if network.get("gateway") and not _is_own(network["gateway"], [interface]):
            if ip_address(network["gateway"]) not in subnet:
                wrong.append(
                    Refusal(
                        f"gateway {network['gateway']} of network {name}",
                        f"it is not within {network['subnet']}",
                        "Give a gateway of that subnet in site_networks",
                    )
                )
            default = "0.0.0.0/0" if subnet.version == 4 else "::/0"  # noqa: PLR2004
            routes.append(Route(default, str(network["gateway"]), METRIC * (1 + gateways.index(name))))
    return _replace(
        device, addresses=tuple(found), routes=tuple(routes), networks=tuple(n["name"] for n in networks)
    )


def _is_own(gateway: str, addresses: Sequence[str]) -> bool:
    """Whether the host is that gateway: it has no route by way of itself, and nobody to ask."""
    return ip_address(gateway) in {ip_interface(address).ip for address in addresses}


def _interface(name: str, address: str, subnet: str, wrong: list[Refusal]) -> str | None:
    network = ip_network(subnet)
    try:
        value = ip_address(address)
    except ValueError:
        wrong.append(Refusal(f"address {address} on network {name}", "it is not an IP address", "Correct it"))
        return None
    reserved = network.num_addresses > 2 and value in (network.network_address, network.broadcast_address)  # noqa: PLR2004
    if value not in network or (reserved and network.version == 4):  # noqa: PLR2004
        wrong.append(
            Refusal(
                f"address {address} on network {name}",
                f"it is not the address of a host within {subnet}",
                "Correct vlan_network_addresses of the host, or the subnet in site_networks",
            )
        )
        return None
    return str(ip_interface(f"{value}/{network.prefixlen}"))


def _add_routes(devices: list[Device], routes: list[Data], wrong: list[Refusal]) -> list[Device]:
    """Static routes go to the device whose subnet holds their gateway."""
    for data in routes:
        via = ip_address(data["via"])
        route = Route(str(ip_network(data["to"])), str(via), int(data.get("metric") or METRIC))
        for index, device in enumerate(devices):
            if any(via in ip_interface(address).network for address in device.addresses):
                if not _is_own(route.via, device.addresses):
                    devices[index] = _replace(device, routes=(*device.routes, route))
                break
        else:
            wrong.append(
                Refusal(
                    f"route to {route.to}",
                    f"its gateway {via} is in no subnet on which this host has an address",
                    "Name a gateway that the host reaches directly in vlan_network_routes",
                )
            )
    return devices


def _add_dns(devices: list[Device], dns: list[str]) -> list[Device]:
    """Name servers go to the device of the default route, without one to the first that has an address."""
    best = (
        min((r.metric, i) for i, d in enumerate(devices) for r in d.routes)
        if any(d.routes for d in devices)
        else None
    )
    first = next((i for i, d in enumerate(devices) if d.addresses), None)
    index = best[1] if best else first
    if dns and index is not None:
        devices[index] = _replace(devices[index], dns=tuple(dns))
    return devices


def _check_references(
    links: list[Data],
    nics: dict[str, Data],
    networks: dict[str, Data],
    addresses: dict[str, str],
    wrong: list[Refusal],
) -> None:
    """Every name that is used must be the name of something, and of one thing."""
    users: dict[str, str] = {}
    carrier: dict[str, str] = {}
    for link in links:
        for nic in link["nics"]:
            if nic not in nics and any(n in addresses for n in link["networks"]):
                listed = ", ".join(nics) or "none"
                remedy = f"hardware_nics of this host has: {listed}; correct vlan_network_links"
                wrong.append(
                    Refusal(f"link {link['name']}", f"its NIC {nic} is not in hardware_nics", remedy)
                )
            if nic in users:
                why = f"links {users[nic]} and {link['name']} both use it"
                wrong.append(
                    Refusal(f"NIC {nic}", why, "A NIC belongs to one link; correct vlan_network_links")
                )
            users[nic] = link["name"]
        for name in link["networks"]:
            if name not in networks:
                remedy = f"site_networks has: {', '.join(networks)}"
                wrong.append(
                    Refusal(f"link {link['name']}", f"its network {name} is not in site_networks", remedy)
                )
            if name in carrier:
                why = f"links {carrier[name]} and {link['name']} both carry it"
                wrong.append(
                    Refusal(f"network {name}", why, "A network is on one link; correct vlan_network_links")
                )
            carrier[name] = link["name"]
    for name in addresses:
        if name not in carrier:
            why = "the host has an address on it, but none of its links carries it"
            remedy = "Add it to a link in vlan_network_links, or remove the address"
            wrong.append(Refusal(f"network {name}", why, remedy))


def _check_link(link: Data, carried: list[Data], nics: dict[str, Data], wrong: list[Refusal]) -> None:
    """Rules within one link: VLAN ids, one untagged network, bond modes."""
    ids = [int(network["vlan"]) for network in carried if network.get("vlan")]
    for vlan in sorted({v for v in ids if ids.count(v) > 1}):
        names = ", ".join(n["name"] for n in carried if n.get("vlan") == vlan)
        wrong.append(
            Refusal(f"link {link['name']}", f"networks {names} have the same VLAN id {vlan}", "Change one")
        )
    for vlan in (v for v in ids if v not in VLAN_IDS):
        wrong.append(
            Refusal(f"link {link['name']}", f"VLAN id {vlan} is not within 1..4094", "Correct site_networks")
        )
    untagged = [network["name"] for network in carried if not network.get("vlan")]
    if len(untagged) > 1:
        why = f"networks {', '.join(untagged)} are all untagged on it"
        wrong.append(Refusal(f"link {link['name']}", why, "Give all but one a VLAN id"))
    largest = max(_mtu(network) for network in carried)
    for network in (n for n in carried if not n.get("vlan") and _mtu(n) < largest):
        why = f"it is untagged with MTU {_mtu(network)} on a link that must have MTU {largest} for its VLANs"
        remedy = "Give it a VLAN id, the same MTU, or a link of its own"
        wrong.append(Refusal(f"network {network['name']}", why, remedy))
    mode = link.get("mode")
    if mode and len(link["nics"]) == 1:
        wrong.append(
            Refusal(f"link {link['name']}", f"mode {mode} needs several NICs", "Name them, or drop the mode")
        )
    if mode and mode not in MODES:
        wrong.append(
            Refusal(
                f"link {link['name']}", f"{mode} is no mode of a bond", f"Write one of {', '.join(MODES)}"
            )
        )
    if len(link["nics"]) > 1 and link["name"] in nics:
        why = "the bond has the name of a NIC"
        wrong.append(Refusal(f"link {link['name']}", why, "Give the bond a name of its own"))


def _check_names(devices: list[Device], wrong: list[Refusal]) -> None:
    for device in devices:
        if not re.fullmatch(rf"[A-Za-z0-9_.-]{{1,{NAME_LENGTH}}}", device.name):
            why = f"the kernel takes device names of at most {NAME_LENGTH} letters, digits, dots, dashes"
            wrong.append(
                Refusal(f"device {device.name}", why, "Give the network, link or NIC a shorter name")
            )
        if device.kind == VLAN and sum(other.name == device.name for other in devices) > 1:
            why = "a network with a VLAN id and a NIC or link have the same name"
            wrong.append(Refusal(f"device {device.name}", why, "Rename the network"))


def _mtu(network: Data) -> int:
    return int(network.get("mtu") or DEFAULT_MTU)


def _replace(device: Device, **changes: Any) -> Device:
    return Device(**{**device.__dict__, **changes})
