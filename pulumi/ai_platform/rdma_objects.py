"""Objects that make RDMA cards known to Kubernetes: a device plugin that lets the pods of a host share them.

Where no host has such a card there is nothing to make. Placing, security and mounts follow the plugin's own
deployment (k8s-rdma-shared-dev-plugin, deployment/k8s/base).
"""

import json

from ai_platform import daemons, names, pods
from ai_platform.manifest import Manifest
from ai_platform.settings import Rdma, Settings

PLUGIN = "rdma-device-plugin"
LOOK_AGAIN_SECONDS = 300  # a port that comes up later is found
REGISTRY = "/var/lib/kubelet/plugins_registry"
CONFIG_PATH = "/k8s-rdma-shared-dev-plugin"


def objects(settings: Settings) -> list[Manifest]:
    """Configuration and DaemonSet, on the hosts that have a card."""
    if settings.rdma is None:
        return []
    return [_config(settings.rdma), _plugin(settings, settings.rdma)]


def shared_devices(rdma: Rdma) -> Manifest:
    """What the plugin reads: one resource, of all RDMA ports that the inventory names."""
    prefix, _, name = names.RDMA_RESOURCE.partition("/")
    ports = {"ifNames": list(rdma.interfaces)}
    resource = {"resourcePrefix": prefix, "resourceName": name, "rdmaHcaMax": rdma.shares, "selectors": ports}
    return {"periodicUpdateInterval": LOOK_AGAIN_SECONDS, "configList": [resource]}


def _config(rdma: Rdma) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(PLUGIN, names.GPU, labels=names.labels(PLUGIN)),
        "data": {"config.json": json.dumps(shared_devices(rdma), indent=2)},
    }


def _plugin(settings: Settings, rdma: Rdma) -> Manifest:
    directories = {"kubelet": daemons.KUBELET_SOCKETS, "registry": REGISTRY, "dev": "/dev"}
    container = daemons.container(PLUGIN, settings.images.reference(PLUGIN), {}, directories)
    container["volumeMounts"].append({"name": "config", "mountPath": CONFIG_PATH, "readOnly": True})
    # It opens the host's RDMA devices to see that they are whole before it offers them.
    container["securityContext"] = {"privileged": True, "readOnlyRootFilesystem": True}
    volumes = [*daemons.volumes(directories), {"name": "config", "configMap": {"name": PLUGIN}}]
    daemon = daemons.daemon_set(PLUGIN, container, volumes)
    pod = daemon["spec"]["template"]["spec"]
    pod["hostNetwork"] = True  # ports are found by the names of the host's interfaces
    pod["affinity"] = {"nodeAffinity": pods.on_hosts(rdma.hosts)}
    return daemon
