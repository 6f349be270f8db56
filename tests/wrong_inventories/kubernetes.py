"""Mistakes in where the cluster's API is found."""

from tests.inventory_samples import REMOVED, on
from tests.wrong_inventories.case import Case, case

MEMBERS = "control_plane"
SHARED, ENDPOINT = "kubernetes_control_plane_shared", "kubernetes_control_plane_endpoint"
PLACE = ""


def address(name: str, value: str, why: str, remedy: str = "free address of management or cluster") -> Case:
    """One mistake in the address that the hosts share."""
    edit = on(MEMBERS, SHARED, to={"address": value})
    return case(f"API: {name}", edit, at=(PLACE, f"{SHARED}.address"), value=value, why=why, remedy=remedy)


CASES = [
    case(
        "API: three hosts and no address of their own",
        on(MEMBERS, SHARED, to=REMOVED),
        at=("", SHARED),
        value="",
        why="no address of the API that outlives each of them",
        remedy="group_vars/control_plane",
    ),
    address("no address", "api", "not an IP address"),
    address("business network", "10.140.0.9", "no network of zone management or compute"),
    address("a host's", "172.20.0.12", "the address of prod-ctl2 (management)"),
    address("the router's", "172.20.0.1", "the gateway of management"),
    address("the subnet's last", "10.120.3.255", "belong to no host"),
    case(
        "API: a network that a member does not have",
        on("prod-ctl2", "vlan_network_addresses", to={"management": "172.20.0.12"}),
        at=(PLACE, f"{SHARED}.address"),
        value="10.120.0.10",
        why="prod-ctl2 has no address in network cluster",
        remedy="a network that all of them have",
    ),
    case(
        "API: number of VRRP",
        on(MEMBERS, SHARED, "router", to=256),
        at=(PLACE, f"{SHARED}.router"),
        value="256",
        why="from 1 to 255",
        remedy="nobody else has",
    ),
    case(
        "API: endpoint without a port",
        on(MEMBERS, ENDPOINT, to="api.example.com"),
        at=("", ENDPOINT),
        value="api.example.com",
        why="it has no port",
        remedy="api.example.com:6443",
    ),
    case(
        "API: one of three hosts",
        on(MEMBERS, ENDPOINT, to="10.120.0.11:6443"),
        at=("", ENDPOINT),
        value="10.120.0.11:6443",
        why="the address of prod-ctl1",
        remedy=SHARED,
    ),
]
