"""Rules of the cluster: where its API is found when a control-plane host dies."""

from collections.abc import Iterator, Mapping
from typing import Any

from bedplate.check.network import address_of, subnet_of
from bedplate.check.problem import Problem
from bedplate.check.rules import View, fleet_rule

Data = Mapping[str, Any]
SHARED, ENDPOINT = "kubernetes_control_plane_shared", "kubernetes_control_plane_endpoint"
ZONES = ("management", "compute")  # by which nodes and administrators come
ROUTERS = range(1, 256)  # RFC 9568, virtual router identifier
PORTS = range(1, 65536)


@fleet_rule
def api_outlives_its_hosts(view: View) -> Iterator[Problem]:
    """Several control-plane hosts are worth nothing when the API is found at one of them only."""
    members = view.members("control_plane")
    said = [view.hosts[host] for host in members if host in view.hosts]
    if len(said) > 1 and not any(values.get(SHARED) or values.get(ENDPOINT) for values in said):
        why = f"{len(members)} control-plane hosts, and no address of the API that outlives each of them"
        remedy = (
            f"write {SHARED}: {{address: ADDRESS}} in group_vars/control_plane, an address of no host, or "
            f"{ENDPOINT}: that of your load balancer"
        )
        yield Problem((SHARED,), why, remedy, "", members[0])


@fleet_rule
def endpoint(view: View) -> Iterator[Problem]:
    """An endpoint says where and at which port, and is not one host of several."""
    members = view.members("control_plane")
    for host, text in view.each(ENDPOINT):
        if host not in members or not text or "{{" in text:
            continue
        place, _, port = text.rpartition(":")
        if not place or not port.isdigit() or int(port) not in PORTS:
            yield Problem((ENDPOINT,), "it has no port", "write it like api.example.com:6443", host=host)
        owner = next((owner for owner, _, address in _owned(view) if address == place), "")
        if owner and len(members) > 1:
            why = f"this is the address of {owner}: without that host nobody finds the API"
            yield Problem((ENDPOINT,), why, f"write a load balancer's, or use {SHARED}", host=host)


@fleet_rule
def shared_address(view: View) -> Iterator[Problem]:
    """The address that control-plane hosts share is nobody's, in a network of theirs."""
    members = view.members("control_plane")
    for host, shared in view.each(SHARED):
        if host not in members or not shared:
            continue
        why, remedy = _unfit(view, str(shared["address"]))
        if why:
            yield Problem((SHARED, "address"), why, remedy, host=host)
        if shared.get("router", 1) not in ROUTERS:
            why = "VRRP numbers its routers from 1 to 255"
            yield Problem((SHARED, "router"), why, "choose one that nobody else has there", host=host)
        if view.hosts[host].get("nginx_gateway_shared") and host in view.members("gateways"):
            why = f"{host} is a gateway with a shared address too, and keepalived has one configuration"
            yield Problem((SHARED,), why, f"use two machines, or {ENDPOINT} of a load balancer", host=host)


def _unfit(view: View, text: str) -> tuple[str, str]:
    """Why an address cannot be shared, and what to do; nothing when it can."""
    found = [
        (n, subnet_of(n["subnet"])) for n in next((value for _, value in view.each("site_networks")), ())
    ]
    sound = [(network, subnet) for network, subnet in found if subnet]
    if not found or len(sound) < len(found):
        return "", ""  # the networks themselves are wrong, which is said already
    usable = [(network, subnet) for network, subnet in sound if network["zone"] in ZONES]
    choose = f"choose a free address of {' or '.join(network['name'] for network, _ in usable)}"
    address = address_of(text)
    if address is None:
        return "this is not an IP address", choose
    holding = [(network, subnet) for network, subnet in usable if address in subnet]
    if not holding:
        return f"it is in no network of zone {' or '.join(ZONES)}", choose
    network, subnet = holding[0]
    owner = next((f"{owner} ({name})" for owner, name, held in _owned(view) if held == text), "")
    if owner or text == network.get("gateway"):
        return f"this is the address of {owner or 'the gateway of ' + network['name']}", choose
    if address in (subnet.network_address, subnet.broadcast_address):
        return f"the first and last address of {subnet} belong to no host", choose
    return _away(view, network["name"])


def _away(view: View, network: str) -> tuple[str, str]:
    for host in view.members("control_plane"):
        if network not in view.hosts[host].get("vlan_network_addresses", {}):
            return f"{host} has no address in network {network}", "choose a network that all of them have"
    return "", ""


def _owned(view: View) -> Iterator[tuple[str, str, str]]:
    """Host, network and address of everything that is held already."""
    for host, addresses in view.each("vlan_network_addresses"):
        yield from ((host, name, str(address)) for name, address in addresses.items())
    for host, shared in view.each("nginx_gateway_shared"):
        if shared:
            yield host, "nginx_gateway_shared", str(shared.get("address", "")).partition("/")[0]
