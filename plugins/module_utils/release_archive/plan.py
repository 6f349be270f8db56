"""What must be done so that the programs of one release are the ones that run: a pure planner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

KEPT = 1  # older releases that stay: what runs from them goes on


@dataclass(frozen=True)
class Wish:
    """A release: its key (version and digest), and the programs (names) that it has to give."""

    key: str
    programs: tuple[str, ...]


@dataclass(frozen=True)
class Host:
    """Releases that are unpacked whole, oldest first, with what is wrong with them; where each name points
    to.

    ``targets`` maps a program's name to the release that it is a link to; other files stand as ``strangers``.
    """

    releases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    strangers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Unpack:
    """Fetch, verify and unpack a release beside the others."""

    key: str
    why: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"unpack {self.key}{f' anew: {self.why}' if self.why else ''}"


@dataclass(frozen=True)
class Link:
    """Make a program the one of this release."""

    program: str
    key: str
    before: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.program}: {self.before or 'none'} -> {self.key}"


@dataclass(frozen=True)
class Drop:
    """Remove an older release."""

    key: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"remove {self.key}"


Action = Union[Unpack, Link, Drop]  # noqa: UP007  evaluated by Python 3.9


def plan(wish: Wish, host: Host, *, stage: bool = False, held: str = "") -> tuple[list[Action], list[str]]:
    """Actions in their order, and refusals; with one refusal nothing is done. ``stage``: the release is only
    unpacked; ``held``: why another version must not be switched to, and what to do instead."""
    if held and not stage:
        version = _version(wish.key)
        others = sorted({_version(key) for key in host.targets.values()} - {version})
        if others:
            return [], [f"version {', '.join(others)} runs here, not {version}: {held}"]
    refusals = [
        f"{program} is somebody else's file where the link to ours belongs; remove it, or its package"
        for program in wish.programs
        if program in host.strangers
    ]
    if refusals:
        return [], refusals
    actions: list[Action] = []
    if wish.key not in host.releases:
        actions.append(Unpack(wish.key, ""))
    elif host.releases[wish.key]:
        actions.append(Unpack(wish.key, host.releases[wish.key][0]))
    if stage:
        return actions, []
    for program in wish.programs:
        if host.targets.get(program) != wish.key:
            actions.append(Link(program, wish.key, host.targets.get(program, "")))
    older = [key for key in host.releases if key != wish.key]
    actions += [Drop(key) for key in older[: max(0, len(older) - KEPT)]]
    return actions, []


def _version(key: str) -> str:
    """Without the digest."""
    return key.rpartition("-")[0]
