"""Quotas and limits per namespace, derived from what the environment runs; nobody writes them down."""

from dataclasses import dataclass

from ai_platform import (
    api_objects,
    backup_items,
    data_parts,
    dify_parts,
    log_parts,
    milvus_parts,
    monitoring_parts,
    names,
    sizing,
)
from ai_platform.manifest import Manifest
from ai_platform.namespaces import namespace_of
from ai_platform.settings import NodeGroup, Settings
from bedplate.capacity.models import GIB
from bedplate.units import quantity

SPARE_CPUS = 8  # for exporters, repairs and whatever a person starts by hand
SPARE_MEMORY = 32 * GIB
SPARE_PODS = 20
DEFAULT = {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "1Gi"}
DEFAULT_LIMIT = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "4Gi"}


@dataclass(frozen=True)
class Demand:
    """What the pods of a namespace ask for together; memory in bytes."""

    pods: int = 0
    gpus: int = 0
    cpus: int = 0
    memory: int = 0

    def __add__(self, other: "Demand") -> "Demand":
        return Demand(
            self.pods + other.pods,
            self.gpus + other.gpus,
            self.cpus + other.cpus,
            self.memory + other.memory,
        )


def pods(size: sizing.PodSize, count: int) -> Demand:
    """Demand of ``count`` pods of one size."""
    return Demand(count, size.gpus * count, size.cpus * count, size.memory * count)


def demands(settings: Settings) -> dict[str, Demand]:
    """Per namespace the most it is meant to use: services at their largest, batch all there is."""
    needed = {names.SERVING: Demand(), names.FABRIC: Demand()}
    for service in settings.vllm:
        size = sizing.gpu_pod(service.nodes, service.layout.tensor)
        needed[namespace_of(service)] += pods(size, service.max_replicas * service.layout.pipeline)
    for triton in settings.triton:
        needed[names.SERVING] += pods(sizing.triton_pod(triton), triton.max_replicas)
        built = sum(1 for model in triton.models if model.build)
        needed[names.SERVING] += pods(sizing.gpu_pod(triton.nodes, 1), built)
    needed[names.BATCH] = _everything(settings)
    for part in (
        *monitoring_parts.parts(settings).values(),
        *dify_parts.parts(settings).values(),
        *api_objects.parts(settings).values(),
        *data_parts.program_parts(settings).values(),
        *log_parts.parts(settings).values(),
        *milvus_parts.parts(settings).values(),
    ):
        whole = Demand(part.pods, 0, -(-part.pods * part.millicpu // 1000), part.pods * part.memory)
        needed[part.namespace] = needed.get(part.namespace, Demand()) + whole
    if settings.backups:  # a run and a drill of each item at once, and the look at the repository
        count = 2 * len(backup_items.items(settings)) + 1
        needed[names.BACKUP] = Demand(count, 0, count, count * GIB)
    return needed


def _everything(settings: Settings) -> Demand:
    """All GPU hosts together: batch work may fill them, because everything else may take them back."""
    hosts: dict[str, NodeGroup] = {}
    for group in settings.node_groups.values():
        if group.gpu:
            hosts |= dict.fromkeys(group.hosts, group)
    return Demand(
        pods=settings.gpus,
        gpus=settings.gpus,
        cpus=sum(group.cpus for group in hosts.values()),
        memory=sum(group.memory for group in hosts.values()),
    )


def quota(namespace: str, demand: Demand) -> Manifest:
    """The quota of one namespace."""
    return _quota(
        "quota",
        namespace,
        {
            "hard": {
                "pods": str(demand.pods + SPARE_PODS),
                "requests.cpu": str(demand.cpus + SPARE_CPUS),
                "requests.memory": quantity(demand.memory + SPARE_MEMORY),
                f"requests.{names.GPU_RESOURCE}": str(demand.gpus),
                "services.nodeports": "1" if namespace == names.GATEWAY else "0",
                "services.loadbalancers": "0",
            }
        },
    )


def no_interactive(namespace: str) -> Manifest:
    """Work that gives way cannot call itself interactive: no pod of that priority fits this namespace."""
    scope = {"scopeName": "PriorityClass", "operator": "In", "values": [names.INTERACTIVE]}
    return _quota(
        "no-interactive", namespace, {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [scope]}}
    )


def _quota(name: str, namespace: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": names.metadata(name, namespace, labels=names.labels("guardrails")),
        "spec": spec,
    }


def limit_range(namespace: str, cpus: int, memory: int) -> Manifest:
    """Defaults for containers that name no size, and no container larger than the largest host."""
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": names.metadata("limits", namespace, labels=names.labels("guardrails")),
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "defaultRequest": dict(DEFAULT),
                    "default": dict(DEFAULT_LIMIT),
                    "max": {"cpu": str(cpus), "memory": quantity(memory)},
                }
            ]
        },
    }
