"""Objects of the API gateway: pods of two programs, Envoy and the gate that it asks about each request."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pulumi

from ai_platform import api_policy, consumers, names, pods, scripts
from ai_platform.api_settings import Api
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import MIB, NOBODY, Part
from ai_platform.namespaces import namespace_of
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings, VllmService
from ai_platform.vllm_objects import APP as VLLM
from ai_platform.vllm_objects import KEY as MODELS_SECRET
from ai_platform.vllm_objects import POD_INDEX
from bedplate import paths
from bedplate.api import envoy

APP, INSTANCE, OWNER = "gateway", "api", "platform"
IMAGES = {"gate": "python", "proxy": "envoy"}
KEYS, POLICY, CERTIFICATE, TRUST = "gateway-keys", "gateway-policy", "gateway-tls", "gateway-trust"
PROGRAMS = (  # of bedplate/api: what the gate is made of
    "__init__.py",
    "__main__.py",
    "accounts.py",
    "asked.py",
    "bridge.py",
    "gate.py",
    "identity.py",
    "ledger.py",
    "metrics.py",
    "policy.py",
    "refused.py",
    "routing.py",
    "server.py",
    "usage.py",
    "valkey.py",
)
THREADS = 2  # of the proxy
DRAIN_SECONDS = 120  # that answers under way get when a pod ends
GRACE_SECONDS = DRAIN_SECONDS + 30
# Of one pod: each request is held whole until the gate has seen it, twice where something is put into it.
PART_CPU, PART_MEMORY, PART_LIMIT = 1000, 512 * MIB, 2048 * MIB


def parts(settings: Settings) -> dict[str, Part]:
    """The gateway as the quota counts it; nothing where there is none. One more while pods are exchanged."""
    if settings.api is None:
        return {}
    count = settings.api.replicas + 1
    return {APP: Part(APP, IMAGES["proxy"], count, PART_CPU, PART_MEMORY, PART_LIMIT, names.GATEWAY)}


def labels() -> dict[str, str]:
    """Of everything of the gateway."""
    return names.labels(APP, INSTANCE, OWNER)


def programs() -> Manifest:
    """The gate's program; a changed one has another name, so pods are exchanged."""
    folder = paths.ROOT / "bedplate/api"
    texts = {name: (folder / name).read_text() for name in PROGRAMS}
    return scripts.config_map("gateway-programs", names.GATEWAY, texts, labels())


def proxy_config(settings: Settings, api: Api) -> Manifest:
    """What Envoy is told."""
    text = json.dumps(envoy.config(api_policy.proxy(settings, api)), separators=(",", ":"))
    return scripts.config_map("gateway-proxy", names.GATEWAY, {"envoy.json": text}, labels())


def policy(settings: Settings, api: Api) -> Manifest:
    """Who may use what. It keeps its name: pods follow its content without a restart."""
    text = json.dumps(api_policy.document(settings, api), indent=1)
    metadata = names.metadata(POLICY, names.GATEWAY, labels=labels())
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"policy.json": text}}


def keys(api: Api, secrets: Secrets) -> Manifest:
    """Keys of consumers, hashed before they leave this program. Followed without a restart, too."""
    wanted = [consumer.secret for consumer in api.consumers if consumer.secret]

    def render(values: list[str]) -> str:
        digests = {n: hashlib.sha256(v.encode()).hexdigest() for n, v in zip(wanted, values, strict=True)}
        return json.dumps(api_policy.keys(api, digests))

    text = pulumi.Output.all(*(secrets.value(name) for name in wanted)).apply(render)
    return _secret(KEYS, {"keys.json": text})


def certificate(secrets: Secrets) -> Manifest:
    """The gateway's key and certificate for what comes from outside."""
    bundle = secrets.value(CERTIFICATE)
    data = {"tls.crt": consumers.certificate(bundle), "tls.key": consumers.private_key(bundle)}
    return _secret(CERTIFICATE, data)


def trust(api: Api) -> Manifest:
    """Who vouches for the identity provider."""
    pem = api.issuer.authority if api.issuer else ""
    return scripts.config_map(TRUST, names.GATEWAY, {"issuer.pem": pem}, labels())


def _secret(name: str, data: Mapping[str, Any]) -> Manifest:
    metadata = names.metadata(name, names.GATEWAY, labels=labels())
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "stringData": dict(data),
    }


