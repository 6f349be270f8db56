"""Pieces of the DaemonSets that tell kubelet what a host has: one pod per host, rooted in its directories."""

from ai_platform import names, pods
from ai_platform.manifest import Manifest
from ai_platform.settings import Settings

ROLLOUT_SECONDS = 600  # what Pulumi waits for a DaemonSet by itself; every host adds a second
KUBELET_SOCKETS = "/var/lib/kubelet/device-plugins"


def container(name: str, image: str, env: dict[str, str], directories: dict[str, str]) -> Manifest:
    """A container that sees ``directories`` (volume name to path) where the host has them."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "resources": pods.small("50m", "64Mi", "512Mi"),
        # Root, because kubelet's sockets and the feature directory belong to root; nothing else of it.
        "securityContext": {"runAsUser": 0} | pods.container_security(),
        "volumeMounts": [{"name": key, "mountPath": path} for key, path in directories.items()],
    }


def rollout_seconds(settings: Settings) -> int:
    """How long pods on all hosts may take: those of a thousand are not made in the time of eight."""
    return ROLLOUT_SECONDS + settings.nodes


def volumes(directories: dict[str, str]) -> list[Manifest]:
    """The host's directories."""
    return [
        {"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}}
        for name, path in directories.items()
    ]


def daemon_set(
    name: str, container: Manifest, volumes: list[Manifest], namespace: str = names.GPU
) -> Manifest:
    """One pod per host that its affinity, added by the caller, names. Without it the host is of no use, so
    it is critical."""
    labels = names.labels(name)
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": "system-node-critical",
        "tolerations": pods.everywhere(),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": names.metadata(name, namespace, labels=labels),
        "spec": {
            "selector": {"matchLabels": names.selector(name)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
