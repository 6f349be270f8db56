"""Distributions whose packages a bundle can hold, and where this machine has them from."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.errors import BAD_INPUT, BedplateError
from bedplate.twin.image import APT, deb_sources

# Code names, which stand in package sources, by distribution and version as Ansible's facts have them.
CODE_NAMES = {
    ("Debian", "12"): "bookworm",
    ("Debian", "13"): "trixie",
    ("Ubuntu", "22.04"): "jammy",
    ("Ubuntu", "24.04"): "noble",
}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # Debian's name of an architecture, and the kernel's


@dataclass(frozen=True)
class Distribution:
    """One distribution for one architecture (``amd64``)."""

    name: str
    version: str
    architecture: str = "amd64"

    @property
    def code_name(self) -> str:
        """``bookworm``."""
        return CODE_NAMES[self.name, self.version]

    @property
    def archives(self) -> list[dict[str, Any]]:
        """Folders below the mirror and their suites, as role base writes them: [{path, suites}]."""
        found: list[dict[str, Any]] = _served(self.name)["archives"]
        return found

    @property
    def components(self) -> list[str]:
        """Parts of an archive that role base names."""
        found: list[str] = _served(self.name)["components"]
        return found

    @property
    def facts(self) -> dict[str, str]:
        """What Ansible would find on such a host; the kernel is the newest, by its package's own name."""
        return {
            "distribution": self.name,
            "distribution_version": self.version,
            "distribution_major_version": self.version.partition(".")[0],
            "distribution_release": self.code_name,
            "os_family": "Debian",
            "pkg_mgr": "apt",
            "architecture": MACHINES[self.architecture],
            "kernel": self.architecture if self.name == "Debian" else "generic",
        }

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.architecture}"


def parse(text: str, architecture: str) -> Distribution:
    """``Debian-12`` as a distribution, or empty for this machine's. Raises BedplateError for others."""
    here = platform.freedesktop_os_release()
    name, _, version = (text or f"{here['ID'].title()}-{here.get('VERSION_ID', '')}").partition("-")
    if (name, version) not in CODE_NAMES or architecture not in MACHINES:
        known = ", ".join("-".join(key) for key in CODE_NAMES)
        raise BedplateError(
            f"packages of {name}-{version} {architecture} are not known",
            remedy=f"name one of {known} with --distribution, {', '.join(MACHINES)} with --architecture",
            code=BAD_INPUT,
        )
    return Distribution(name, version, architecture)


def sources(distribution: Distribution, given: Path | None = None, apt: Path = APT) -> str:
    """Where its packages come from, in deb822 form: ``given``, or what this machine's apt has of it.

    Raises BedplateError where this machine is of another distribution and nothing is given.
    """
    if given:
        return given.read_text()
    listed = [*apt.glob("sources.list"), *sorted(apt.glob("sources.list.d/*"))]
    stanzas = [s for f in listed for s in deb_sources(f.name, f.read_text(), distribution.code_name)]
    if not stanzas:
        raise BedplateError(
            f"this machine's apt knows no source of {distribution}",
            remedy="write its sources into a file in deb822 form and name it with --apt-sources",
            code=BAD_INPUT,
        )
    return "\n\n".join(stanzas) + "\n"


def _served(name: str) -> dict[str, Any]:
    words = yaml.safe_load((paths.ROLES / "base" / "vars" / "main.yml").read_text())
    found: dict[str, Any] = words["__base_archives"][name]
    return found
