"""Mistakes in the container runtime."""

from tests.inventory_samples import on
from tests.wrong_inventories.case import NODES, VERSIONS, case

CASES = [
    case(
        "containerd whose digest nobody knows",
        on("all", "version_containerd", to="2.3.0"),
        at=(VERSIONS, "version_containerd"),
        value="2.3.0",
        why="nobody wrote down the digest of containerd 2.3.0",
        remedy="write 2.3.5, or set container_runtime_sha256",
    ),
    case(
        "Docker over a release",
        on(NODES, "container_runtime_docker", to=True),
        at=("", "container_runtime_docker"),
        value="True",
        why="would take the place of the release",
        remedy="set container_runtime_source to package",
    ),
]
