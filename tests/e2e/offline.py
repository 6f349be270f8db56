"""A bundle of tests/e2e/inventories/kubernetes, built and served here for its twin, which reaches no more.

``with offline.mirror(folder) as mirror``: then ``Size(mirror=mirror.port)`` for `Twin.up`, and
``mirror.words(twin)`` as extra variables of the run. Images and release archives are those of
tests/kubernetes_programs.py, made here and named so in the manifest; packages are the distribution's own.
"""

import json
import shutil
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
from bedplate.ports import free_port
from bedplate.twin.lab import Twin
from tests import kubernetes_programs

INVENTORY = paths.ROOT / "tests/e2e/inventories/kubernetes"
KINDS = ("packages", "images", "releases")
PINS = {
    "container_runtime_sha256": "containerd",
    "kubernetes_node_sha256": "kubernetes",
    "kubernetes_control_plane_etcd_sha256": "etcd",
}


@dataclass(frozen=True)
class Mirror:
    """A bundle that is served on ``port`` of 127.0.0.1."""

    bundle: Path
    port: int
    built: Built
    pins: dict[str, str]

    def words(self, twin: Twin) -> dict[str, Any]:
        """What the inventory would say at a site with this mirror."""
        key = (self.bundle / repository.KEY).read_text()
        return {"site_mirror": twin.mirror, "site_mirror_key": key} | self.pins


@contextmanager
def mirror(folder: Path, *, anew: bool) -> Iterator[Mirror]:
    """Build the bundle of the kubernetes inventory in ``folder`` and serve it while the context lasts;
    without ``anew`` from the same programs and on the same port as before.

    ``folder`` must be one that everybody may enter (nginx's workers are not root).
    """
    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    kept = folder / "mirror.json"
    if not kept.exists():
        digests = kubernetes_programs.content(folder / "content")
        pins = {word: digests[name] for word, name in PINS.items()}
        (folder / "overlay").mkdir()
        (folder / "overlay" / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": pins}}))
        kept.write_text(json.dumps({"port": free_port(), "pins": pins}))
    known = json.loads(kept.read_text())
    order = Order(
        inventory=INVENTORY,
        out=folder / "bundle",
        distribution=distributions.parse("", "amd64"),
        overlays=(folder / "overlay",),
        kinds=KINDS,
        images=folder / "content" / "images",
        release=folder / "content" / "release",
    )
    built = build(order)
    with _serving(order.out, known["port"]):
        yield Mirror(order.out, known["port"], built, known["pins"])


def archive(folder: Path, name: str) -> Path:
    """The OCI archive of an image, also of one that is not in the bundle."""
    return next((folder / "content" / "images").rglob(f"{name}.tar"))


@contextmanager
def _serving(bundle: Path, port: int) -> Iterator[None]:
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
            yield
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
