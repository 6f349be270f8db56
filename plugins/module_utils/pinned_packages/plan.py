"""What to install so that packages have exactly the wished versions, and what must not change. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

# A package of the kernel itself: what boots next, and its modules. Headers change nothing that runs.
KERNEL = ("linux-image-*", "linux-modules-[0-9]*", "linux-modules-extra-*", "linux-image")
# Above 1000 apt installs this version even where it is older than the installed one; one more than what
# pinning packages of vendors claim for themselves.
PRIORITY = 1002
_SHOWN = 6  # versions that a message lists


@dataclass(frozen=True)
class Wish:
    """One package. ``version`` is the upstream version, or a pattern with ``*`` over the whole version;
    empty: any that is there. ``remedy`` says what to do when no source has it.
    """

    name: str
    version: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Pin:
    """Shell patterns of packages, and the version (with ``*``) that apt must choose for them."""

    packages: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class Change:
    """What apt would do to one package: ``before`` is empty for a new one, ``after`` for a removed one."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.name} {self.before or 'none'} -> {self.after or 'removed'}"


def matches(version: str, wished: str) -> bool:
    """Is this package version (epoch and revision included) the wished upstream version?"""
    bare = version.partition(":")[2] if ":" in version else version
    if "*" in wished:
        return fnmatchcase(bare, wished)
    return bool(re.match(re.escape(wished) + r"(?![0-9])", bare)) if wished else bool(bare)


def lacking(wishes: Iterable[Wish], installed: Mapping[str, str]) -> list[Wish]:
    """Wishes that the installed packages (name to version) do not meet."""
    return [wish for wish in wishes if not matches(installed.get(wish.name, ""), wish.version)]


def choose(
    wishes: Iterable[Wish], installed: Mapping[str, str], offered: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[str]]:
    """Arguments for apt (NAME=VERSION) and refusals. ``offered`` maps names to versions, newest first.

    What is there already at its version is named too, so that apt keeps it; that version may have left the
    sources. What may have any version is left to dependencies and pins once it is there.
    """
    chosen, refusals = [], []
    for wish in wishes:
        have = installed.get(wish.name, "")
        if have and not wish.version:
            continue
        versions = [have] if matches(have, wish.version) else list(offered.get(wish.name, ()))
        fitting = next((version for version in versions if matches(version, wish.version)), "")
        if fitting:
            chosen.append(f"{wish.name}={fitting}" if wish.version else wish.name)
        else:
            refusals.append(_missing(wish, versions))
    return chosen, refusals


def _missing(wish: Wish, versions: Sequence[str]) -> str:
    wanted = f"{wish.name} {wish.version}".strip()
    if not versions:
        text = f"no package source has {wanted}"
    else:
        shown = ", ".join(_nearest(wish.version, versions))
        text = f"no package source has {wanted}; there are {shown}"
    return f"{text}; {wish.remedy or 'mirror it, or choose a version that is there'}"


def _nearest(wished: str, versions: Sequence[str]) -> list[str]:
    """The offered versions, those that begin most like the wished one first."""

    def alike(version: str) -> int:
        return sum(version.startswith(wished[:length]) for length in range(len(wished) + 1))

    return sorted(dict.fromkeys(versions), key=alike, reverse=True)[:_SHOWN]


def exact_needs(control: str) -> list[str]:
    """NAME=VERSION of every dependency of a package that names one version and no alternative, from what
    ``apt-cache show`` prints of it.
    """
    needs = re.findall(r"(?m)^(?:Pre-)?Depends: (.+)$", control)
    found = (
        re.fullmatch(r"\s*([a-z0-9.+-]+)(?::\w+)? \(= (\S+)\)\s*", n) for n in ",".join(needs).split(",")
    )
    return [f"{match[1]}={match[2]}" for match in found if match]


def simulated(output: str) -> list[Change]:
    """What ``apt-get --simulate`` said that it would do."""
    changes = []
    for line in output.splitlines():
        new = re.match(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+) ", line)
        gone = re.match(r"(?:Remv|Purg) (\S+) \[(\S+)\]", line)
        if new:
            changes.append(Change(new[1], new[2] or "", new[3]))
        elif gone:
            changes.append(Change(gone[1], gone[2], ""))
    return changes


def judge(
    changes: Iterable[Change], wishes: Iterable[Wish], family: Sequence[str], held: Container[str] = ()
) -> list[str]:
    """Why this must not happen: another kernel; strangers (not of ``family``, which are patterns) that would
    be removed, or changed although they are ``held``.
    """
    named = {wish.name for wish in wishes}
    refusals = []
    for change in changes:
        name = change.name.partition(":")[0]
        if name not in named and _any(name, KERNEL):
            refusals.append(
                f"apt would change the kernel with it ({change}), which is never done here; install that"
                " kernel and boot it first, or mirror the packages for the one that runs"
            )
        elif not change.after and not _any(name, family):
            refusals.append(
                f"apt would remove {name} {change.before} for it; remove it yourself, or hold it apart"
            )
        elif change.before and name in held and name not in named and not _any(name, family):
            refusals.append(f"apt would change {change}, which is on hold; lift the hold if that is right")
    return refusals


def preferences(name: str, pins: Iterable[Pin]) -> str:
    """The file that pins, for /etc/apt/preferences.d."""
    head = f"# Written by Bedplate: versions that belong together ({name}).\n"
    blocks = [
        f"Package: {' '.join(pin.packages)}\nPin: version {pin.version}\nPin-Priority: {PRIORITY}\n"
        for pin in pins
    ]
    return "\n".join([head, *blocks]) if blocks else ""


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
