"""How a cluster comes to another version, one step at a time: a pure planner over what is observed now, so
that a run that was cut off anywhere is finished by the same command again.

First every API server, one after the other; then every kubelet, because none may be newer than the oldest API
server (kubernetes.io, Version Skew Policy). Standard library only, Python 3.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal, Optional

Version = tuple[int, int, int]
# apply: kubeadm upgrade apply, for the whole cluster; node: kubeadm upgrade node, for one host; kubelet: the
# new programs, and kubelet started again
Verb = Literal["apply", "node", "drain", "kubelet", "uncordon"]
MARK = "bedplate.io/upgrade"  # annotation: who drained the node was the upgrade
BEHIND = 3  # minor versions that a kubelet may be older than an API server


@dataclass(frozen=True)
class Node:
    """A host as the cluster sees it. ``server``: version of its API server, None for a worker; ``drained``:
    takes no pods because the upgrade said so, ``closed``: because somebody did; ``waits``: its pods of the
    cluster's own that are not ready."""

    name: str
    kubelet: Version
    server: Optional[Version] = None  # noqa: UP045  evaluated by Python 3.9
    ready: bool = True
    drained: bool = False
    closed: bool = False
    waits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """``nodes`` in the inventory's order; ``version``: what kubeadm's configuration of the cluster says."""

    version: Version
    nodes: tuple[Node, ...]

    @property
    def servers(self) -> tuple[Node, ...]:
        """Hosts of the control plane."""
        return tuple(node for node in self.nodes if node.server is not None)


@dataclass(frozen=True)
class Step:
    """One thing to do at one host."""

    host: str
    verb: Verb


def version(text: str) -> Version:
    """Of ``v1.37.0`` and of ``registry.k8s.io/kube-apiserver:v1.37.0``. Raises ValueError."""
    found = re.search(r"v?(\d+)\.(\d+)\.(\d+)$", text)
    if not found:
        raise ValueError(f"{text} is no version like 1.37.0")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def shown(one: Version) -> str:
    """As the inventory writes it."""
    return ".".join(map(str, one))


def next_step(target: Version, cluster: Cluster) -> Optional[Step]:  # noqa: UP045
    """What comes next; None when the cluster has arrived. ``refusals`` come first.

    No kubelet before the last API server; a node that the upgrade has drained is finished before the next.
    """
    if cluster.version < target:
        return Step(cluster.servers[0].name, "apply")
    for node in cluster.servers:
        if node.server is not None and node.server < target:
            return Step(node.name, "node")
    for node in cluster.nodes:
        if node.drained:
            return Step(node.name, "kubelet" if node.kubelet < target else "uncordon")
    for node in (*cluster.servers, *(node for node in cluster.nodes if node.server is None)):
        if node.kubelet < target:
            return Step(node.name, "drain")
    return None


def course(target: Version, cluster: Cluster) -> list[Step]:
    """Every step from here to the end, if nothing goes wrong."""
    steps: list[Step] = []
    while (step := next_step(target, cluster)) is not None:
        steps.append(step)
        cluster = _after(target, cluster, step)
    return steps


def turn(steps: Sequence[Step], host: str) -> list[Step]:
    """What ``host`` does before another one is touched: nothing when it is not its turn."""
    return list(takewhile(lambda step: step.host == host, steps))


def _after(target: Version, cluster: Cluster, step: Step) -> Cluster:
    """The cluster once ``step`` is done."""
    changes: dict[Verb, dict[str, Any]] = {
        "apply": {"server": target},
        "node": {"server": target},
        "drain": {"drained": True},
        "kubelet": {"kubelet": target},
        "uncordon": {"drained": False},
    }
    nodes = tuple(
        replace(node, **changes[step.verb]) if node.name == step.host else node for node in cluster.nodes
    )
    return Cluster(target if step.verb == "apply" else cluster.version, nodes)