def addresses(service: VllmService, port: int) -> Manifest:
    """Every ready pod of a model by its own address: the proxy asks the one with the least to do."""
    selector = names.selector(VLLM, service.name)
    if service.multi_host:
        selector |= {POD_INDEX: "0"}
    name = f"{api_policy.backend(service)}-{api_policy.PODS}"
    ports = [{"name": "http", "port": port, "targetPort": "http"}]
    metadata = names.metadata(
        name, namespace_of(service), labels=names.labels(VLLM, service.name, service.owner)
    )
    spec = {"clusterIP": "None", "selector": selector, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def service(settings: Settings) -> Manifest:
    """Where programs of the cluster find the gateway."""
    ports = [
        {"name": "http", "port": settings.ports["model_gateway"], "targetPort": "inside"},
        {"name": "metrics", "port": settings.ports["model_gateway_metrics"], "targetPort": "metrics"},
    ]
    return _service(APP, {"ports": ports})


def outside(settings: Settings, api: Api) -> Manifest:
    """Where the gateways of the hosts find it: the same port of every node, over TLS."""
    port = {"name": "https", "port": settings.ports["model_gateway_tls"], "targetPort": "outside"}
    return _service("gateway-outside", {"type": "NodePort", "ports": [port | {"nodePort": api.outside}]})


def _service(name: str, spec: Manifest) -> Manifest:
    metadata = names.metadata(name, names.GATEWAY, labels=labels())
    selector = {"selector": names.selector(APP, INSTANCE)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec | selector}


def deployment(settings: Settings, api: Api, generation: str) -> Manifest:
    """The pods, exchanged one by one; each is given time for the answers that it is in the middle of."""
    spec: Manifest = {
        "serviceAccountName": APP,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": names.INTERACTIVE,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pods.pod_security(NOBODY, NOBODY, files=NOBODY),
        "topologySpreadConstraints": pods.apart(APP, INSTANCE),
        "containers": [_proxy(settings, api), _gate(settings)],
        "volumes": _volumes(settings, api),
    }
    annotations = {"bedplate.io/secret-generation": generation}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.metadata(APP, names.GATEWAY, labels=labels()),
        "spec": {
            "replicas": api.replicas,
            "revisionHistoryLimit": 3,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": names.selector(APP, INSTANCE)},
            "template": {"metadata": {"labels": labels(), "annotations": annotations}, "spec": spec},
        },
    }


def _proxy(settings: Settings, api: Api) -> Manifest:
    ports = [
        ("inside", settings.ports["model_gateway"]),
        ("metrics", settings.ports["model_gateway_metrics"]),
    ]
    mounts = {"proxy": api_policy.CONFIG, "log!": "/var/lib/gateway"}
    if api.outside:
        ports.append(("outside", settings.ports["model_gateway_tls"]))
        mounts["tls"] = api_policy.TLS
    if api.issuer and api.issuer.authority:
        mounts["trust"] = api_policy.TRUST
    key = {"secretKeyRef": {"name": MODELS_SECRET, "key": MODELS_SECRET}}
    own = {
        "command": ["envoy"],
        "args": envoy.arguments(f"{api_policy.CONFIG}/envoy.json", THREADS),
        "env": [{"name": api_policy.MODELS_KEY, "valueFrom": key}] if settings.vllm else [],
        "ports": [{"name": name, "containerPort": port} for name, port in ports],
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    }
    return _container(settings, "proxy", own, mounts, "/ready")


def _gate(settings: Settings) -> Manifest:
    cache = consumers.secret_name(consumers.CACHE, consumers.consumer("gateway"))
    own = {
        "command": ["python3", "-m", "bedplate.api", "serve"],
        "env": [
            {"name": "PYTHONPATH", "value": pods.SCRIPTS_PATH},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
        ],
        "envFrom": [{"secretRef": {"name": cache}}],
        # Longer than the proxy: what it lets end is still counted.
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS + 10}}},
    }
    mounts = {
        "programs": f"{pods.SCRIPTS_PATH}/bedplate/api",
        "policy": "/etc/gateway",
        "keys": "/etc/gateway-keys",
        "log!": "/var/lib/gateway",
    }
    return _container(settings, "gate", own, mounts, "/healthy")


def _container(
    settings: Settings, name: str, own: Manifest, mounts: Mapping[str, str], path: str
) -> Manifest:
    """Probes of both go through the proxy's listener of metrics: the gate listens on loopback only."""
    probe = {"httpGet": {"path": path, "port": settings.ports["model_gateway_metrics"]}}
    half = {
        "cpu": f"{PART_CPU // 2}m",
        "memory": f"{PART_MEMORY // MIB // 2}Mi",
        "ephemeral-storage": "512Mi",
    }
    most = {"cpu": str(THREADS), "memory": f"{PART_LIMIT // MIB // 2}Mi", "ephemeral-storage": "1Gi"}
    return {
        "name": name,
        "image": settings.images.reference(IMAGES[name]),
        "imagePullPolicy": "IfNotPresent",
        **own,
        "resources": {"requests": half, "limits": most},
        "securityContext": pods.container_security(),
        "volumeMounts": [
            {"name": n.rstrip("!"), "mountPath": p} | ({} if n.endswith("!") else {"readOnly": True})
            for n, p in mounts.items()
        ],
        "startupProbe": probe | {"periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": probe | {"periodSeconds": 5, "timeoutSeconds": 3},
        "livenessProbe": probe | {"periodSeconds": 20, "timeoutSeconds": 5, "failureThreshold": 3},
    }


def _volumes(settings: Settings, api: Api) -> list[Manifest]:
    found: list[Manifest] = [
        {"name": "programs", "configMap": {"name": programs()["metadata"]["name"]}},
        {"name": "proxy", "configMap": {"name": proxy_config(settings, api)["metadata"]["name"]}},
        {"name": "policy", "configMap": {"name": POLICY}},
        {"name": "keys", "secret": {"secretName": KEYS, "defaultMode": 0o440}},
        pods.scratch_volume("log", 512 * MIB),
    ]
    if api.outside:
        found.append({"name": "tls", "secret": {"secretName": CERTIFICATE, "defaultMode": 0o440}})
    if api.issuer and api.issuer.authority:
        found.append({"name": "trust", "configMap": {"name": trust(api)["metadata"]["name"]}})
    return found
