"""Rules of hosts: names, groups, places, GPUs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bedplate.check.problem import Problem
from bedplate.check.rules import View, fleet_rule, host_rule
from bedplate.check.words import choose, nearest

Data = Mapping[str, Any]

NODES = ("control_plane", "gpu_nodes", "storage_nodes", "edge_nodes")  # groups below kubernetes
GROUPS = (*NODES, "gateways", "audit_collectors", "backup_servers", "kubernetes")
# What must not share a machine, and why.
_APART = {
    ("gateways", "gpu_nodes"): "a gateway faces the business network, a GPU node must not",
    ("gateways", "storage_nodes"): "a gateway faces the business network, a storage node must not",
    ("edge_nodes", "control_plane"): "an edge node may be cut off from the data centre at any time",
    ("edge_nodes", "gateways"): "an edge node may be cut off from the data centre at any time",
}
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # a DNS label: Kubernetes takes nothing else


@fleet_rule
def host_names(view: View) -> Iterator[Problem]:
    """Host names are host names, node names and certificate names at once."""
    for host in view.hosts:
        if not _HOST_NAME.fullmatch(host):
            why = "a host name, which is a node's name too, has 1 to 63 of a-z, 0-9 and -, no - at either end"
            yield Problem(("groups",), why, f"rename it, for example {_host_name(host)}", host, host)


def _host_name(text: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[:63] or "host1"


@fleet_rule
def group_names(view: View) -> Iterator[Problem]:
    """A group that is nearly one of ours would silently get nothing."""
    for group in view.groups:
        meant = nearest(group, GROUPS, strict=True)
        if group not in GROUPS and meant:
            why = f"no playbook knows group {group}"
            yield Problem(("groups",), why, f"write {meant}", group)


@fleet_rule
def membership(view: View) -> Iterator[Problem]:
    """Every host is in a group that says what it is for, and in none that exclude each other."""
    kinds = {group: set(view.members(group)) for group in GROUPS}
    for host in view.hosts:
        mine = [group for group in GROUPS if host in kinds[group]]
        if not set(mine) - {"kubernetes"}:
            why = "the host is in no group that says what it is for"
            yield Problem(("groups",), why, f"put it into one of {', '.join(GROUPS[:-1])}", host, host)
        for (one, two), why in _APART.items():
            if one in mine and two in mine:
                remedy = "use two machines, or take it out of one group"
                yield Problem(("groups",), f"{host} is in {one} and in {two}: {why}", remedy, host, host)
        if set(mine) & set(NODES) and "kubernetes" not in mine:
            why = f"{host} is in {mine[0]}, but not in group kubernetes"
            yield Problem(("groups",), why, f"make {mine[0]} a child of kubernetes in hosts.yml", host, host)


@fleet_rule
def quorum(view: View) -> Iterator[Problem]:
    """etcd wants an odd number of members; an even one fails as easily with one more machine to fail."""
    members = view.members("control_plane")
    if members and len(members) % 2 == 0:
        why = "an even control plane survives no more failures than one with a machine fewer"
        remedy = f"use {len(members) - 1} or {len(members) + 1} machines"
        yield Problem(("groups",), why, remedy, f"control_plane: {len(members)} hosts")
    if not members and view.members("kubernetes"):
        why = "nobody runs the control plane of the Kubernetes nodes"
        yield Problem(
            ("groups",), why, "put one or three hosts into control_plane", "control_plane: no hosts"
        )


@fleet_rule
def addresses_of_ssh(view: View) -> Iterator[Problem]:
    """No two hosts are reached at the same address and port."""
    owners: dict[tuple[str, str], str] = {}
    for host, address in view.each("ansible_host"):
        key = (str(address), str(view.hosts[host].get("ansible_port", 22)))
        if "{{" in key[0]:
            continue  # a template; what it gives differs by host
        if key in owners:
            why = f"{owners[key]} is reached at this address already"
            yield Problem(("ansible_host",), why, "give each host its own address", host=host)
        owners.setdefault(key, host)


@fleet_rule
def rack_units(view: View) -> Iterator[Problem]:
    """Two machines are not in the same place."""
    taken: dict[tuple[str, int], str] = {}
    for host, place in view.each("hardware_rack"):
        units = range(place["unit"], place["unit"] + place.get("height", 1))
        clash = next((taken[place["rack"], unit] for unit in units if (place["rack"], unit) in taken), None)
        if clash:
            why = f"{clash} is there already"
            remedy = "correct rack, unit (the lowest) or height of one of them"
            yield Problem(("hardware_rack",), why, remedy, host=host)
        for unit in units:
            taken.setdefault((place["rack"], unit), host)


@host_rule
def gpu_model(hardware_gpus: Data, catalogue_gpus: Data) -> Iterator[Problem]:
    """The model is in the catalogue, and comes in this number."""
    model, count = hardware_gpus["model"], hardware_gpus["count"]
    if model not in catalogue_gpus:
        why = "catalogue_gpus (inventories/_common/gpus.yml) has no such model"
        yield Problem(("hardware_gpus", "model"), why, choose(model, catalogue_gpus))
        return
    boards = catalogue_gpus[model]["boards"]
    if boards and count not in boards:
        why = f"{model} comes on boards of {' or '.join(map(str, boards))}"
        remedy = "correct the count; where a GPU has failed, keep the board's number until it is replaced"
        yield Problem(("hardware_gpus", "count"), why, remedy)
    serials = hardware_gpus.get("serials")
    if serials is not None and len(serials) != count:
        why = f"these are {len(serials)} serial numbers of {count} GPUs"
        yield Problem(("hardware_gpus", "serials"), why, "name every GPU (nvidia-smi -q), or none")


@fleet_rule
def gpu_groups(view: View) -> Iterator[Problem]:
    """GPUs and the group of GPU nodes go together."""
    having = dict(view.each("hardware_gpus"))
    nodes = set(view.members("gpu_nodes"))
    for host, values in view.hosts.items():
        if host in nodes and "hardware_gpus" not in values:
            why = "the host is in gpu_nodes and says nothing of its GPUs"
            remedy = "add hardware_gpus: {model: h100-sxm5-80gb, count: 8}, or take it out of gpu_nodes"
            yield Problem(("hardware_gpus",), why, remedy, host=host)
        if host in having and host not in nodes and host not in view.members("edge_nodes"):
            why = "the host has GPUs and is not in gpu_nodes, so nothing will use them"
            yield Problem(("hardware_gpus",), why, "put it into gpu_nodes", host=host, level="warning")


@fleet_rule
def tier_groups(view: View) -> Iterator[Problem]:
    """Storage tiers are made on the hosts that a playbook makes them on."""
    stores = set(view.members("gpu_nodes")) | set(view.members("storage_nodes"))
    for host, tiers in view.each("storage_tiers"):
        if tiers and host not in stores:
            why = "storage tiers are only made on gpu_nodes and storage_nodes"
            remedy = "put the host into one of them, or move storage_tiers to their group_vars"
            yield Problem(("storage_tiers",), why, remedy, host, host)
