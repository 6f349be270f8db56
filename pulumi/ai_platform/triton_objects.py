"""Objects of one Triton: its repository, its pods, the jobs that build its engines."""

import hashlib
import json
import shlex

from ai_platform import names, pods, scripts, sizing
from ai_platform.manifest import Manifest
from ai_platform.settings import Settings, TritonModel, TritonService
from ai_platform.storage_objects import SHARED_CLAIM
from ai_platform.triton_repository import build_command, engine_directory, repository
from bedplate.capacity.fit import load_seconds
from bedplate.capacity.models import GIB

APP = "triton"
KEY = "triton-admin-key"
USER = 1000  # triton-server in the image
REPOSITORY = "/repository"
EXIT_SECONDS = 60  # for requests that are under way
GRACE_SECONDS = EXIT_SECONDS + 30
FORGET_SECONDS = 5  # until every proxy has dropped the endpoint
LOAD_SECONDS = 60  # of an ONNX model or a finished engine (estimate)
ADMINISTRATION = "model-repository,shared-memory,model-config,statistics,trace,logging"


def image(service: TritonService) -> str:
    """The published image that has the service's back ends."""
    return "triton-vllm" if _serves_vllm(service) else "triton"


def repository_files(service: TritonService, settings: Settings) -> Manifest:
    """The repository's text as a ConfigMap: a key per file, and layout.json that says which path each has."""
    built = repository(service, settings)
    keys = {path: path.replace("/", "--") for path in built.files}
    layout = json.dumps({"files": keys, "links": dict(built.links)}, indent=2)
    data = {keys[path]: text for path, text in built.files.items()}
    data |= {"layout.json": layout} | scripts.read("assemble.py")
    return scripts.config_map(
        f"triton-{service.name}", names.SERVING, data, names.labels(APP, service.name, service.owner)
    )


def arguments(service: TritonService, settings: Settings) -> list[str]:
    """Models are loaded once, all of them, exactly as configured; administration needs a key."""
    ports = settings.ports
    restricted = f"{ADMINISTRATION}:admin-key=$(TRITON_ADMIN_KEY)"
    return [
        f"--model-repository={REPOSITORY}",
        "--model-control-mode=none",
        "--exit-on-error=true",
        "--strict-readiness=true",
        # The vLLM back end describes its own inputs and outputs.
        *([] if _serves_vllm(service) else ["--disable-auto-complete-config"]),
        f"--exit-timeout-secs={EXIT_SECONDS}",
        f"--http-port={ports['triton_http']}",
        f"--grpc-port={ports['triton_grpc']}",
        f"--metrics-port={ports['triton_metrics']}",
        f"--http-restricted-api={restricted}",
        f"--grpc-restricted-protocol={restricted}",
        "--grpc-max-response-pool-size=64",
        "--metrics-config=histogram_latencies=true",
        "--log-format=ISO8601",
    ]


def start(service: TritonService, settings: Settings) -> sizing.Start:
    """As long as its slowest model takes."""
    loads = [LOAD_SECONDS]
    loads += [load_seconds(m.model, settings.pace.load) for m in service.models if m.model is not None]
    return sizing.start(max(loads), settings.pace, settings.images.size(image(service)))


def deployment(service: TritonService, settings: Settings, generation: str) -> Manifest:
    """At least two replicas, replaced one by one."""
    begin = start(service, settings)
    spec: Manifest = {
        "selector": {"matchLabels": names.selector(APP, service.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "progressDeadlineSeconds": begin.budget + GRACE_SECONDS,
        "revisionHistoryLimit": 3,
        "template": {
            "metadata": {
                "labels": names.labels(APP, service.name, service.owner) | {pods.SHARE: "part"},
                "annotations": pods.start_annotations(begin) | {"bedplate.io/secret-generation": generation},
            },
            "spec": _pod(service, settings, begin),
        },
    }
    if service.max_replicas == service.replicas:
        spec["replicas"] = service.replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(service),
        "spec": spec,
    }


def _pod(service: TritonService, settings: Settings, begin: sizing.Start) -> Manifest:
    files = repository_files(service, settings)["metadata"]["name"]
    size = sizing.triton_pod(service)
    spec: Manifest = {
        "serviceAccountName": APP,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": names.INTERACTIVE,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pods.pod_security(USER, USER, files=USER),
        "tolerations": pods.gpu_toleration(),
        "affinity": {
            "nodeAffinity": pods.on_group(service.nodes),
            "podAffinity": pods.beside_others(),
        },
        "topologySpreadConstraints": pods.apart(APP, service.name),
        "initContainers": [_assemble(service, settings)],
        "containers": [_server(service, settings, size, begin)],
        "volumes": [
            pods.models_volume(),
            pods.memory_volume(size),
            pods.scratch_volume("repository", GIB),
            pods.scratch_volume("home", size.scratch - 4 * GIB),
            pods.scratch_volume("tmp", GIB),
            {"name": "files", "configMap": {"name": files}},
        ],
    }
    if service.gpus:
        spec["runtimeClassName"] = names.RUNTIME_CLASS
    if any(model.build for model in service.models):
        spec["volumes"].append(
            {"name": "shared", "persistentVolumeClaim": {"claimName": SHARED_CLAIM, "readOnly": True}}
        )
    return spec


def _weights(service: TritonService) -> list[Manifest]:
    built = any(model.build for model in service.models)
    shared = [{"name": "shared", "mountPath": "/shared", "readOnly": True}] if built else []
    return [pods.models_mount(), *shared]


def _assemble(service: TritonService, settings: Settings) -> Manifest:
    return {
        "name": "assemble",
        "image": settings.images.reference(image(service)),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "/files/assemble.py", "/files", REPOSITORY],
        "resources": pods.small("100m", "64Mi", "256Mi"),
        "securityContext": pods.container_security(),
        "volumeMounts": [
            {"name": "files", "mountPath": "/files", "readOnly": True},
            {"name": "repository", "mountPath": REPOSITORY},
            *_weights(service),
        ],
    }


