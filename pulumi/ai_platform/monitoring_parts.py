"""The programs that watch: how many, how large, where, and what their pods have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ai_platform import names, pods
from ai_platform.cluster_rights import Rule, cluster_rights
from ai_platform.manifest import Manifest
from ai_platform.settings import Settings, Watch
from bedplate.capacity.models import GIB
from bedplate.monitoring import scrape
from bedplate.units import quantity

INSTANCE = "monitoring"
OWNER = "platform"
MIB = 2**20
NOBODY = 65534
CLUSTER_CRITICAL = "system-cluster-critical"
NODE_CRITICAL = "system-node-critical"
# Prometheus: of itself, and for each watched host. A host with eight GPUs took 3.4 MiB in its first minutes
# (scripts/bench_monitoring.py); the rest is for the hours that lie in memory and for queries.
PROMETHEUS_BASE, PROMETHEUS_HOST = 512 * MIB, 12 * MIB


@dataclass(frozen=True)
class Part:
    """One program. Sizes are those of one pod; memory in bytes, ``limit`` the most that it may take."""

    app: str
    image: str
    pods: int
    millicpu: int
    memory: int
    limit: int
    namespace: str = names.MONITORING
    user: int = NOBODY
    instance: str = INSTANCE

    @property
    def resources(self) -> Manifest:
        """Requests and limits of the container."""
        wanted = {"cpu": f"{self.millicpu}m", "memory": quantity(self.memory), "ephemeral-storage": "64Mi"}
        most = {"cpu": str(max(1, 4 * self.millicpu // 1000)), "memory": quantity(self.limit)}
        return {"requests": wanted, "limits": most | {"ephemeral-storage": "1Gi"}}

    @property
    def labels(self) -> dict[str, str]:
        """Labels of everything that belongs to the program."""
        return names.labels(self.app, self.instance, OWNER)

    @property
    def selector(self) -> dict[str, str]:
        """What selects its pods."""
        return names.selector(self.app, self.instance)


def watch(settings: Settings) -> Watch:
    """What the environment is watched with; only asked where something watches."""
    assert settings.watch is not None
    return settings.watch


def parts(settings: Settings) -> dict[str, Part]:
    """Every program by its app; nothing where nothing watches."""
    if settings.watch is None:
        return {}
    memory = PROMETHEUS_BASE + PROMETHEUS_HOST * settings.watch.watched_hosts
    found = [
        Part(scrape.PROMETHEUS, "prometheus", scrape.PAIR, 500, memory, 4 * memory),
        Part(scrape.ALERTMANAGER, "alertmanager", settings.watch.alertmanagers, 50, 64 * MIB, 256 * MIB),
        Part("grafana", "grafana", 1, 100, 256 * MIB, GIB, user=472),
        Part(scrape.BLACKBOX, "blackbox-exporter", 2, 50, 64 * MIB, 256 * MIB),
        Part(scrape.STATE, "kube-state-metrics", 1, 50, 128 * MIB, GIB),
        Part("node-exporter", "node-exporter", settings.nodes, 50, 64 * MIB, 256 * MIB, names.HOSTS),
        # Root, because kubelet's socket that says whose a GPU is belongs to root; nothing else of it.
        Part(scrape.DCGM, "dcgm-exporter", settings.gpu_nodes, 100, 256 * MIB, GIB, names.HOSTS, user=0),
    ]
    for kind in sorted({database.kind for database in settings.watch.databases}):
        count = sum(database.kind == kind for database in settings.watch.databases)
        found.append(Part(f"{kind}-exporter", f"{kind}-exporter", count, 50, 64 * MIB, 256 * MIB))
    return {part.app: part for part in found}


def container(
    part: Part,
    settings: Settings,
    args: Sequence[str],
    ports: Mapping[str, int],
    mounts: Mapping[str, str],
    *,
    health: str = "/-/healthy",
    ready: str = "",
    startup: int = 30,
) -> Manifest:
    """The part's container. ``ports`` and ``mounts`` by name; the first port answers probes, a mount whose
    name ends with ! is written to. ``startup`` probes, ten seconds apart, may fail until it first answers."""
    probe = next(iter(ports))
    return {
        "name": part.app,
        "image": settings.images.reference(part.image),
        "imagePullPolicy": "IfNotPresent",
        "args": list(args),
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "resources": part.resources,
        "securityContext": pods.container_security(),
        "volumeMounts": [
            {"name": name.rstrip("!"), "mountPath": path} | ({} if name.endswith("!") else {"readOnly": True})
            for name, path in mounts.items()
        ],
        "startupProbe": pods.http(ready or health, probe)
        | {"periodSeconds": 10, "failureThreshold": startup},
        "readinessProbe": pods.http(ready or health, probe) | {"periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": pods.http(health, probe) | {"periodSeconds": 30, "timeoutSeconds": 10},
    }


def pod(part: Part, made: Manifest, volumes: Sequence[Manifest], *, token: bool = False) -> Manifest:
    """The part's pod. It tolerates the taints of every host: what watches must find a place when half of the
    hosts are gone."""
    return {
        "serviceAccountName": part.app,
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "priorityClassName": CLUSTER_CRITICAL,
        "tolerations": pods.everywhere(),
        "securityContext": pods.pod_security(part.user, part.user, files=part.user),
        "topologySpreadConstraints": pods.apart(part.app, part.instance),
        "containers": [made],
        "volumes": list(volumes),
    }


def template(part: Part, spec: Manifest, **annotations: str) -> Manifest:
    """A pod template with the part's labels."""
    metadata: Manifest = {"labels": part.labels}
    return {"metadata": metadata | ({"annotations": annotations} if annotations else {}), "spec": spec}


def deployment(part: Part, spec: Manifest, **annotations: str) -> Manifest:
    """The part as interchangeable pods, replaced one by one."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.metadata(part.app, part.namespace, labels=part.labels),
        "spec": {
            "replicas": part.pods,
            "revisionHistoryLimit": 3,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": part.selector},
            "template": template(part, spec, **annotations),
        },
    }


def service(
    part: Part, ports: Mapping[str, int], *, headless: bool = False, sticky: bool = False
) -> Manifest:
    """The part's address. Headless: every pod has a name, before it is ready, too."""
    spec: Manifest = {
        "selector": part.selector,
        "ports": [{"name": name, "port": port, "targetPort": name} for name, port in ports.items()],
    }
    if headless:
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    if sticky:
        spec["sessionAffinity"] = "ClientIP"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.metadata(part.app, part.namespace, labels=part.labels),
        "spec": spec,
    }


def account(part: Part) -> Manifest:
    """The part's identity; its pods get a token only where they ask for one."""
    return pods.service_account(part.app, part.namespace, part.labels)


def rights(part: Part, rules: Sequence[Rule]) -> list[Manifest]:
    """What the part may read of the whole cluster."""
    return cluster_rights(part.app, part.namespace, rules, part.labels)


def from_config(name: str, source: Manifest) -> Manifest:
    """A volume of a ConfigMap's files."""
    return {"name": name, "configMap": {"name": source["metadata"]["name"]}}


def tmp(size: int = 64 * MIB) -> Manifest:
    """Somewhere to write for programs that want it."""
    return pods.scratch_volume("tmp", size)
