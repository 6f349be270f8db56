"""Package sources of vendors (catalogue_package_sources): their own signed lists, as they are.

Roles accept no other key than the vendor's. Packages that no role wants are on these lists and not here.
"""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.bundle import openpgp
from bedplate.bundle.apt import HELPER, Apt, Package, reasons
from bedplate.bundle.distributions import Distribution
from bedplate.bundle.writing import write
from bedplate.errors import BedplateError

Rows = Mapping[str, Mapping[str, Any]]
_USED = re.compile(r"package_source\('(\w+)'")
_LISTED = re.compile(rb"(?m)^ ([0-9a-f]{64}) +(\d+) (Packages(?:\.gz)?)$")


def of_role(role: str) -> str:
    """The vendor whose packages a role takes, by its tasks; empty for none."""
    texts = [file.read_text() for file in sorted((paths.ROLES / role / "tasks").glob("*.yml"))]
    found = _USED.findall("\n".join(texts))
    return found[0] if found else ""


class Vendors:
    """The vendors' sources for one distribution, each asked when a role first needs it."""

    def __init__(self, folder: Path, distribution: Distribution, sources: str, rows: Rows) -> None:
        self._folder, self._distribution, self._sources, self._rows = folder, distribution, sources, rows
        self._apts: dict[str, Apt] = {}

    def apt(self, role: str) -> Apt | None:
        """An apt that knows the distribution and the role's vendor; None where it has none.

        Raises BedplateError when the vendor is not reachable, has no packages for the distribution, or
        answers with another key than the catalogue's.
        """
        name = of_role(role)
        if not name or name not in self._rows:
            return None
        if name not in self._apts:
            self._apts[name] = self._made(name)
        return self._apts[name]

    def place(self, package: Package) -> str:
        """Where in the bundle a vendor's package lies; empty for a package of the distribution."""
        for name in self._apts:
            if package.uri.startswith(url := self._url(name)):
                return f"{self._mirrored(name)}/{package.uri.removeprefix(url).lstrip('/')}"
        return ""

    def index(self, bundle: Path) -> set[str]:
        """Bring signed lists and keys of the vendors that were asked; their paths."""
        kept: set[str] = set()
        for name, apt in self._apts.items():
            folder = self._mirrored(name)
            release = next((apt.folder / "state/lists").glob("*_InRelease_vendor"))
            signed = release.read_bytes()
            files = {"InRelease": signed, self._rows[name]["key"]: (apt.folder / "vendor.key").read_bytes()}
            for digest, _, file in _LISTED.findall(signed):
                part = file.decode()
                fetched = _fetched(self._url(name) + part, apt.folder / part, digest.decode())
                files[part] = fetched
            for file_name, content in files.items():
                write(bundle / folder / file_name, content)
                kept.add(f"{folder}/{file_name}")
        return kept

    def _made(self, name: str) -> Apt:
        row, url = self._rows[name], self._url(name)
        key = _fetched(url + row["key"], self._folder / f"{name}.key")
        if row["fingerprint"] not in openpgp.fingerprints(key):
            raise BedplateError(
                f"{url}{row['key']} is not the key {row['fingerprint']} of catalogue_package_sources",
                remedy="find out from the vendor which key is right before anything of it is installed",
            )
        armour = "\n".join(f" {line or '.'}" for line in key.decode().strip().splitlines())
        stanza = f"Types: deb\nURIs: {url}\nSuites: /\nSigned-By:\n{armour}\n"
        apt = Apt(self._folder / name, f"{self._sources}\n{stanza}", self._distribution.architecture)
        (apt.folder / "vendor.key").write_bytes(key)
        apt.update()
        self._remember(apt, url)
        return apt

    @staticmethod
    def _remember(apt: Apt, url: str) -> None:
        """The vendor's signed list, under a name that says so."""
        lists = apt.folder / "state/lists"
        name = re.sub(r"^\w+://?/?", "", url).replace("/", "_")
        found = next(iter(lists.glob(f"*{name}*InRelease")))
        (lists / "x_InRelease_vendor").write_bytes(found.read_bytes())

    def _folder_of(self, name: str) -> str:
        row, facts = self._rows[name], self._distribution.facts
        ubuntu = facts["distribution"] == "Ubuntu"
        version = facts["distribution_version" if ubuntu else "distribution_major_version"]
        here = f"{facts['distribution']}-{version}-{facts['architecture']}"
        if here not in row["folders"]:
            raise BedplateError(
                f"{name} has no packages for {here}", remedy=f"it has: {', '.join(row['folders'])}"
            )
        return str(row["folders"][here])

    def _url(self, name: str) -> str:
        return f"{self._rows[name]['url']}/{self._folder_of(name)}/"

    def _mirrored(self, name: str) -> str:
        return f"{self._rows[name]['mirror']}/{self._folder_of(name)}"


def _fetched(url: str, path: Path, digest: str = "") -> bytes:
    words = [url, str(path), *([f"SHA256:{digest}"] if digest else [])]
    done = subprocess.run([HELPER, "download-file", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BedplateError(
            f"{url} cannot be had: {reasons(done.stderr)}",
            remedy="build where the vendor is reachable, or leave its roles out of the inventory",
        )
    return path.read_bytes()
