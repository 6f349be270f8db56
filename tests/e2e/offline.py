"""The twin's cluster from a bundle instead of a disc: built and served here, and nothing else in reach.

``with offline.mirror(folder) as mirror``: then ``Size(mirror=mirror.port)`` for `Twin.up`, and
``mirror.words(twin)`` as extra variables of the run. Images and release archives are those of
tests/kubernetes_medium.py, made here and named so in the manifest; packages are the distribution's own.
"""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.bundle import distributions, repository
from bedplate.bundle.build import Built, Order, build
from bedplate.ports import free_ports
from bedplate.twin.lab import Twin
from tests import kubernetes_medium

INVENTORY = paths.ROOT / "tests/e2e/inventories/kubernetes"
KINDS = ("packages", "images", "releases")
PINS = {
    "container_runtime_sha256": "containerd",
    "kubernetes_node_sha256": "kubernetes",
    "kubernetes_control_plane_etcd_sha256": "etcd",
}
RELEASES = {
    "container_runtime_release_url": "containerd",
    "kubernetes_node_release_url": "kubernetes",
    "kubernetes_control_plane_etcd_release_url": "etcd",
}


@dataclass(frozen=True)
class Mirror:
    """A bundle that is served on ``port`` of 127.0.0.1."""

    bundle: Path
    port: int
    built: Built
    pins: dict[str, str]

    def words(self, twin: Twin) -> dict[str, Any]:
        """What the inventory would say at a site with this mirror, instead of the disc."""
        site = {
            "site_mirror": twin.mirror,
            "site_mirror_key": (self.bundle / repository.KEY).read_text(),
            "kubernetes_node_image_archives": [],
        }
        return site | {word: f"{twin.mirror}/{folder}" for word, folder in RELEASES.items()} | self.pins


@contextmanager
def mirror(folder: Path, kinds: tuple[str, ...] = KINDS) -> Iterator[Mirror]:
    """Build the bundle of the kubernetes inventory in ``folder`` and serve it while the context lasts.

    ``folder`` must be one that everybody may enter (nginx's workers are not root).
    """
    content = folder / "content"
    digests = kubernetes_medium.content(content)
    pins = {word: digests[name] for word, name in PINS.items()}
    (folder / "overlay").mkdir(exist_ok=True)
    (folder / "overlay" / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": pins}}))
    order = Order(
        inventory=INVENTORY,
        out=folder / "bundle",
        distribution=distributions.parse("", "amd64"),
        overlays=(folder / "overlay",),
        kinds=kinds,
        images=content / "images",
        release=content / "release",
    )
    built = build(order)
    with _serving(order.out) as port:
        yield Mirror(order.out, port, built, pins)


@contextmanager
def _serving(bundle: Path) -> Iterator[int]:
    port = free_ports(1)[0]
    words = [
        sys.executable,
        "-m",
        "bedplate",
        "bundle",
        "serve",
        str(bundle),
        "--key",
        f"{bundle}/bundle.pub",
    ]
    with subprocess.Popen([*words, "--port", str(port)]) as process:
        try:
            for _ in range(900):
                assert process.poll() is None, "the mirror has ended"
                if _answers(port):
                    break
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
