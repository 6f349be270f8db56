"""Objects of one model that vLLM serves. One host: a Deployment. Several: a StatefulSet per replica."""

from collections.abc import Sequence

from ai_platform import names, pods, scripts, sizing
from ai_platform.api_policy import also_known_as
from ai_platform.manifest import Manifest
from ai_platform.namespaces import namespace_of, on_host_network
from ai_platform.settings import Settings, VllmService
from bedplate.capacity.models import GIB, Model

APP = "vllm"
IMAGE = "vllm"
KEY = "vllm-api-key"  # name of the Secret, of its key and of the stack's secret
USER, GROUP = 2000, 0  # the image's own user; its files belong to group 0
HOME = "/home/vllm"
DRAIN_SECONDS = 300
GRACE_SECONDS = DRAIN_SECONDS + 30
POD_INDEX = "apps.kubernetes.io/pod-index"


def model_path(model: Model) -> str:
    """Where a model lies inside a pod: the model store keeps one directory per revision."""
    return f"{pods.MODELS_PATH}/{model.repository}/{model.revision}"


def programs(namespace: str) -> Manifest:
    """The programs that vLLM pods run beside the server."""
    return scripts.config_map(
        "vllm-programs", namespace, scripts.read("drain.py", "group.py"), names.labels(APP)
    )


def arguments(service: VllmService, port: int, also: Sequence[str] = ()) -> list[str]:
    """What `vllm serve` is told. The model answers to its name, its service's, and those that the
    gateway gives it (``also``)."""
    parallel = [f"--tensor-parallel-size={service.layout.tensor}"]
    if service.multi_host:
        parallel += [
            f"--pipeline-parallel-size={service.layout.pipeline}",
            "--distributed-executor-backend=mp",
        ]
    return [
        model_path(service.model),
        "--served-model-name",
        service.name,
        service.model.id,
        *also,
        f"--port={port}",
        *parallel,
        f"--max-model-len={service.context}",
        f"--gpu-memory-utilization={service.gpu_memory}",
        *service.model.arguments,
    ]


def offline_environment() -> dict[str, str]:
    """Nothing is fetched and nothing is told; limits of workloads.md 4.1."""
    return {
        "HOME": HOME,
        "VLLM_CACHE_ROOT": f"{HOME}/.cache/vllm",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_MAX_N_SEQUENCES": "64",
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
    }


def fabric_environment(service: VllmService) -> dict[str, str]:
    """How ranks on different hosts find each other; empty when they are on one host."""
    if not service.multi_host:
        return {}
    nodes = service.nodes
    interface = nodes.interface if on_host_network(service) else "eth0"
    found = {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface}
    if nodes.fabric == "ethernet":
        return found | {"NCCL_IB_DISABLE": "1"}
    return found | ({"NCCL_IB_HCA": ",".join(nodes.hcas)} if nodes.hcas else {})


def environment(service: VllmService) -> list[Manifest]:
    """The container's environment, the key by reference."""
    plain = offline_environment() | fabric_environment(service) | dict(service.model.environment)
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        {"name": "VLLM_HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": KEY, "key": KEY}}},
    ]


def start(service: VllmService, settings: Settings) -> sizing.Start:
    """How long a pod takes to answer, and how long it may."""
    return sizing.model_start(service.model, settings.pace, settings.images.size(IMAGE))


def deployment(service: VllmService, settings: Settings, generation: str) -> Manifest:
    """A model that fits one host. Pods are replaced one by one without a spare: GPUs for a spare are rarely
    free."""
    begin = start(service, settings)
    spec: Manifest = {
        "selector": {"matchLabels": names.selector(APP, service.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "progressDeadlineSeconds": begin.budget + GRACE_SECONDS,
        "revisionHistoryLimit": 3,
        "template": _template(service, settings, generation),
    }
    if service.max_replicas == service.replicas:  # otherwise the autoscaler owns the number
        spec["replicas"] = service.replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(service, f"vllm-{service.name}"),
        "spec": spec,
    }


def group(service: VllmService, settings: Settings, replica: int, generation: str) -> Manifest:
    """One replica over several hosts. Its pods start together, and a change replaces all of them: a group
    in which one rank differs cannot form."""
    name = group_name(service, replica)
    labels = {"bedplate.io/group": str(replica)}
    template = _template(service, settings, generation, group=name)
    template["metadata"]["labels"] |= labels
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _metadata(service, name),
        "spec": {
            "serviceName": name,
            "replicas": service.layout.pipeline,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": names.selector(APP, service.name) | labels},
            "template": template,
        },
    }


def group_name(service: VllmService, replica: int) -> str:
    """Name of a group's StatefulSet and of its headless Service."""
    return f"vllm-{service.name}-{replica}"


