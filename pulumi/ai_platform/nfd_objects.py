"""Node feature discovery: workers report what hosts have, one master turns it into labels."""

from typing import Any

import yaml

from ai_platform import gpu_objects, names, pods
from ai_platform.gpu_objects import DISCOVERY, FEATURE_FILES
from ai_platform.manifest import Manifest
from ai_platform.settings import Settings

GROUP = "nfd.k8s-sigs.io"
WORKER = f"{DISCOVERY}-worker"
HOST_DIRECTORIES = {
    "boot": ("/boot", "/host-boot"),
    "os-release": ("/etc/os-release", "/host-etc/os-release"),
    "sys": ("/sys", "/host-sys"),
    "lib": ("/lib", "/host-lib"),
    "proc": ("/proc", "/host-proc"),
}


def objects(settings: Settings) -> list[Manifest]:
    """Everything but the custom resource definition, which stands first."""
    labels = names.labels(DISCOVERY)
    api = [
        ("", ["nodes"], ["get", "list", "watch", "patch", "update"]),
        (GROUP, ["nodefeatures"], ["get", "list", "watch", "create", "update", "delete"]),
        ("coordination.k8s.io", ["leases"], ["get", "create", "update"]),
    ]
    report = [("", ["nodes", "pods"], ["get"]), (GROUP, ["nodefeatures"], ["get", "create", "update"])]
    return [
        _config(labels),
        *gpu_objects.account(DISCOVERY, api, labels),
        *gpu_objects.account(WORKER, report, labels),
        master(settings),
        worker(settings),
    ]


def definition() -> Manifest:
    """NodeFeature, through which workers report; what they report is checked by the master."""
    schema: Manifest = {
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": names.metadata(f"nodefeatures.{GROUP}", labels=names.labels(DISCOVERY)),
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "NodeFeature",
                "listKind": "NodeFeatureList",
                "plural": "nodefeatures",
                "singular": "nodefeature",
            },
            "versions": [
                {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def _config(labels: dict[str, str]) -> Manifest:
    """Only what the platform selects by: PCI devices and what GPU feature discovery writes."""
    workers: dict[str, Any] = {
        "core": {"labelSources": ["pci", "local"], "sleepInterval": "60s"},
        "sources": {"pci": {"deviceClassWhitelist": ["0300", "0302"], "deviceLabelFields": ["vendor"]}},
    }
    masters = {"extraLabelNs": ["nvidia.com"], "enableTaints": False}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(DISCOVERY, names.GPU, labels=labels),
        "data": {
            "nfd-worker.conf": yaml.safe_dump(workers, sort_keys=False),
            "nfd-master.conf": yaml.safe_dump(masters, sort_keys=False),
        },
    }


def _container(settings: Settings, name: str, memory: str, env: list[Manifest]) -> Manifest:
    return {
        "name": name,
        "image": settings.images.reference(DISCOVERY),
        "imagePullPolicy": "IfNotPresent",
        "command": [f"nfd-{name}"],
        "args": [f"-config=/etc/nfd/nfd-{name}.conf"],
        "env": env,
        "ports": [{"name": "health", "containerPort": 8080}],
        "resources": pods.small("10m", "64Mi", memory),
        "securityContext": pods.container_security(),
        "readinessProbe": pods.http("/healthz", "health"),
        "livenessProbe": pods.http("/healthz", "health") | {"initialDelaySeconds": 30},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/nfd", "readOnly": True}],
    }


def _pod(account: str, container: Manifest, volumes: list[Manifest]) -> Manifest:
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "tolerations": pods.everywhere(),
        "securityContext": pods.pod_security(65534, 65534),
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": DISCOVERY}}, *volumes],
    }


def master(settings: Settings) -> Manifest:
    """One master: while it is away labels stay as they are."""
    labels = names.labels(DISCOVERY, "master")
    container = _container(settings, "master", "1Gi", [_field("NODE_NAME", "spec.nodeName")])
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.metadata(f"{DISCOVERY}-master", names.GPU, labels=labels),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": names.selector(DISCOVERY, "master")},
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(DISCOVERY, container, []) | {"priorityClassName": "system-cluster-critical"},
            },
        },
    }


def worker(settings: Settings) -> Manifest:
    """One worker on every node; it reads the host and writes nothing."""
    labels = names.labels(DISCOVERY, "worker")
    env = [
        _field("NODE_NAME", "spec.nodeName"),
        _field("POD_NAME", "metadata.name"),
        _field("POD_UID", "metadata.uid"),
        _field("KUBERNETES_NAMESPACE", "metadata.namespace"),
    ]
    container = _container(settings, "worker", "512Mi", env)
    places = HOST_DIRECTORIES | {"features": (FEATURE_FILES, FEATURE_FILES)}
    container["volumeMounts"] += [
        {"name": name, "mountPath": inside, "readOnly": True} for name, (_, inside) in places.items()
    ]
    volumes = [
        {"name": name, "hostPath": {"path": outside, "type": _type(name)}}
        for name, (outside, _) in places.items()
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": names.metadata(WORKER, names.GPU, labels=labels),
        "spec": {
            "selector": {"matchLabels": names.selector(DISCOVERY, "worker")},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(WORKER, container, volumes) | {"priorityClassName": "system-node-critical"},
            },
        },
    }


def _type(name: str) -> str:
    return {"os-release": "File", "features": "DirectoryOrCreate"}.get(name, "Directory")


def _field(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
