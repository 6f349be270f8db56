"""Package lists of the bundle's archives, made by apt-ftparchive and signed by the bundle's own key.

Suites, components and release fields are those of the distribution, so that hosts and their automatic
upgrades find what they look for. There is no end of validity: a mirror without a network would come to it.
"""

import gzip
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bedplate.bundle import openpgp
from bedplate.bundle.distributions import Distribution
from bedplate.bundle.writing import write
from bedplate.errors import BedplateError

KEY = "mirror.asc"


def index(folder: Path, archive: Mapping[str, Any], distribution: Distribution, gpg_home: Path) -> None:
    """Write ``dists`` of one archive ({path, suites}) from its pool.

    The first suite has all packages, the others none. What is the same as before stays as it is, its
    signature too.
    """
    for number, suffix in enumerate(archive["suites"]):
        suite = folder / "dists" / f"{distribution.code_name}{suffix}"
        for component in distribution.components:
            lists = suite / component / f"binary-{distribution.architecture}"
            text = _packages(folder, component) if number == 0 else b""
            write(lists / "Packages", text)
            write(lists / "Packages.gz", gzip.compress(text, mtime=0))
        _release(suite, _fields(archive["path"], suffix, distribution), gpg_home)


def _packages(archive: Path, component: str) -> bytes:
    """Security archives keep their components below pool/updates."""
    pools = [
        place for place in (f"pool/{component}", f"pool/updates/{component}") if (archive / place).is_dir()
    ]
    return b"".join(_run(["packages", place], archive) for place in pools)


def _fields(path: str, suffix: str, distribution: Distribution) -> dict[str, str]:
    security = path == "debian-security"
    name = f"{distribution.code_name}{suffix}"
    suite = (
        name if distribution.name == "Ubuntu" else f"stable{suffix}"
    )  # Debian's suites have names of their own
    return {
        "Origin": distribution.name,
        "Label": f"{distribution.name}-Security" if security else distribution.name,
        "Suite": suite,
        "Codename": name,
        "Architectures": distribution.architecture,
        "Components": " ".join(distribution.components),
        "Description": f"Bedplate bundle of {distribution}",
    }


def _release(suite: Path, fields: Mapping[str, str], gpg_home: Path) -> None:
    options = [word for k, v in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{k}={v}")]
    text = _run([*options, "release", "."], suite)
    signed = suite / "InRelease"
    if signed.exists() and _undated(text) == _undated(_verified(signed, gpg_home)):
        return
    write(signed, openpgp.clear_signed(gpg_home, text))


def _verified(signed: Path, gpg_home: Path) -> bytes:
    """What our key has signed; nothing where it was another."""
    try:
        return openpgp.gpg(gpg_home, "--decrypt", str(signed))
    except BedplateError:
        return b""


def _undated(release: bytes) -> list[bytes]:
    """Without the time and without the signed list itself, which apt-ftparchive finds and lists."""
    return [line for line in release.splitlines() if not line.startswith(b"Date:") and b"Release" not in line]


def _run(arguments: Sequence[str], folder: Path) -> bytes:
    command = ["apt-ftparchive", "--quiet=2", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"}
        )
    except FileNotFoundError:
        raise BedplateError(
            "apt-ftparchive is not installed (apt-utils)", remedy="run `make setup`"
        ) from None
    if done.returncode != 0:
        raise BedplateError(f"package lists of {folder}: {done.stderr.decode().strip()[-400:]}")
    return done.stdout


def places(archives: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Folders of archives below the mirror, ``debian-security`` before ``debian``."""
    yield from sorted((str(archive["path"]) for archive in archives), key=len, reverse=True)