def _template(service: VllmService, settings: Settings, generation: str, *, group: str = "") -> Manifest:
    size = sizing.gpu_pod(service.nodes, service.layout.tensor)
    whole = service.layout.tensor == service.nodes.gpus_per_host
    affinity: Manifest = {"nodeAffinity": pods.on_group(service.nodes)}
    if not whole:
        affinity["podAffinity"] = pods.beside_others()
    spec: Manifest = {
        "serviceAccountName": APP,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "runtimeClassName": names.RUNTIME_CLASS,
        "priorityClassName": names.INTERACTIVE,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pods.pod_security(USER, GROUP),
        "tolerations": pods.gpu_toleration(),
        "affinity": affinity,
        "topologySpreadConstraints": pods.apart(APP, service.name),
        "containers": [_container(service, settings, size, group)],
        "volumes": [
            pods.models_volume(),
            pods.memory_volume(size),
            pods.scratch_volume("home", size.scratch - 2 * GIB),
            pods.scratch_volume("tmp", GIB),
            {"name": "programs", "configMap": {"name": programs(namespace_of(service))["metadata"]["name"]}},
        ],
    }
    if service.multi_host:
        anti = {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": names.selector(APP, service.name)},
        }
        affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [anti]}
        del spec["topologySpreadConstraints"]
        if on_host_network(service):
            spec |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    return {
        "metadata": {
            "labels": names.labels(APP, service.name, service.owner)
            | {pods.SHARE: "whole" if whole else "part"},
            "annotations": pods.start_annotations(start(service, settings))
            | {"bedplate.io/secret-generation": generation},
        },
        "spec": spec,
    }


def _container(service: VllmService, settings: Settings, size: sizing.PodSize, group: str) -> Manifest:
    port = settings.ports["vllm"]
    env, health = environment(service), pods.http("/health", "http")
    command = ["vllm", "serve"]
    if group:
        command = ["python3", f"{pods.SCRIPTS_PATH}/group.py", "start"]
        health = {"exec": {"command": ["python3", f"{pods.SCRIPTS_PATH}/group.py", "alive"]}}
        env = env + _rank(service, group, settings)
    rdma = {names.RDMA_RESOURCE: 1} if service.multi_host and service.nodes.fabric != "ethernet" else None
    drain = ["python3", f"{pods.SCRIPTS_PATH}/drain.py", str(port), str(DRAIN_SECONDS)]
    return {
        "name": APP,
        "image": settings.images.reference(IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "args": arguments(service, port, also_known_as(settings, service)),
        "env": env,
        "ports": [{"name": "http", "containerPort": port}],
        "resources": pods.resources(size, rdma),
        "securityContext": pods.container_security(),
        "lifecycle": {"preStop": {"exec": {"command": drain}}},
        "volumeMounts": [
            pods.models_mount(),
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the mount, not a file in it
            {"name": "home", "mountPath": HOME},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - as above
            {"name": "programs", "mountPath": pods.SCRIPTS_PATH, "readOnly": True},
        ],
        **pods.probes(health, start(service, settings)),
    }


def _rank(service: VllmService, group: str, settings: Settings) -> list[Manifest]:
    """What group.py reads: this pod's rank, the group's size and its first member's name."""
    master = f"{group}-0.{group}.{namespace_of(service)}.svc"
    rank = {"fieldRef": {"fieldPath": f"metadata.labels['{POD_INDEX}']"}}
    plain = {
        "GROUP_NODES": str(service.layout.pipeline),
        "GROUP_MASTER": master,
        "GROUP_PORT": str(settings.ports["vllm_group"]),
        "HTTP_PORT": str(settings.ports["vllm"]),
    }
    return [
        {"name": "GROUP_RANK", "valueFrom": rank},
        *({"name": name, "value": value} for name, value in plain.items()),
    ]


def service(served: VllmService, port: int) -> Manifest:
    """The address of a model. Of a group only the leader answers HTTP, and the leader is pod 0."""
    selector = names.selector(APP, served.name)
    if served.multi_host:
        selector |= {POD_INDEX: "0"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(served, f"vllm-{served.name}"),
        "spec": {"selector": selector, "ports": [{"name": "http", "port": port, "targetPort": "http"}]},
    }


def headless(served: VllmService, replica: int, port: int) -> Manifest:
    """Names of a group's pods, known before they are ready: ranks have to meet in order to become ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(served, group_name(served, replica)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": names.selector(APP, served.name) | {"bedplate.io/group": str(replica)},
            "ports": [{"name": "group", "port": port}],
        },
    }


def _metadata(service: VllmService, name: str) -> Manifest:
    return names.metadata(name, namespace_of(service), labels=names.labels(APP, service.name, service.owner))