def _server(
    service: TritonService, settings: Settings, size: sizing.PodSize, begin: sizing.Start
) -> Manifest:
    ports = settings.ports
    key = {"name": "TRITON_ADMIN_KEY", "valueFrom": {"secretKeyRef": {"name": KEY, "key": KEY}}}
    offline = {"HOME": "/home/triton-server", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    container = {
        "name": APP,
        "image": settings.images.reference(image(service)),
        "imagePullPolicy": "IfNotPresent",
        "command": ["tritonserver"],
        "args": arguments(service, settings),
        "env": [*({"name": name, "value": value} for name, value in offline.items()), key],
        "ports": [
            {"name": "http", "containerPort": ports["triton_http"]},
            {"name": "grpc", "containerPort": ports["triton_grpc"]},
            {"name": "metrics", "containerPort": ports["triton_metrics"]},
        ],
        "resources": pods.resources(size),
        "securityContext": pods.container_security(),
        "lifecycle": {"preStop": {"sleep": {"seconds": FORGET_SECONDS}}},
        "volumeMounts": [
            {"name": "repository", "mountPath": REPOSITORY, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the mount, not a file in it
            {"name": "home", "mountPath": "/home/triton-server"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - as above
            *_weights(service),
        ],
    }
    ready = pods.http("/v2/health/ready", "http")
    probes = pods.probes(ready, begin)
    probes["livenessProbe"] |= pods.http("/v2/health/live", "http")
    return container | probes


def service(served: TritonService, settings: Settings) -> Manifest:
    """Addresses for requests and for metrics."""
    ports = settings.ports
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(served),
        "spec": {
            "selector": names.selector(APP, served.name),
            "ports": [
                {"name": name, "port": ports[f"triton_{name}"], "targetPort": name}
                for name in ("http", "grpc", "metrics")
            ],
        },
    }


def builds(service: TritonService, settings: Settings) -> list[Manifest]:
    """A job per engine. Its name says what it builds, so another release, GPU or precision is another job."""
    return [_build(model, service, settings) for model in service.models if model.build]


def _build(model: TritonModel, service: TritonService, settings: Settings) -> Manifest:
    directory = engine_directory(model, service, settings)
    command = build_command(model, service, settings)
    plan = shlex.quote(f"{directory}/model.plan")
    script = (
        f"test -s {plan} && exit 0\nmkdir -p {shlex.quote(directory)}\n"
        f"{shlex.join(command)}\nmv {shlex.quote(directory + '/model.plan.part')} {plan}\n"
    )
    name = f"build-{service.name}-{model.name}".lower().replace("_", "-").replace(".", "-")[:50]
    digest = hashlib.sha256(script.encode()).hexdigest()[:8]
    size = sizing.gpu_pod(service.nodes, 1)
    labels = names.labels("triton-build", service.name, service.owner)
    container: Manifest = {
        "name": "build",
        "image": settings.images.reference("triton"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-euc", script],
        "resources": pods.resources(size),
        "securityContext": pods.container_security(),
        "volumeMounts": [
            pods.models_mount(),
            {"name": "shared", "mountPath": "/shared"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the mount, not a file in it
        ],
    }
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": APP,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "runtimeClassName": names.RUNTIME_CLASS,
        "priorityClassName": names.INTERACTIVE,  # the service waits for it
        "securityContext": pods.pod_security(USER, USER, files=USER),
        "tolerations": pods.gpu_toleration(),
        "affinity": {"nodeAffinity": pods.on_group(service.nodes)},
        "containers": [container],
        "volumes": [
            pods.models_volume(),
            {"name": "shared", "persistentVolumeClaim": {"claimName": SHARED_CLAIM}},
            pods.scratch_volume("tmp", 8 * GIB),
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": names.metadata(f"{name}-{digest}", names.SERVING, labels=labels),
        "spec": {"backoffLimit": 2, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def metadata(service: TritonService) -> Manifest:
    """Everything of one Triton has its name."""
    return names.metadata(
        f"triton-{service.name}", names.SERVING, labels=names.labels(APP, service.name, service.owner)
    )


def _serves_vllm(service: TritonService) -> bool:
    return any(model.backend == "vllm" for model in service.models)
