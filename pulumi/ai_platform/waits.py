"""Before a program starts: an init container that waits for what the program needs, however long that takes.

A program that ends when its database is away is started again by kubelet after ever longer pauses, of up
to five minutes; one that tries again by itself with ever longer pauses sleeps as long. Both come back minutes
after the database; behind this they come back within seconds of it.
"""

from collections.abc import Sequence

from ai_platform import names, pods, scripts
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part, from_config
from ai_platform.settings import Settings

PROGRAM = "wait.py"
MOUNT: Manifest = {"name": "before", "mountPath": pods.SCRIPTS_PATH, "readOnly": True}


def program(part: Part, *more: str) -> Manifest:
    """What waits, for the part's namespace, and ``more`` programs that come before it."""
    labels = names.labels(part.app, part.instance)
    return scripts.config_map(f"{part.app}-before", part.namespace, scripts.read(PROGRAM, *more), labels)


def waiting(spec: Manifest, settings: Settings, files: Manifest, addresses: Sequence[str]) -> Manifest:
    """The pod ``spec``, which starts once every HOST:PORT of ``addresses`` is reached. ``files`` is what
    ``program`` made."""
    container: Manifest = {
        "name": "wait",
        "image": settings.images.reference("python"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", f"{pods.SCRIPTS_PATH}/{PROGRAM}", *addresses],
        "resources": pods.small("10m", "32Mi", "128Mi"),
        "securityContext": pods.container_security(),
        "volumeMounts": [MOUNT],
    }
    volumes = [*spec["volumes"], from_config(MOUNT["name"], files)]
    return spec | {"initContainers": [container], "volumes": volumes}
