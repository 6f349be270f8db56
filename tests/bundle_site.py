"""What a small bundle is built from, all of it made here: an upstream of packages over HTTP, OCI archives,
release archives, wheels and a model, for the inventory of tests/e2e/inventories/kubernetes.

Packages and programs are stand-ins: they have the real ones' names, and nothing of what those do.
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bedplate import paths
from bedplate.bundle import openpgp, platform_images, repository, roles
from bedplate.bundle.build import Order
from bedplate.bundle.distributions import Distribution
from bedplate.inventory import load
from bedplate.model_files import manifest as model_files
from tests import kubernetes_standins, oci_archive
from tests.integration.mirror import Mirror, serving
from tests.kubernetes_programs import archive
from tests.vendor_repository.debian import Package
from tests.vendor_repository.debian import archive as deb

INVENTORY = paths.ROOT / "tests/e2e/inventories/kubernetes"
DEBIAN = Distribution("Debian", "12")
SECURITY = {"chrony"}  # packages that upstream has in its security archive
MODEL = "example/tiny/0123456789abcdef0123456789abcdef01234567"
WHEEL = "stand_in-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class Sources:
    """Everything that a build takes, in one folder, and the upstream that serves packages."""

    folder: Path
    upstream: Mirror

    def order(self, out: Path, *kinds: str) -> Order:
        """An order for these kinds (none: all but the controller's programs, which are large)."""
        return Order(
            inventory=INVENTORY,
            out=out,
            distribution=DEBIAN,
            overlays=(self.folder / "overlay",),
            kinds=kinds or ("packages", "images", "wheels", "releases", "models"),
            apt_sources=self.folder / "upstream.sources",
            images=self.folder / "images",
            release=self.folder / "release",
            models=self.folder / "models",
            requirements=(self.folder / "requirements.txt",),
        )


@contextmanager
def sources(folder: Path) -> Iterator[Sources]:
    """Make everything in ``folder`` and serve packages while the context lasts."""
    _images(folder / "images")
    digests = _releases(folder / "release")
    _wheel(folder)
    pin = _model(folder / "models" / MODEL)
    (folder / "overlay").mkdir()
    words = digests | {"model_store_models": [{"name": MODEL, "manifest": pin}]}
    (folder / "overlay" / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": words}}))
    key = _archive(folder / "upstream")
    with serving(Mirror(folder / "upstream")) as upstream:
        (folder / "upstream.sources").write_text(_stanzas(upstream.url, key))
        yield Sources(folder, upstream)


def _stanzas(url: str, key: bytes) -> str:
    signed = "\n".join(f" {line or '.'}" for line in key.decode().strip().splitlines())
    return "\n".join(
        f"Types: deb\nURIs: {url}/{path}\nSuites: {suite}\nComponents: main\nSigned-By:\n{signed}\n"
        for path, suite in (("debian", "bookworm"), ("debian-security", "bookworm-security"))
    )


def _archive(folder: Path) -> bytes:
    """Stand-ins of every package that a role wants, and one that all need; the archive's public key."""
    names = {name for want in roles.ask(INVENTORY, DEBIAN.facts) for name in want.names}
    for name in sorted(names | {"stand-in-common"}):
        place = "debian-security/pool/updates/main" if name in SECURITY else "debian/pool/main"
        needs = "" if name == "stand-in-common" else "stand-in-common (>= 1:1.0)"
        files = {f"/usr/share/stand-in/{name}": (name.encode() * 50, 0o644)}
        package = Package(name, "1:1.0", needs, files)
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / package.file).write_bytes(deb(package))
    with openpgp.home(folder.parent / "upstream.key") as home:
        for entry in DEBIAN.archives:
            repository.index(folder / entry["path"], entry, DEBIAN, home)
        return openpgp.public(home)


def _images(folder: Path) -> None:
    for number, want in enumerate(platform_images.wanted(load(INVENTORY))):
        program = folder.parent / f"program{number % 3}"
        program.write_bytes(b"#!/bin/sh\n" + bytes([number % 3]) * 200_000)
        name = want.reference.rpartition("/")[2].partition(":")[0]
        oci_archive.write(folder / f"{name}.tar", want.reference, {f"/{name}": program}, [f"/{name}"])


def _releases(folder: Path) -> dict[str, str]:
    kubernetes_standins.make(folder)
    digests = json.loads((folder / "digests.json").read_text())
    version = yaml.safe_load((paths.COMMON / "versions.yml").read_text())["version_containerd"]
    name = f"v{version}/containerd-{version}-linux-amd64.tar.gz"
    program = folder.parent / "containerd"
    program.write_text("#!/bin/sh\n")
    return {
        "container_runtime_sha256": archive(folder / name, {"bin/containerd": program}),
        "kubernetes_node_sha256": digests["kubernetes"],
        "kubernetes_control_plane_etcd_sha256": digests["etcd"],
    }


def _wheel(folder: Path) -> None:
    """A wheel of one line, and requirements that pin it."""
    (folder / "index").mkdir()
    info = "stand_in-1.0.dist-info"
    parts = {
        "stand_in.py": "ANSWER = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},{_record(text)},{len(text)}" for name, text in parts.items()]
    parts[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / "index" / WHEEL, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)
    digest = hashlib.sha256((folder / "index" / WHEEL).read_bytes()).hexdigest()
    (folder / "requirements.txt").write_text(f"stand-in==1.0 --hash=sha256:{digest}\n")


def _record(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


def _model(folder: Path) -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["stand-in"]}\n')
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 4000)
    text = model_files.document(model_files.entries(folder, 1, lambda *_: None))
    (folder / model_files.NAME).write_bytes(text)
    return model_files.digest(text)
