"""Release archives that roles unpack: fetched by URL, or taken from a folder, and held against their SHA-256.

Where they come from and lie stands in the roles' own defaults (``ROLE_release_url``), and nowhere else.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.bundle.download import Say, download
from bedplate.bundle.manifest import PARTIAL
from bedplate.bundle.tree import sha256
from bedplate.errors import VERDICT_NO, BedplateError
from bedplate.inventory import Inventory

WORDS = (
    "container_runtime_release_url",
    "kubernetes_node_release_url",
    "kubernetes_control_plane_etcd_release_url",
)
_ADDRESSES = re.compile(r"site_mirror ~ '/(?P<folder>\w+)'.*else '(?P<url>https://[^']+)'", re.DOTALL)


@dataclass(frozen=True, order=True)
class Release:
    """One archive: ``path`` below the mirror, ``url`` of the project; ``pin`` is the word for its SHA-256."""

    path: str
    url: str
    pin: str
    sha256: str = ""


def wanted(inventory: Inventory, architecture: str) -> list[Release]:
    """What the inventory's hosts unpack."""
    words = {key: value for host in inventory.hosts.values() for key, value in host.items()}
    found: list[Release] = []
    if inventory.members("kubernetes") and words.get("container_runtime_source", "release") == "release":
        version = words["version_containerd"]
        known = words["catalogue_containerd"].get(version, {}).get(architecture, "")
        name = f"containerd-{version}-linux-{architecture}.tar.gz"
        found += _release(
            "container_runtime_release_url", "container_runtime_sha256", f"v{version}/{name}", words, known
        )
    if inventory.members("kubernetes"):
        name = f"v{words['version_kubernetes']}/kubernetes-node-linux-{architecture}.tar.gz"
        found += _release("kubernetes_node_release_url", "kubernetes_node_sha256", name, words)
    if inventory.members("control_plane"):
        version = words["version_etcd"]
        name, pin = (
            f"v{version}/etcd-v{version}-linux-{architecture}.tar.gz",
            "kubernetes_control_plane_etcd_sha256",
        )
        found += _release("kubernetes_control_plane_etcd_release_url", pin, name, words)
    return found


def _release(word: str, pin: str, name: str, words: Mapping[str, Any], known: str = "") -> Iterator[Release]:
    folder, url = addresses(word)
    yield Release(f"{folder}/{name}", f"{url}/{name}", pin, words.get(pin) or known)


def addresses(word: str) -> tuple[str, str]:
    """Folder below the mirror and the project's own address, from the default of a role's variable."""
    role = next(
        role
        for role in sorted(paths.ROLES.iterdir())
        if word.startswith(f"{role.name}_release") or word.startswith(f"{role.name}_etcd")
    )
    default = yaml.safe_load((role / "defaults" / "main.yml").read_text())[word]
    match = _ADDRESSES.search(default)
    if not match:
        raise BedplateError(f"the default of {word} does not say where the release comes from: {default}")
    return match["folder"], match["url"]


def collect(
    bundle: Path, releases: list[Release], given: Path | None, say: Say
) -> tuple[set[str], int, dict[str, str]]:
    """Bring every archive: their paths, how many were fetched, and digests that the inventory does not pin.

    One that nothing pins is taken from folder ``given`` only, for its digest says nothing about a download.
    """
    fetched, unpinned = 0, {}
    for release in releases:
        say(release.path)
        target = bundle / release.path
        if release.sha256 and target.is_file() and sha256(target) == release.sha256:
            continue
        source = _given(given, release)
        if not source and not release.sha256:
            raise BedplateError(
                f"{release.url} has no digest in the inventory",
                remedy=f"set {release.pin} to what the project says, or bring the file (--release FOLDER)",
            )
        partial = bundle / PARTIAL / release.path.replace("/", "_")
        partial.parent.mkdir(parents=True, exist_ok=True)
        if source:
            shutil.copyfile(source, partial)
        else:
            download(release.url, partial, say, "bring the file with --release FOLDER")
        digest = sha256(partial)
        if release.sha256 not in ("", digest):
            partial.unlink()
            raise BedplateError(
                f"{source or release.url} has SHA-256 {digest}, and {release.sha256} is pinned",
                remedy=f"find out which is right before you set {release.pin}",
                code=VERDICT_NO,
            )
        if not release.sha256:
            unpinned[release.pin] = digest
        fetched += not (target.is_file() and sha256(target) == digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)
    return {release.path for release in releases}, fetched, unpinned


def _given(folder: Path | None, release: Release) -> Path | None:
    """The archive in a folder: where the mirror has it, or in a folder named after its version."""
    end = "/".join(release.path.split("/")[1:])
    found = (
        [path for path in sorted(folder.rglob("*.tar.gz")) if path.as_posix().endswith(end)] if folder else []
    )
    return found[0] if found else None
