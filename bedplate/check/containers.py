"""Rules of the container runtime: a release that has no digest cannot be named."""

from collections.abc import Iterator, Mapping
from typing import Any

from bedplate.check import versions
from bedplate.check.problem import Problem
from bedplate.check.rules import host_rule

Data = Mapping[str, Any]


@host_rule
def digest(
    version_containerd: str,
    catalogue_containerd: Data,
    container_runtime_source: str = "release",
    container_runtime_sha256: str = "",
) -> Iterator[Problem]:
    """A release has its digest in the catalogue, or in the inventory. Lines of which the catalogue has
    none are the compatibility table's to judge, and the role's."""
    line = version_containerd.rpartition(".")[0]
    known = [version for version in catalogue_containerd if versions.matches(version, line)]
    if container_runtime_source != "release" or container_runtime_sha256 or not known:
        return
    if version_containerd not in catalogue_containerd:
        why = f"nobody wrote down the digest of containerd {version_containerd} (catalogue_containerd)"
        yield Problem(("version_containerd",), why, f"write {known[0]}, or set container_runtime_sha256")


@host_rule
def docker(container_runtime_docker: bool, container_runtime_source: str = "release") -> Iterator[Problem]:
    """Docker's packages bring a containerd of their own."""
    if container_runtime_docker and container_runtime_source == "release":
        why = "Docker's packages bring containerd.io, which would take the place of the release"
        yield Problem(("container_runtime_docker",), why, "set container_runtime_source to package")
