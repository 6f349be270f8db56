"""apt with a state of its own: it answers for a bare machine of any distribution, not for this one."""

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from bedplate.errors import BedplateError
from bedplate.twin.image import apt_proxies

HELPER = "/usr/lib/apt/apt-helper"
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")
_SETTINGS = """\
Dir "{folder}/";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc "{folder}/etc";
Dir::Log "{folder}/log";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::Retries "3";
Debug::NoLocking "true";
"""


@dataclass(frozen=True, order=True)
class Package:
    """One file of a repository: where it is, its size in bytes, its SHA-256 as signed indices say."""

    uri: str
    size: int
    sha256: str

    @property
    def pool(self) -> str:
        """Its place below the archive's folder: ``pool/main/c/chrony/chrony_4.3-2_amd64.deb``.

        Only an epoch's colon stays encoded, as in the file's name on every mirror.
        """
        _, found, rest = self.uri.partition("/pool/")
        path = unquote(rest if found else self.uri.rpartition("/")[2]).replace(":", "%3a")
        return f"pool/{path}" if found else path


class Apt:
    """An apt that knows ``sources`` (deb822) and no installed package; all of it lies in ``folder``."""

    def __init__(self, folder: Path, sources: str, architecture: str) -> None:
        self.folder = folder
        parts = ("state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "log")
        for part in (*parts, "etc/preferences.d", "etc/apt.conf.d", "etc/trusted.gpg.d"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")
        (folder / "etc/sources.list.d/bundle.sources").write_text(sources)
        (folder / "apt.conf").write_text(_SETTINGS.format(folder=folder, architecture=architecture))

    def update(self) -> None:
        """Fetch package lists. Raises BedplateError when a source is not there or not signed."""
        done = self._run("apt-get", "update", "--quiet=2", "--error-on=any")
        if done.returncode != 0:
            raise BedplateError(
                f"package lists cannot be had: {reasons(done.stderr)}",
                remedy="build where these sources are reachable, or name others with --apt-sources",
            )

    def closure(self, role: str, names: Sequence[str]) -> list[Package]:
        """What a bare machine needs for packages ``names`` (``NAME`` or ``NAME=VERSION``).

        Raises BedplateError, naming ``role``, for what no source has.
        """
        done = self._run("apt-get", "install", "--yes", "--quiet=2", "--print-uris", *names)
        if done.returncode != 0:
            raise BedplateError(
                f"packages of role {role} cannot be had: {reasons(done.stderr)}",
                remedy=f"wanted are {' '.join(names)}; correct the inventory, or add --apt-sources",
            )
        return parse_uris(done.stdout)

    def fetch(self, wanted: Iterable[tuple[Package, Path]]) -> None:
        """Download files, each checked by apt against its SHA-256. Raises BedplateError naming the first."""
        words = [w for p, path in wanted for w in (p.uri, str(path), f"SHA256:{p.sha256}")]
        if not words:
            return
        done = self._run(HELPER, "-o", "Dpkg::Use-Pty=0", "download-file", *words)
        if done.returncode != 0:
            raise BedplateError(
                f"packages cannot be fetched: {reasons(done.stderr)}",
                remedy="run the same again: what has come is kept",
            )

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        alone = {"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}
        try:
            return subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | apt_proxies() | alone,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            raise BedplateError(
                f"{command[0]} is not here: packages are collected on Debian or Ubuntu",
                remedy="run `make setup`",
            ) from None


def parse_uris(text: str) -> list[Package]:
    """Pure: the answer of ``--print-uris``. Raises BedplateError for a file without SHA-256."""
    found = []
    for line in text.splitlines():
        if match := _URI.fullmatch(line.strip()):
            found.append(Package(match["uri"], int(match["size"]), match["sha256"]))
        elif line.startswith("'"):
            raise BedplateError(f"a package source gives no SHA-256: {line.strip()}")
    return found


def reasons(text: str) -> str:
    """Pure: what apt complains about, without repeating itself."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
    return "; ".join(dict.fromkeys(errors or lines[-3:])) or "it did not say why"
