"""Objects of storage: classes, volumes that exist on every host, discovery of those that exist on one."""

import json

from ai_platform import daemons, names, pods
from ai_platform.cluster_rights import Rule, cluster_rights
from ai_platform.manifest import Manifest
from ai_platform.namespaces import namespaces
from ai_platform.settings import Settings, SharedFiles
from bedplate.units import quantity

DISCOVERY = "local-volumes"
VOLUMES = "/srv/{tier}/volumes"
SHARED_CLAIM = "shared-files"
MODEL_STORE_SIZE = "1Ti"  # nominal: nobody enforces it, and a claim must say something
READERS = (names.SERVING, names.FABRIC, names.BATCH)
WRITERS = (names.SERVING, names.BATCH)


def class_name(tier: str) -> str:
    """StorageClass of a tier."""
    return f"tier-{tier}"


def storage_class(tier: str) -> Manifest:
    """Local volumes of a tier. Bound only when a pod is placed, so that the volume is where the pod's GPUs
    are."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": names.metadata(class_name(tier), labels=names.labels("storage")),
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }


def claims(settings: Settings) -> list[tuple[Manifest, Manifest]]:
    """Volumes bound to one claim each, by name: the model store per namespace that reads it, shared files."""
    spaces = [space.name for space in namespaces(settings)]
    pairs = [model_store(settings.model_store, name) for name in READERS if name in spaces]
    if settings.shared_files:
        pairs += [shared_files(settings.shared_files, name) for name in WRITERS]
    return pairs


def model_store(path: str, namespace: str) -> tuple[Manifest, Manifest]:
    """The model store holds the same files on every GPU host, so one read-only volume stands for all of
    them: its node affinity is every GPU host, and whichever host a pod lands on mounts its own copy."""
    has_gpu = {"key": names.GPU_PRODUCT, "operator": "Exists"}
    source: Manifest = {
        "local": {"path": path},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [has_gpu]}]}},
    }
    return _pair(pods.MODELS_CLAIM, namespace, source, MODEL_STORE_SIZE, "ReadOnlyMany")


def shared_files(shared: SharedFiles, namespace: str) -> tuple[Manifest, Manifest]:
    """One export, one directory of it per namespace."""
    source = {
        "nfs": {"server": shared.server, "path": f"{shared.path.rstrip('/')}/{namespace}"},
        "mountOptions": ["nfsvers=4.2", "hard", "noatime"],
    }
    return _pair(SHARED_CLAIM, namespace, source, quantity(shared.capacity), "ReadWriteMany")


def _pair(name: str, namespace: str, source: Manifest, size: str, mode: str) -> tuple[Manifest, Manifest]:
    labels = names.labels("storage")
    volume: Manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": names.metadata(f"{name}-{namespace}", labels=labels),
        "spec": {
            "capacity": {"storage": size},
            "accessModes": [mode],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": namespace, "name": name},
            **source,
        },
    }
    claim: Manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": names.metadata(name, namespace, labels=labels),
        "spec": {
            "accessModes": [mode],
            "storageClassName": "",
            "volumeName": f"{name}-{namespace}",
            "resources": {"requests": {"storage": size}},
        },
    }
    return volume, claim


def discovery(settings: Settings) -> list[Manifest]:
    """The static provisioner: each mount point below a tier's volumes directory becomes a volume of its
    class."""
    if not settings.tiers:
        return []
    labels = names.labels(DISCOVERY)
    classes = {
        class_name(tier): {
            "hostDir": VOLUMES.format(tier=tier),
            "mountDir": VOLUMES.format(tier=tier),
            "volumeMode": "Filesystem",
            "fsType": "xfs",
            "namePattern": "*",
        }
        for tier in settings.tiers
    }
    config: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(DISCOVERY, names.STORAGE, labels=labels),
        "data": {"storageClassMap": json.dumps(classes, indent=2), "useNodeNameOnly": "true"},
    }
    account: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": names.metadata(DISCOVERY, names.STORAGE, labels=labels),
        "automountServiceAccountToken": False,
    }
    return [account, config, *_discovery_rights(labels), _discovery_pods(settings)]


def _discovery_rights(labels: dict[str, str]) -> list[Manifest]:
    rules: list[Rule] = [
        ("", ["persistentvolumes"], ["get", "list", "watch", "create", "delete"]),
        ("", ["nodes"], ["get"]),
        ("storage.k8s.io", ["storageclasses"], ["get", "list", "watch"]),
        ("", ["events"], ["create", "update", "patch"]),
    ]
    return cluster_rights(DISCOVERY, names.STORAGE, rules, labels)


def _discovery_pods(settings: Settings) -> Manifest:
    hosts = sorted({host for members in settings.tier_hosts.values() for host in members})
    mounts = [
        {"name": tier, "mountPath": VOLUMES.format(tier=tier), "mountPropagation": "HostToContainer"}
        for tier in settings.tiers
    ]
    container: Manifest = {
        "name": DISCOVERY,
        "image": settings.images.reference(DISCOVERY),
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "MY_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "MY_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        # It serves figures once it has found its node and knows its classes; it has no other sign of life.
        "ports": [{"name": "metrics", "containerPort": 8080}],
        "readinessProbe": pods.http("/metrics", "metrics"),
        "livenessProbe": {"tcpSocket": {"port": "metrics"}, "initialDelaySeconds": 30, "timeoutSeconds": 10},
        "resources": pods.small("50m", "64Mi", "256Mi"),
        # Root, because it empties volumes whose files belong to others; nothing else of a privileged pod.
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE", "FOWNER"]},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/provisioner/config", "readOnly": True},
            *mounts,
        ],
    }
    volumes = [
        {"name": tier, "hostPath": {"path": VOLUMES.format(tier=tier), "type": "Directory"}}
        for tier in settings.tiers
    ]
    config = {"name": "config", "configMap": {"name": DISCOVERY}}
    daemon = daemons.daemon_set(DISCOVERY, container, [config, *volumes], names.STORAGE)
    pod = daemon["spec"]["template"]["spec"]
    pod |= {"serviceAccountName": DISCOVERY, "automountServiceAccountToken": True}
    pod["affinity"] = {"nodeAffinity": pods.on_hosts(hosts)}
    return daemon