def refusals(target: Version, cluster: Cluster) -> list[str]:
    """Why the cluster must not be brought to ``target`` as it is. Each names key, value and remedy."""
    if not cluster.servers:
        return ["no API server is seen; is this a control-plane host?"]
    key = f"version_kubernetes = {shown(target)}"
    servers = [node.server for node in cluster.servers if node.server is not None]
    newest = max([cluster.version, *servers, *(node.kubelet for node in cluster.nodes)])
    oldest = min([cluster.version, *servers])
    if target < newest:
        return [f"{key}: the cluster has {shown(newest)} already, and never goes back; write {shown(newest)}"]
    if target[0] != oldest[0] or target[1] - oldest[1] > 1:
        first = f"{oldest[0]}.{oldest[1] + 1}"
        return [f"{key}: the cluster has {shown(oldest)}; go one minor version at a time, to {first} first"]
    said = [
        f"{key}: kubelet of {node.name} has {shown(node.kubelet)}, and may be {BEHIND} minor versions "
        f"behind; bring it up with the version before this one first"
        for node in cluster.nodes
        if target[1] - node.kubelet[1] > BEHIND
    ]
    step = next_step(target, cluster)
    return said + ([] if step is None else _ill(cluster, step))


def _ill(cluster: Cluster, step: Step) -> list[str]:
    """Nodes that are down besides the one that the upgrade itself has taken out. What was cut off while it
    changed an API server may have left its pods not ready: it is what mends them."""
    ours = next((node.name for node in cluster.nodes if node.drained), "")
    changing = step.host if step.verb in ("apply", "node") else ours
    said = [
        f"{node.name} is not ready; two nodes are never down at once. playbooks/doctor.yml says what is "
        f"wrong, playbooks/remove_node.yml takes a dead one out"
        for node in cluster.nodes
        if not node.ready and node.name != ours
    ]
    return said + [
        f"{node.name}: {', '.join(node.waits)} not ready; kubectl -n kube-system describe pod says why"
        for node in cluster.nodes
        if node.ready and node.waits and node.name not in (ours, changing)
    ]


def waits_for(target: Version, cluster: Cluster, step: Step) -> list[str]:
    """What is still to come after ``step`` was done; nothing when the next one may begin."""
    node = next((one for one in cluster.nodes if one.name == step.host), None)
    if node is None:
        return [f"{step.host} is no node"]
    said = [] if node.ready else [f"{node.name} is not ready"]
    said += [f"{node.name}: {pod} is not ready" for pod in node.waits]
    if step.verb in ("apply", "node") and node.server is not None and node.server < target:
        said.append(f"the API server of {node.name} is {shown(node.server)}")
    if step.verb == "kubelet" and node.kubelet < target:
        said.append(f"kubelet of {node.name} is {shown(node.kubelet)}")
    return said


def read(configuration: str, nodes: Sequence[Any], pods: Sequence[Any], order: Sequence[str]) -> Cluster:
    """Of kubeadm's ClusterConfiguration (YAML), the Node objects, the pods of kube-system, and the
    inventory's order. Raises ValueError, KeyError."""
    found = re.search(r"^kubernetesVersion: *(\S+)$", configuration, re.MULTILINE)
    if not found:
        raise ValueError("kubeadm's configuration of the cluster names no version")
    rank = {name: place for place, name in enumerate(order)}
    ranked = sorted(nodes, key=lambda node: rank.get(node["metadata"]["name"], len(rank)))
    return Cluster(version(found.group(1)), tuple(_node(node, pods) for node in ranked))


def _node(node: Mapping[str, Any], pods: Sequence[Any]) -> Node:
    name = node["metadata"]["name"]
    mine = [pod for pod in pods if pod["spec"].get("nodeName") == name]
    servers = [pod for pod in mine if pod["metadata"].get("labels", {}).get("component") == "kube-apiserver"]
    drained = MARK in node["metadata"].get("annotations", {})
    return Node(
        name,
        version(node["status"]["nodeInfo"]["kubeletVersion"]),
        version(servers[0]["spec"]["containers"][0]["image"].partition("@")[0]) if servers else None,
        _is(node, "Ready"),
        drained,
        bool(node.get("spec", {}).get("unschedulable")) and not drained,
        tuple(pod["metadata"]["name"] for pod in mine if _bound(pod) and not _is(pod, "Ready")),
    )


def _bound(pod: Mapping[str, Any]) -> bool:
    """Whether a pod belongs to its node, so that its health is the node's: static ones and those of
    DaemonSets. Others may wait for room, which is no matter of this node."""
    kinds = {owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])}
    return bool(kinds & {"Node", "DaemonSet"}) and "deletionTimestamp" not in pod["metadata"]


def _is(thing: Mapping[str, Any], condition: str) -> bool:
    return any(
        c["type"] == condition and c["status"] == "True" for c in thing["status"].get("conditions", [])
    )
