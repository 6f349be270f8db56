"""Which packages to hold at their version: a pure planner over dpkg's selections."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

ABSENT = ("not-installed", "config-files")  # dpkg knows the name, but nothing of it can be upgraded


@dataclass(frozen=True)
class Package:
    """One package of dpkg's list: ``want`` is its selection (install, hold, …), ``status`` what it is."""

    name: str
    want: str
    status: str


def parse(listing: str) -> list[Package]:
    """The output of ``dpkg-query -W -f '${binary:Package}\\t${db:Status-Want}\\t${db:Status-Status}\\n'``."""
    return [Package(*line.split("\t")) for line in listing.splitlines()]


def plan(packages: list[Package], held: list[str], released: list[str]) -> tuple[list[str], list[str]]:
    """Names to hold and names to release. Patterns are shell patterns; ``held`` wins over ``released``.

    Only packages that are there are held, an upgrade that was cut short included: one that is not there yet
    can still be installed.
    """
    there = [package for package in packages if package.status not in ABSENT]
    hold = [p.name for p in there if p.want != "hold" and _matches(p.name, held)]
    release = [
        p.name
        for p in there
        if p.want == "hold" and _matches(p.name, released) and not _matches(p.name, held)
    ]
    return hold, release


def _matches(name: str, patterns: list[str]) -> bool:
    names = {name, name.partition(":")[0]}  # libc6:amd64, libc6
    return any(fnmatchcase(one, pattern) for one in names for pattern in patterns)
