"""The verdict: what is placed where, what waits and why, what is left, and what the loss of one host would
do. Pure: objects from the API in, records out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedplate.rehearse import objects, placing, sentences
from bedplate.rehearse.objects import GPU, THOUSAND, Node, Object, Pod, Workload
from bedplate.rehearse.placing import Cluster, Loss
from bedplate.rehearse.stages import START

FAILED = "FailedCreate"


@dataclass(frozen=True)
class Snapshot:
    """Objects as the API sends them; ``controllers`` are Deployments, StatefulSets, Jobs, with their kind."""

    nodes: Sequence[Object]
    pods: Sequence[Object]
    volumes: Sequence[Object]
    controllers: Sequence[Object]
    events: Sequence[Object]


@dataclass(frozen=True)
class Waiting:
    """A workload of which ``pods`` wait. ``may_wait``: it takes only what nobody else wants."""

    workload: Workload
    pods: int
    sentence: str
    scheduler: str
    may_wait: bool


@dataclass(frozen=True)
class Refused:
    """A workload whose pods were not even created (quota, admission), with the API server's message."""

    workload: Workload
    pods: int
    message: str


@dataclass(frozen=True)
class Headroom:
    """What a group of nodes has left; ``whole`` counts hosts whose GPUs are all free, memory in bytes."""

    group: str
    nodes: int
    gpus: int
    gpus_free: int
    whole: int
    largest: int
    cpus_free: float
    memory_free: int


@dataclass(frozen=True)
class Verdict:
    """Everything that the rehearsal found out about one environment."""

    cluster: Cluster
    pods: tuple[Pod, ...]
    waiting: tuple[Waiting, ...]
    refused: tuple[Refused, ...]
    headroom: tuple[Headroom, ...]
    losses: tuple[Loss, ...]

    @property
    def fits(self) -> bool:
        """True when nothing waits that should run and nothing was refused."""
        return not self.refused and all(entry.may_wait for entry in self.waiting)


def judge(snapshot: Snapshot, groups: Mapping[str, str]) -> Verdict:
    """The verdict on what the API server holds; ``groups`` names the inventory group of each node."""
    pods = objects.pods(snapshot.pods, START)
    cluster = Cluster.of(map(objects.node, snapshot.nodes), pods, tied(snapshot.volumes))
    return Verdict(
        cluster=cluster,
        pods=tuple(pods),
        waiting=tuple(_waiting(cluster, pods)),
        refused=tuple(refused(snapshot.controllers, snapshot.events)),
        headroom=tuple(headroom(cluster, groups)),
        losses=tuple(placing.losses(cluster)),
    )


def tied(volumes: Iterable[Object]) -> dict[tuple[str, str], list[Any]]:
    """Claims whose volume is tied to nodes, with the terms of its node affinity."""
    found = {}
    for raw in volumes:
        claim, required = raw["spec"].get("claimRef"), raw["spec"].get("nodeAffinity", {}).get("required")
        if claim and required:
            found[(claim["namespace"], claim["name"])] = required["nodeSelectorTerms"]
    return found


def refused(controllers: Iterable[Object], events: Iterable[Object] = ()) -> list[Refused]:
    """Controllers that could not create their pods: they have fewer than they want, and say why."""
    told = {_key(e["involvedObject"]): e.get("message", "") for e in events if e.get("reason") == FAILED}
    found = []
    for raw in controllers:
        workload = Workload(raw["metadata"]["namespace"], raw["kind"], raw["metadata"]["name"])
        message = _replica_failure(raw) or told.get(_key({"kind": raw["kind"], **raw["metadata"]}), "")
        lacking = _wanted(raw) - _there(raw)
        if lacking > 0 and message:
            found.append(Refused(workload, lacking, message))
    return found


def scheduled(controllers: Iterable[Object]) -> set[Workload]:
    """The Jobs among ``controllers`` that a CronJob made."""
    return {
        Workload(raw["metadata"]["namespace"], raw["kind"], raw["metadata"]["name"])
        for raw in controllers
        if any(owner["kind"] == "CronJob" for owner in raw["metadata"].get("ownerReferences", []))
    }


def _replica_failure(raw: Object) -> str:
    conditions = raw.get("status", {}).get("conditions", [])
    failed = (c for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True")
    return next((str(c.get("message", "")) for c in failed), "")


def _wanted(raw: Object) -> int:
    if raw["kind"] == "Job":
        return 0 if raw["spec"].get("suspend") else int(raw["spec"].get("parallelism", 1))
    return int(raw["spec"].get("replicas", 1))


def _there(raw: Object) -> int:
    status = raw.get("status", {})
    if raw["kind"] == "Job":
        return int(status.get("active", 0)) + int(status.get("succeeded", 0))
    return int(status.get("replicas", 0))


def _key(reference: Mapping[str, Any]) -> tuple[str, str, str]:
    return reference["kind"], reference["namespace"], reference["name"]


def _waiting(cluster: Cluster, pods: Sequence[Pod]) -> list[Waiting]:
    found = []
    for workload, members in placing.workloads(pods).items():
        lacking = [pod for pod in members if not pod.node]
        if lacking:
            sentence = sentences.explain(
                cluster, workload, lacking[0], len(lacking), len(members) - len(lacking)
            )
            found.append(
                Waiting(workload, len(lacking), sentence, lacking[0].why, may_wait=not lacking[0].preempts)
            )
    return found


def headroom(cluster: Cluster, groups: Mapping[str, str]) -> list[Headroom]:
    """What is left, by group of nodes."""
    members: dict[str, list[Node]] = {}
    for name, node in cluster.nodes.items():
        members.setdefault(groups.get(name, "nodes"), []).append(node)
    return [_headroom(cluster, group, nodes) for group, nodes in members.items()]


def _headroom(cluster: Cluster, group: str, nodes: Sequence[Node]) -> Headroom:
    free = {node.name: cluster.free[node.name].get(GPU, 0) // THOUSAND for node in nodes}
    return Headroom(
        group=group,
        nodes=len(nodes),
        gpus=sum(node.gpus for node in nodes),
        gpus_free=sum(free.values()),
        whole=sum(1 for node in nodes if node.gpus and free[node.name] == node.gpus),
        largest=max(free.values(), default=0),
        cpus_free=sum(cluster.free[node.name]["cpu"] for node in nodes) / THOUSAND,
        memory_free=sum(cluster.free[node.name]["memory"] for node in nodes) // THOUSAND,
    )
