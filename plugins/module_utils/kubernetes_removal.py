"""How a host leaves a cluster without taking it along: a pure planner. Standard library only, Python 3.9."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Step = Literal["drain", "forget", "reset", "delete"]
MARK = "---"


@dataclass(frozen=True)
class Cluster:
    """What another member said: whether the host is a node; members of etcd by name (hexadecimal id), and
    which of them answer."""

    node: bool = False
    members: Mapping[str, str] | None = None
    healthy: Sequence[str] = ()


def read(told: str) -> Cluster:
    """Of the name of the node (or nothing), a line ---, and etcdctl's members and health as JSON.
    Raises ValueError."""
    node, mark, rest = told.partition(MARK)
    if not mark:
        raise ValueError("etcd did not say who its members are")
    documents: list[Any] = []
    decoder, text = json.JSONDecoder(), rest.strip()
    while text:
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:].strip()
    if not documents:
        raise ValueError("etcd did not say who its members are")
    listed = documents[0]["members"]
    members = {one["name"]: f"{one['ID']:x}" for one in listed}
    names = {url: one["name"] for one in listed for url in one.get("clientURLs", [])}
    answers = documents[1] if len(documents) > 1 else []
    healthy = [names[one["endpoint"]] for one in answers if one["health"] and one["endpoint"] in names]
    return Cluster(bool(node.strip()), members, tuple(healthy))


def plan(
    host: str, others: Sequence[str], cluster: Cluster | None, gone: bool, confirm: str
) -> tuple[list[Step], list[str]]:
    """Steps in their order, and refusals; with one refusal nothing is done. ``others`` are the members of the
    control plane beside ``host``; ``gone``: the host is dead and stays so."""
    if not others or cluster is None:
        return [], [
            f"{host} is the only member of the control plane: without it there is no cluster and no etcd. "
            "To give up the cluster, run kubeadm reset there yourself"
        ]
    members = cluster.members or {}
    left = [name for name in members if name != host]
    alive = [name for name in cluster.healthy if name != host]
    needed = len(left) // 2 + 1
    if host in members and len(alive) < needed:
        return [], [
            f"without {host}, {len(alive)} of the {len(left)} members of etcd that are left would answer "
            f"({', '.join(alive) or 'none'}), and {needed} have to: the cluster would stand still. "
            "Bring the others back first"
        ]
    if confirm != words(host):
        return [], [f'{_loses(host, cluster)}. If that is wanted: -e confirm="{words(host)}"']
    steps: list[Step] = ["drain"] if cluster.node and not gone else []
    steps += ["forget"] if gone and host in members else []
    steps += [] if gone else ["reset"]
    return [*steps, "delete"] if cluster.node else steps, []


def words(host: str) -> str:
    """What somebody types who means it."""
    return f"remove {host}"


def _loses(host: str, cluster: Cluster) -> str:
    what = ["its pods move to other nodes, as far as these have room"] if cluster.node else []
    if host in (cluster.members or {}):
        what.append(
            f"etcd goes from {len(cluster.members or {})} members to {len(cluster.members or {}) - 1}"
        )
    return f"{host} leaves the cluster" + "".join(f"; {one}" for one in what)
