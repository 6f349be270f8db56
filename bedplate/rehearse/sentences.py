"""Why a pod waits, in the words of an engineer. Pure."""

from collections.abc import Sequence

from bedplate.rehearse.objects import GPU, MIG, THOUSAND, Node, Pod, Workload
from bedplate.rehearse.placing import Cluster

GPU_MEMORY = "nvidia.com/gpu.memory"
TIMES = "\N{MULTIPLICATION SIGN}"
MIB_PER_GB = 1024  # the sizes that GPUs are sold by: 81,559 MiB are "80 GB"
GIB = 1024**3
_NAMES = {
    "cpu": "CPUs",
    "memory": "memory",
    "ephemeral-storage": "disk space",
    "pods": "room for pods",
    GPU: "GPUs",
}


def explain(cluster: Cluster, workload: Workload, pod: Pod, lacking: int, placed: int) -> str:
    """Why a pod waits: what its workload wants, and what there is."""
    allowed = cluster.allowed(pod)
    wants = f"{workload} wants {_wish(pod, lacking + placed, allowed or list(cluster.nodes.values()))}"
    if not allowed:
        return f"{wants}; no node {_demand(pod)}"
    large = [node for node in allowed if _large_enough(node, pod)]
    if not large:
        return f"{wants}; {_too_small(allowed, pod)}"
    free = [node for node in large if cluster.fits(pod, node.name)]
    if free:
        return (
            f"{wants}; {len(free)} could take one by size, but: {pod.why or 'the scheduler has not said why'}"
        )
    if not pod.gpus:
        return f"{wants}; {_scarce(cluster, large, pod)}"
    enough = [node for node in large if GPU not in cluster.missing(pod, node.name)]
    if enough:
        return f"{wants}; {_hosts(len(enough))} with the GPUs free, but {_scarce(cluster, enough, pod)}"
    room = (
        _such_hosts(placed)
        if _takes_whole_hosts(pod, allowed)
        else f"there is room for {placed or 'none'} of them"
    )
    return f"{wants}; {room}{_loose(cluster, large)}"


def _wish(pod: Pod, count: int, nodes: Sequence[Node]) -> str:
    """What a workload asks for: 2 hosts of 8 GPUs with 80 GB each, 3 of 2 GPUs, 4 CPUs and 8 GiB."""
    if not pod.gpus:
        slices = [
            f"{n // THOUSAND} {TIMES} {r.removeprefix('nvidia.com/')}"
            for r, n in pod.requests.items()
            if MIG in r
        ]
        size = slices or [f"{_count(pod.requests.get('cpu', 0), 'CPU')}"]
        size += [f"{pod.requests['memory'] / THOUSAND / GIB:.1f} GiB"] if pod.requests.get("memory") else []
        return f"{count} {TIMES} ({', '.join(size)})" if count > 1 else " and ".join(size)
    gpus = "1 GPU" if pod.gpus == 1 else f"{pod.gpus} GPUs"
    memory = {node.labels[GPU_MEMORY] for node in nodes if GPU_MEMORY in node.labels}
    with_memory = f" with {round(int(memory.pop()) / MIB_PER_GB)} GB" if len(memory) == 1 else ""
    if _takes_whole_hosts(pod, nodes):
        return f"{_hosts(count)} {TIMES} {gpus}{with_memory}"
    return f"{count} {TIMES} {gpus}{with_memory}" if count > 1 else f"{gpus}{with_memory}"


def _demand(pod: Pod) -> str:
    """What no node satisfies, from the pod's own rules."""
    parts = [f"{key}={value}" for key, value in pod.spec.get("nodeSelector", {}).items()]
    required = pod.spec.get("affinity", {}).get("nodeAffinity", {})
    for term in required.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get(
        "nodeSelectorTerms", []
    ):
        for rule in term.get("matchExpressions", []):
            parts.append(f"{rule['key']} {rule['operator']} {', '.join(rule.get('values', []))}".strip())
    if parts:
        return f"that lets it in has {' and '.join(parts)}"
    return "lets it in: it tolerates none of their taints"


def _large_enough(node: Node, pod: Pod) -> bool:
    return all(node.allocatable.get(r, 0) >= n for r, n in pod.requests.items())


def _too_small(nodes: Sequence[Node], pod: Pod) -> str:
    lacking = [r for r in pod.requests if all(node.allocatable.get(r, 0) < pod.requests[r] for node in nodes)]
    resource = lacking[0] if lacking else next(iter(pod.requests))
    most = max(node.allocatable.get(resource, 0) for node in nodes)
    wanted = _amount(resource, pod.requests[resource])
    return f"the largest host allowed has {_amount(resource, most)}, and one pod wants {wanted}"


def _scarce(cluster: Cluster, nodes: Sequence[Node], pod: Pod) -> str:
    """The resource that the best node lacks."""
    best = min(nodes, key=lambda node: len(cluster.missing(pod, node.name)))
    missing = cluster.missing(pod, best.name)
    if not missing:
        return "pods of the same kind may not share a host"
    resource = next(iter(missing))
    left = max(cluster.free[node.name].get(resource, 0) for node in nodes)
    wanted = _amount(resource, pod.requests[resource])
    return f"{wanted} are wanted and at most {_amount(resource, max(left, 0))} are free on one"


def _takes_whole_hosts(pod: Pod, nodes: Sequence[Node]) -> bool:
    return pod.gpus > 1 and pod.gpus == max((node.gpus for node in nodes), default=0)


def _loose(cluster: Cluster, nodes: Sequence[Node]) -> str:
    """GPUs that are free, but scattered."""
    left = {node.name: cluster.free[node.name].get(GPU, 0) // THOUSAND for node in nodes}
    total, most = sum(left.values()), max(left.values(), default=0)
    if not total:
        return ", no GPU is left"
    if total == 1:
        return ", 1 GPU is free"
    return f", {total} GPUs are free on {_hosts(sum(1 for n in left.values() if n))}, at most {most} on one"


def _such_hosts(count: int) -> str:
    return "1 such host is free" if count == 1 else f"{count or 'no'} such hosts are free"


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"


def _count(thousandths: int, unit: str) -> str:
    number = thousandths / THOUSAND
    return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"


def _amount(resource: str, thousandths: int) -> str:
    if resource in ("memory", "ephemeral-storage"):
        return f"{thousandths / THOUSAND / GIB:.1f} GiB of {_NAMES[resource]}"
    return f"{thousandths / THOUSAND:g} {_NAMES.get(resource, resource)}"
