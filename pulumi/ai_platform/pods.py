"""Pieces that pods of several components share: security, sizes, places, volumes, probes."""

from collections.abc import Iterable

from ai_platform import names
from ai_platform.manifest import Manifest
from ai_platform.settings import NodeGroup
from ai_platform.sizing import PROBE_PERIOD, PodSize, Start
from bedplate.units import quantity

MODELS_CLAIM = "models"
MODELS_PATH = "/models"
SCRIPTS_PATH = "/opt/bedplate"
SHARE = "bedplate.io/gpu-share"  # part: other pods fit beside it; whole: it has the host to itself


def pod_security(user: int, group: int, *, files: int | None = None) -> Manifest:
    """Pod Security `restricted`; ``files`` is the group that writes volumes."""
    security: Manifest = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return security | ({"fsGroup": files, "fsGroupChangePolicy": "OnRootMismatch"} if files else {})


def container_security() -> Manifest:
    """No privilege, no capability, nothing to write but volumes."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(size: PodSize, extra: dict[str, int] | None = None) -> Manifest:
    """Requests equal limits: a served model is never short of what it was promised."""
    amounts = {
        "cpu": str(size.cpus),
        "memory": quantity(size.memory),
        "ephemeral-storage": quantity(size.scratch),
    }
    if size.gpus:
        amounts[names.GPU_RESOURCE] = str(size.gpus)
    amounts |= {name: str(count) for name, count in (extra or {}).items()}
    return {"requests": dict(amounts), "limits": dict(amounts)}


def small(cpu: str, memory: str, memory_limit: str) -> Manifest:
    """Resources of a helper that is not worth a size of its own."""
    return {
        "requests": {"cpu": cpu, "memory": memory, "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "1", "memory": memory_limit, "ephemeral-storage": "1Gi"},
    }


def on_group(nodes: NodeGroup) -> Manifest:
    """Only on hosts of the group: by GPU product where that is exact, otherwise by host name."""
    if nodes.gpu and nodes.product_is_exact:
        return _required(names.GPU_PRODUCT, [nodes.gpu.product])
    return on_hosts(nodes.hosts)


def on_hosts(hosts: Iterable[str]) -> Manifest:
    """Only on these hosts."""
    return _required("kubernetes.io/hostname", list(hosts))


def _required(label: str, values: list[str]) -> Manifest:
    term = {"key": label, "operator": "In", "values": values}
    return {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [term]}]
        }
    }


def beside_others() -> Manifest:
    """Pods that take part of a host prefer hosts that are already shared, so that whole hosts stay whole."""
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {SHARE: "part"}},
        "namespaces": [names.SERVING, names.BATCH],
    }
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def apart(app: str, instance: str) -> list[Manifest]:
    """Pods of one instance spread over hosts as far as there are hosts."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": names.selector(app, instance)},
        }
    ]


def gpu_toleration() -> list[Manifest]:
    """GPU hosts keep everybody else away."""
    return [{"key": names.GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}]


def everywhere() -> list[Manifest]:
    """For helpers that run on any node, the control plane too."""
    return [
        *gpu_toleration(),
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
    ]


def models_volume() -> Manifest:
    """The host's model store, read only."""
    return {"name": "models", "persistentVolumeClaim": {"claimName": MODELS_CLAIM, "readOnly": True}}


def models_mount() -> Manifest:
    """Where a container finds the model store."""
    return {"name": "models", "mountPath": MODELS_PATH, "readOnly": True}


def memory_volume(size: PodSize) -> Manifest:
    """Shared memory, which counts against the pod's memory."""
    return {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": quantity(size.shared_memory)}}


def scratch_volume(name: str, size: int) -> Manifest:
    """A directory that lives as long as the pod."""
    return {"name": name, "emptyDir": {"sizeLimit": quantity(size)}}


def start_annotations(start: Start) -> dict[str, str]:
    """How long the pod is expected to take until it answers; the rehearsal makes it take so long."""
    return {names.START_SECONDS: str(start.seconds)}


def probes(action: Manifest, start: Start, ready: Manifest | None = None) -> Manifest:
    """Start-up as patient as loading needs, then readiness and liveness. vLLM's /health may take seconds when
    busy, so timeouts are long: a restart costs more than a late answer."""
    return {
        "startupProbe": action
        | {"periodSeconds": PROBE_PERIOD, "timeoutSeconds": 10}
        | {"failureThreshold": start.failures},
        "readinessProbe": (ready or action)
        | {"periodSeconds": PROBE_PERIOD, "timeoutSeconds": 10, "failureThreshold": 3},
        "livenessProbe": action | {"periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 6},
    }


def http(path: str, port: str) -> Manifest:
    """Probe by HTTP at a named port."""
    return {"httpGet": {"path": path, "port": port}}


def service_account(name: str, namespace: str, labels: dict[str, str]) -> Manifest:
    """An identity of its own that cannot reach the API server."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": names.metadata(name, namespace, labels=labels),
        "automountServiceAccountToken": False,
    }
