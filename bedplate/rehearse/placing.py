"""Where pods could go: the scheduler's hard rules as arithmetic, and what the loss of a host would do. Pure.

Counted are node selectors and required node affinity, taints, what is allocatable, volumes that are tied to
nodes, and required anti-affinity between pods on one host. Preferences are not: they decide where among
several, not whether.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bedplate.rehearse.objects import GPU, Node, Pod, Workload

HOSTNAME = "kubernetes.io/hostname"
_OPERATORS: dict[str, Callable[[str | None, list[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: value is not None and int(value) > int(values[0]),
    "Lt": lambda value, values: value is not None and int(value) < int(values[0]),
}


@dataclass(frozen=True)
class Loss:
    """What happens when ``node`` is lost: pods that move, pods that others push away, pods that wait."""

    node: str
    alike: tuple[str, ...]
    moved: tuple[Pod, ...]
    pushed: tuple[Pod, ...]
    waiting: tuple[Pod, ...]


@dataclass
class Cluster:
    """Nodes with what is free on each, and pods where they are. ``tied`` maps a claim (namespace, name) to
    the node-affinity terms of its volume."""

    nodes: dict[str, Node]
    placed: dict[str, list[Pod]]
    free: dict[str, dict[str, int]]
    tied: Mapping[tuple[str, str], list[Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        nodes: Iterable[Node],
        pods: Iterable[Pod],
        tied: Mapping[tuple[str, str], list[Any]] | None = None,
    ) -> "Cluster":
        """The cluster as it is."""
        known = {node.name: node for node in nodes}
        cluster = cls(
            known, {n: [] for n in known}, {n: dict(x.allocatable) for n, x in known.items()}, tied or {}
        )
        for pod in pods:
            if pod.node in known:
                cluster.put(pod, pod.node)
        return cluster

    def without(self, name: str) -> "Cluster":
        """The same cluster after the loss of one node."""
        return Cluster(
            {n: x for n, x in self.nodes.items() if n != name},
            {n: list(p) for n, p in self.placed.items() if n != name},
            {n: dict(f) for n, f in self.free.items() if n != name},
            self.tied,
        )

    def put(self, pod: Pod, name: str) -> None:
        """Place a pod."""
        self.placed[name].append(pod)
        for resource, wanted in pod.requests.items():
            self.free[name][resource] = self.free[name].get(resource, 0) - wanted

    def take(self, pod: Pod, name: str) -> None:
        """Remove a pod."""
        self.placed[name].remove(pod)
        for resource, wanted in pod.requests.items():
            self.free[name][resource] += wanted

    def allowed(self, pod: Pod) -> list[Node]:
        """Nodes that the pod may be on, were they empty and large enough."""
        return [node for node in self.nodes.values() if self._allows(pod, node)]

    def _allows(self, pod: Pod, node: Node) -> bool:
        terms = [self.tied[claim] for c in pod.claims if (claim := (pod.namespace, c)) in self.tied]
        return (
            tolerates(pod.spec.get("tolerations", []), node.taints)
            and selects(pod.spec, node)
            and all(matches_any(each, node) for each in terms)
        )

    def fits(self, pod: Pod, name: str) -> bool:
        """Whether an allowed node has room now."""
        free = self.free[name]
        return all(free.get(r, 0) >= n for r, n in pod.requests.items()) and not self._kept_apart(pod, name)

    def missing(self, pod: Pod, name: str) -> dict[str, int]:
        """What an allowed node has too little of, in thousandths."""
        free = self.free[name]
        return {r: n - free.get(r, 0) for r, n in pod.requests.items() if n > free.get(r, 0)}

    def _kept_apart(self, pod: Pod, name: str) -> bool:
        here = self.placed[name]
        return any(_repels(pod, other) or _repels(other, pod) for other in here)


def losses(cluster: Cluster) -> list[Loss]:
    """The loss of each node that pods run on; nodes that run and offer the same are simulated once."""
    alike: dict[Any, list[str]] = defaultdict(list)
    for name, node in cluster.nodes.items():
        pods = [pod for pod in cluster.placed[name] if not pod.daemon]
        if pods:
            labels = {k: v for k, v in node.labels.items() if k != HOSTNAME}
            loads = sorted(
                (str(pod.workload.namespace), pod.workload.kind, pod.workload.name) for pod in pods
            )
            alike[(tuple(sorted(labels.items())), tuple(loads))].append(name)
    return [loss(cluster, names[0], tuple(names)) for names in alike.values()]


def loss(cluster: Cluster, name: str, alike: tuple[str, ...] = ()) -> Loss:
    """Where the pods of one node would go: most important first, packed where GPUs are left."""
    rest = cluster.without(name)
    queue = _by_importance(pod for pod in cluster.placed[name] if not pod.daemon)
    moved: list[Pod] = []
    pushed: list[Pod] = []
    waiting: list[Pod] = []
    while queue:
        pod = queue.pop(0)
        target = _choose(rest, pod)
        if target is None and pod.preempts and (found := _preempt(rest, pod)):
            target, victims = found
            for victim in victims:
                rest.take(victim, target)
            pushed += victims
            queue = _by_importance([*queue, *victims])
        if target is None:
            waiting.append(pod)
        else:
            rest.put(pod, target)
            if pod not in pushed:
                moved.append(pod)
    return Loss(name, alike or (name,), tuple(moved), tuple(pushed), tuple(waiting))


def workloads(pods: Sequence[Pod]) -> dict[Workload, list[Pod]]:
    """Pods by what made them, in order of first appearance."""
    found: dict[Workload, list[Pod]] = {}
    for pod in pods:
        found.setdefault(pod.workload, []).append(pod)
    return found


def selects(spec: Mapping[str, Any], node: Node) -> bool:
    """Node selector and required node affinity."""
    if any(node.labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    required = (
        spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    )
    return required is None or matches_any(required["nodeSelectorTerms"], node)


def matches_any(terms: Iterable[Mapping[str, Any]], node: Node) -> bool:
    """One of the node-selector terms matches as a whole."""
    fields = {"metadata.name": node.name}
    return any(
        all(_matches(rule, node.labels) for rule in term.get("matchExpressions", []))
        and all(_matches(rule, fields) for rule in term.get("matchFields", []))
        for term in terms
    )


def tolerates(tolerations: Iterable[Mapping[str, Any]], taints: Iterable[Mapping[str, Any]]) -> bool:
    """Every taint that keeps pods away is tolerated."""
    known = list(tolerations)
    hard = (taint for taint in taints if taint["effect"] in ("NoSchedule", "NoExecute"))
    return all(any(_tolerates(toleration, taint) for toleration in known) for taint in hard)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _matches(rule: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    return _OPERATORS[rule["operator"]](values.get(rule["key"]), rule.get("values", []))


def _repels(pod: Pod, other: Pod) -> bool:
    """``pod`` refuses to share a host with ``other``."""
    anti = pod.spec.get("affinity", {}).get("podAntiAffinity", {})
    for term in anti.get("requiredDuringSchedulingIgnoredDuringExecution", []):
        selector = term.get("labelSelector", {})
        if (
            term["topologyKey"] == HOSTNAME
            and other.namespace in (term.get("namespaces") or [pod.namespace])
            and all(other.labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())
            and all(_matches(rule, other.labels) for rule in selector.get("matchExpressions", []))
        ):
            return True
    return False


def _by_importance(pods: Iterable[Pod]) -> list[Pod]:
    return sorted(pods, key=lambda pod: (-pod.priority, -pod.requests.get(GPU, 0), pod.name))


def _choose(cluster: Cluster, pod: Pod) -> str | None:
    """The allowed node with room that has the fewest GPUs left; None when there is none."""
    room = [node.name for node in cluster.allowed(pod) if cluster.fits(pod, node.name)]
    return min(room, key=lambda name: (cluster.free[name].get(GPU, 0), name), default=None)


def _preempt(cluster: Cluster, pod: Pod) -> tuple[str, list[Pod]] | None:
    """The node where the fewest and least important pods must go to make room, and those pods."""
    best: tuple[tuple[int, int], str, list[Pod]] | None = None
    for node in cluster.allowed(pod):
        lower = sorted(
            (p for p in cluster.placed[node.name] if p.priority < pod.priority and not p.daemon),
            key=lambda p: (p.priority, p.requests.get(GPU, 0)),
        )
        victims: list[Pod] = []
        while not cluster.fits(pod, node.name) and lower:
            victims.append(lower.pop(0))
            cluster.take(victims[-1], node.name)
        enough = cluster.fits(pod, node.name)
        for victim in victims:
            cluster.put(victim, node.name)
        cost = (max((v.priority for v in victims), default=0), len(victims))
        if enough and victims and (best is None or cost < best[0]):
            best = (cost, node.name, victims)
    return (best[1], best[2]) if best else None
