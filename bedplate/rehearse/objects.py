"""Kubernetes objects as records: pods, nodes, what they ask for and have. Pure; amounts are thousandths."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Object = dict[str, Any]
Amounts = Mapping[str, int]
GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-"
THOUSAND = 1000
_SUFFIXES = {"": Fraction(1), "m": Fraction(1, 1000), "k": Fraction(10**3)}
_SUFFIXES |= {s: Fraction(1000 ** (i + 2)) for i, s in enumerate("MGTP")}
_SUFFIXES |= {f"{s}i": Fraction(1024 ** (i + 1)) for i, s in enumerate("KMGTP")}


def amount(quantity: str | int | float) -> int:
    """A Kubernetes quantity in thousandths: ``500m`` is 500, ``2`` is 2000, ``1Ki`` is 1024000."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?(?:[eE]\d+)?)([a-zA-Z]*)", str(quantity))
    if not match or match[2] not in _SUFFIXES:
        raise ValueError(f"{quantity!r} is not a quantity")
    return int(Fraction(match[1]) * _SUFFIXES[match[2]] * THOUSAND)


def amounts(quantities: Mapping[str, Any]) -> dict[str, int]:
    """Every quantity of a resource list in thousandths."""
    return {name: amount(value) for name, value in quantities.items()}


@dataclass(frozen=True)
class Workload:
    """What made a pod: a Deployment, StatefulSet, DaemonSet, Job, or the pod itself."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Node:
    """One node; ``allocatable`` is what pods may have in all."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, str], ...]
    allocatable: Amounts
    ready: bool = True

    @property
    def gpus(self) -> int:
        """Whole GPUs (MIG devices do not count)."""
        return self.allocatable.get(GPU, 0) // THOUSAND


@dataclass(frozen=True)
class Pod:
    """One pod that is not over. ``requests`` include one under ``pods``; ``preempts`` is false for work that
    may wait; ``why`` is the scheduler's own reason while the pod is not placed."""

    namespace: str
    name: str
    workload: Workload
    node: str
    phase: str
    ready: bool
    requests: Amounts
    priority: int = 0
    preempts: bool = True
    why: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    claims: tuple[str, ...] = ()
    start_seconds: float | None = None

    @property
    def gpus(self) -> int:
        """Whole GPUs asked for."""
        return self.requests.get(GPU, 0) // THOUSAND

    @property
    def daemon(self) -> bool:
        """One per node, so it goes with its node."""
        return self.workload.kind == "DaemonSet"


def node(raw: Object) -> Node:
    """A Node object as a record."""
    conditions = raw.get("status", {}).get("conditions", [])
    return Node(
        name=raw["metadata"]["name"],
        labels=raw["metadata"].get("labels", {}),
        taints=tuple(raw.get("spec", {}).get("taints", [])),
        allocatable=amounts(raw["status"]["allocatable"]),
        ready=_is_true(conditions, "Ready"),
    )


def pods(raws: Iterable[Object], start_annotation: str = "") -> list[Pod]:
    """Pod objects that are not over (a job's pod that ended holds nothing)."""
    return [
        _pod(raw, start_annotation)
        for raw in raws
        if raw["status"].get("phase") not in ("Succeeded", "Failed")
    ]


def requests(spec: Mapping[str, Any]) -> dict[str, int]:
    """What the scheduler counts: containers and sidecars together, or the largest init container."""
    running: dict[str, int] = {}
    largest: dict[str, int] = {}
    for container in spec.get("containers", []):
        _add(running, _asked(container))
    for container in spec.get("initContainers", []):
        asked = _asked(container)
        if container.get("restartPolicy") == "Always":
            _add(running, asked)
        else:
            largest = {k: max(largest.get(k, 0), asked.get(k, 0)) for k in largest | asked}
    _add(running, amounts(spec.get("overhead", {})))
    total = {k: max(running.get(k, 0), largest.get(k, 0)) for k in running | largest}
    return total | {"pods": THOUSAND}


def _pod(raw: Object, start_annotation: str) -> Pod:
    metadata, spec, status = raw["metadata"], raw["spec"], raw["status"]
    conditions = status.get("conditions", [])
    scheduled: Object = next((c for c in conditions if c["type"] == "PodScheduled"), {})
    volumes = spec.get("volumes", [])
    start = metadata.get("annotations", {}).get(start_annotation)
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        workload=_workload(metadata),
        node=spec.get("nodeName", ""),
        phase=status.get("phase", "Pending"),
        ready=_is_true(conditions, "Ready"),
        requests=requests(spec),
        priority=spec.get("priority", 0),
        preempts=spec.get("preemptionPolicy") != "Never",
        why=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        labels=metadata.get("labels", {}),
        spec=spec,
        claims=tuple(
            v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v
        ),
        start_seconds=float(start) if start else None,
    )


def _workload(metadata: Mapping[str, Any]) -> Workload:
    owner = next((o for o in metadata.get("ownerReferences", []) if o.get("controller")), None)
    if owner is None:
        return Workload(metadata["namespace"], "Pod", metadata["name"])
    suffix = metadata.get("labels", {}).get("pod-template-hash")
    if owner["kind"] == "ReplicaSet" and suffix:
        return Workload(metadata["namespace"], "Deployment", owner["name"].removesuffix(f"-{suffix}"))
    return Workload(metadata["namespace"], owner["kind"], owner["name"])


def _asked(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources", {})
    return amounts(resources.get("limits", {})) | amounts(resources.get("requests", {}))


def _add(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        into[name] = into.get(name, 0) + value


def _is_true(conditions: Iterable[Mapping[str, Any]], kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)
