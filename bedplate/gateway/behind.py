"""What stands behind the gateway: hosts of the inventory as servers, and whom it trusts there. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bedplate.gateway.plan import UPSTREAMS, Data, Fault, refuse

Addresses = Mapping[str, Mapping[str, str]]  # of each host by network


def faults(
    upstreams: Sequence[Data], groups: Mapping[str, Sequence[str]], addresses: Addresses, port: int
) -> Iterator[Fault]:
    """``hosts`` of upstreams that lead nowhere; ``port`` is that of the platform's gateway, 0 for none."""
    for index, upstream in enumerate(upstreams):
        if "hosts" not in upstream:
            continue
        key, hosts = (UPSTREAMS, index, "hosts"), upstream["hosts"]
        members = groups.get(hosts["group"], ())
        if not members:
            yield (*key, "group"), "no host is in this group", "name a group of hosts.yml with hosts"
        absent = [host for host in members if hosts["network"] not in addresses.get(host, {})]
        if absent:
            remedy = "name a network on which all of them have an address"
            yield (*key, "network"), f"{', '.join(absent)}: no address on it", remedy
        if not hosts.get("port", port):
            why = "there is no port, and platform_api has no outside"
            yield key, why, "set outside in platform_api, or a port here"


def resolved(
    upstreams: Sequence[Data],
    groups: Mapping[str, Sequence[str]],
    addresses: Addresses,
    port: int,
    certificates: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Every upstream with its servers. ``certificates``: file on the gateways by the upstream's name; empty
    where there is none yet. Raises ValueError with every fault."""
    refuse(faults(upstreams, groups, addresses, port))
    found = []
    for upstream in upstreams:
        one = dict(upstream)
        if hosts := one.pop("hosts", None):
            reached = [addresses[host][hosts["network"]] for host in groups[hosts["group"]]]
            one["servers"] = [{"address": f"{address}:{hosts.get('port', port)}"} for address in reached]
        if "certificate" in one.get("tls", {}):
            one["tls"] = {"name": one["tls"]["name"], "trust": certificates[one["name"]]}
        found.append(one)
    return found
