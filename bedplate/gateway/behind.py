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
        if not groups.get(hosts["group"]):
            yield (*key, "group"), "no host is in this group", "name a group of hosts.yml with hosts"
        elif not _reached(hosts, groups, addresses):
            yield (
                (*key, "network"),
                "none of these hosts has an address on it",
                "name a network that they have",
            )
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
            reached, at = _reached(hosts, groups, addresses), hosts.get("port", port)
            one["servers"] = [{"address": f"{address}:{at}"} for address in reached]
        if "certificate" in one.get("tls", {}):
            one["tls"] = {"name": one["tls"]["name"], "trust": certificates[one["name"]]}
        found.append(one)
    return found


def _reached(hosts: Data, groups: Mapping[str, Sequence[str]], addresses: Addresses) -> list[str]:
    members = [addresses.get(host, {}) for host in groups[hosts["group"]]]
    return [own[hosts["network"]] for own in members if hosts["network"] in own]
