"""Objects that make GPUs known to Kubernetes: runtime class, device plugin, feature discovery, MIG
layouts."""

from collections.abc import Sequence
from typing import Any

import yaml

from ai_platform import daemons, names, pods
from ai_platform.cluster_rights import Rule, cluster_rights
from ai_platform.manifest import Manifest
from ai_platform.settings import MigLayout, Settings

PLUGIN = "device-plugin"
FEATURES = "gpu-feature-discovery"
DISCOVERY = "node-feature-discovery"
MIG = "mig-manager"
GPU_VENDOR = "feature.node.kubernetes.io/pci-10de.present"
DRIVER_ENVIRONMENT = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "utility,compute"}
FEATURE_FILES = "/etc/kubernetes/node-feature-discovery/features.d"


def runtime_class() -> Manifest:
    """Pods ask for NVIDIA's runtime by name: as everybody's default it would show GPUs to pods that asked
    for none."""
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": names.metadata(names.RUNTIME_CLASS, labels=names.labels("gpu")),
        "handler": names.RUNTIME_CLASS,
    }


def device_plugin(settings: Settings) -> Manifest:
    """Tells kubelet about GPUs, or about their MIG slices where a group of hosts is cut."""
    env = {
        "MIG_STRATEGY": _mig_strategy(settings),
        "FAIL_ON_INIT_ERROR": "true",
        "DEVICE_LIST_STRATEGY": "cdi-cri",
        "DEVICE_ID_STRATEGY": "uuid",
        "PASS_DEVICE_SPECS": "false",
        "NVIDIA_DRIVER_ROOT": "/",
        **DRIVER_ENVIRONMENT,
    }
    directories = {"kubelet": daemons.KUBELET_SOCKETS, "cdi": "/var/run/cdi"}
    return _on_gpus(
        PLUGIN, daemons.container(PLUGIN, settings.images.reference(PLUGIN), env, directories), directories
    )


def feature_discovery(settings: Settings) -> Manifest:
    """Writes what a node's GPUs are (product, memory, count, MIG) for node feature discovery to turn into
    labels."""
    env = {
        "MIG_STRATEGY": _mig_strategy(settings),
        "GFD_OUTPUT_FILE": f"{FEATURE_FILES}/gfd",
        "GFD_SLEEP_INTERVAL": "60s",
        "GFD_USE_NODE_FEATURE_API": "false",
        **DRIVER_ENVIRONMENT,
    }
    directories = {"features": FEATURE_FILES}
    container = daemons.container(FEATURES, settings.images.reference(PLUGIN), env, directories)
    container["command"] = ["/usr/bin/gpu-feature-discovery"]
    return _on_gpus(FEATURES, container, directories)


def mig(settings: Settings) -> list[Manifest]:
    """MIG layouts for those groups of hosts that are cut, and the program that cuts them."""
    if not settings.mig:
        return []
    labels = names.labels(MIG)
    config: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata("mig-layouts", names.GPU, labels=labels),
        "data": {"config.yaml": yaml.safe_dump(mig_parted(settings.mig), sort_keys=False)},
    }
    directories = {"host": "/", "dev": "/dev"}
    env = {"NODE_NAME": "", "CONFIG_FILE": "/mig/config.yaml", "WITH_REBOOT": "false", **DRIVER_ENVIRONMENT}
    container = daemons.container(MIG, settings.images.reference(MIG), env, directories)
    container["env"] = [e for e in container["env"] if e["name"] != "NODE_NAME"]
    container["env"].append({"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})
    container["volumeMounts"].append({"name": "layouts", "mountPath": "/mig", "readOnly": True})
    # Resetting a GPU into another layout needs the host's devices and its driver.
    container["securityContext"] = {"privileged": True, "readOnlyRootFilesystem": True}
    daemon = _on_gpus(MIG, container, directories)
    cut = sorted({host for layout in settings.mig for host in layout.nodes.hosts})
    pod = daemon["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "layouts", "configMap": {"name": "mig-layouts"}})
    pod["affinity"] = {"nodeAffinity": pods.on_hosts(cut)}
    pod |= {"serviceAccountName": MIG, "automountServiceAccountToken": True}
    rules = [("", ["nodes"], ["get", "list", "watch", "patch", "update"]), ("", ["pods"], ["get", "list"])]
    return [config, *account(MIG, rules, labels), daemon]


def mig_parted(layouts: tuple[MigLayout, ...]) -> dict[str, Any]:
    """The layouts as nvidia-mig-parted reads them."""
    return {
        "version": "v1",
        "mig-configs": {
            "all-disabled": [{"devices": "all", "mig-enabled": False}],
            **{
                layout.name: [{"devices": "all", "mig-enabled": True, "mig-devices": dict(layout.devices)}]
                for layout in layouts
            },
        },
    }


def account(name: str, rules: Sequence[Rule], labels: dict[str, str]) -> list[Manifest]:
    """A service account with rights over the whole cluster, as few as it needs."""
    return [pods.service_account(name, names.GPU, labels), *cluster_rights(name, names.GPU, rules, labels)]


def _mig_strategy(settings: Settings) -> str:
    return "mixed" if settings.mig else "none"


def _on_gpus(name: str, container: Manifest, directories: dict[str, str]) -> Manifest:
    """A pod per GPU host, under NVIDIA's runtime."""
    daemon = daemons.daemon_set(name, container, daemons.volumes(directories))
    pod = daemon["spec"]["template"]["spec"]
    pod |= {"runtimeClassName": names.RUNTIME_CLASS, "affinity": on_gpu_hosts()}
    return daemon


def on_gpu_hosts() -> Manifest:
    """Where feature discovery has seen an NVIDIA card, or where the host's role has said so."""
    terms = [
        {"matchExpressions": [{"key": GPU_VENDOR, "operator": "In", "values": ["true"]}]},
        {"matchExpressions": [{"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}]},
    ]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
