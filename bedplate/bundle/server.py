"""The mirror: nginx over the bundle's folder as it is, with a configuration made from the signed manifest.

A registry program (Debian's docker-registry) was the other way. It keeps images in a layout of its own, so a
bundle would have to be poured into it at every site; it does not know ``?ns=``, by which containerd says
whose image it wants, so two registries' images of one name would collide; and packages and files need nginx
anyway.
"""

import ipaddress
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import jinja2

from bedplate.bundle import tree
from bedplate.bundle.manifest import REFERENCE, Manifest
from bedplate.errors import BAD_INPUT, VERDICT_NO, BedplateError

TEMPLATE = Path(__file__).with_name("nginx.conf.j2")
USER = "www-data"  # whose worker processes are when root starts the mirror
SHOWN = 5  # files named in a refusal
_PLAIN = re.compile(r"[A-Za-z0-9/_.,+@=-]+")


@dataclass(frozen=True)
class Serving:
    """Where a bundle is served; with ``certificate`` and its key (files) over TLS."""

    bundle: Path
    address: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None
    certificate_key: Path | None = None


def configuration(manifest: Manifest, serving: Serving, state: Path, user: str) -> str:
    """Pure: nginx's configuration; its temporary files lie in ``state``. Raises BedplateError for a path that
    nginx would read otherwise than it stands there."""
    files = [serving.bundle, state, serving.certificate, serving.certificate_key]
    for path in (path for path in files if path and not _PLAIN.fullmatch(str(path))):
        raise BedplateError(
            f"{path} has characters that nginx reads otherwise", remedy="rename it", code=BAD_INPUT
        )
    repositories: dict[str, list[str]] = {}
    for image in manifest.images:
        name, _, tag = image.reference.rpartition(":")
        repositories.setdefault(name, []).append(tag)
    registries = {m["registry"] for image in manifest.images if (m := REFERENCE.fullmatch(image.reference))}
    host = f"[{serving.address}]" if ipaddress.ip_address(serving.address).version != 4 else serving.address  # noqa: PLR2004
    words = {
        "bundle": serving.bundle,
        "state": state,
        "user": user,
        "listen": f"{host}:{serving.port}",
        "certificate": serving.certificate,
        "certificate_key": serving.certificate_key,
        "images": manifest.images,
        "manifests": dict(sorted(m for image in manifest.images for m in image.manifests)),
        "repositories": dict(sorted(repositories.items())),
        "registries": sorted(registries),
    }
    # every value has passed a grammar that leaves nginx nothing to misread
    engine = jinja2.Environment(
        autoescape=False,  # noqa: S701  nginx's configuration is not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return engine.from_string(TEMPLATE.read_text()).render(words)


def checked(bundle: Path, key: Path) -> Manifest:
    """The manifest of a bundle that may be served: rightly signed, every file there with its size."""
    manifest = tree.opened(bundle, key)
    wrong = tree.verify(bundle, manifest, read=False)
    if wrong:
        named = [*wrong.changed, *wrong.missing, *wrong.unexpected]
        raise BedplateError(
            f"the bundle is not as its manifest says: {', '.join(named[:SHOWN])}"
            + (" …" if len(named) > SHOWN else ""),
            remedy="`bedplate bundle verify` names every file; carry them over again",
            code=VERDICT_NO,
        )
    return manifest


def serve(manifest: Manifest, serving: Serving) -> None:
    """Run the mirror until it is told to end (Ctrl-C, SIGTERM). Raises BedplateError when it cannot start."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not nginx:
        raise BedplateError("nginx is not installed", remedy="run `make setup`")
    user = USER if os.geteuid() == 0 else ""
    if user:
        _readable(serving.bundle)
    with tempfile.TemporaryDirectory(prefix="bedplate-mirror-") as name:
        Path(name).chmod(0o755)
        file = Path(name) / "nginx.conf"
        file.write_text(configuration(manifest, serving, Path(name), user))
        command = [nginx, "-p", name, "-c", str(file), "-e", "stderr", "-g", "daemon off;"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            code, said = _until_told(process)
    if code != 0:
        raise BedplateError(
            f"nginx ended: {said.strip()[-600:]}", remedy="choose another --port or --address"
        )


def _until_told(process: subprocess.Popen[str]) -> tuple[int, str]:
    def end(number: int, frame: FrameType | None) -> None:
        process.send_signal(signal.SIGTERM)

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        said = process.communicate()[1]
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    return process.returncode, said


def _readable(bundle: Path) -> None:
    """Everybody may enter the folders above, or nginx's workers could not."""
    for folder in (bundle, *bundle.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise BedplateError(
                f"{USER}, as whom nginx reads files, may not enter {folder}",
                remedy=f"put it elsewhere, chmod o+x {folder}, or start the mirror as the bundle's owner",
                code=BAD_INPUT,
            )
