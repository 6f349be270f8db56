"""The wish as the inventory words it: from dictionaries to tiers, with every rule that needs no host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .layout import KIB, MIB, size
from .model import CLASSES, SMALLEST, Tier

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,16}[a-z0-9])?")  # md keeps 32 bytes for "any:bedplate-NAME"
_TAKEN = (
    "/",
    "/boot",
    "/boot/efi",
    "/etc",
    "/home",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/tmp",  # noqa: S108 a word to refuse, not a place to write to
    "/usr",
    "/var",
)


class Unclear(ValueError):
    """The wish breaks a rule; the message names value and remedy."""


def tiers(wishes: Sequence[dict[str, Any]]) -> tuple[Tier, ...]:
    """Tiers from module options. Raises Unclear with every broken rule, one a line."""
    problems: list[str] = []
    made: list[Tier] = []
    for wish in wishes:
        try:
            made.append(_tier(wish))
        except (ValueError, KeyError) as error:
            problems.append(f"tier {wish.get('name', '?')}: {error}")
    problems += _together(made)
    if problems:
        raise Unclear("\n".join(problems))
    return tuple(made)


def _tier(wish: dict[str, Any]) -> Tier:
    serials = tuple(str(s).strip() for s in wish.get("disks") or ())
    kind, count = wish.get("class") or "", wish.get("count")
    if bool(serials) == bool(kind):
        raise ValueError("name its disks either by `disks` (serials) or by `class` and `count`, not both")
    if kind and (kind not in CLASSES or not count):
        raise ValueError(f"`class` {kind!r} must be one of {', '.join(CLASSES)} and needs an exact `count`")
    tier = Tier(
        name=str(wish["name"]),
        raid=int(wish["raid"]),
        mount=str(wish["mount"]).rstrip("/") or "/",
        count=len(serials) or int(count or 0),
        kind=kind,
        serials=serials,
        encrypt=bool(wish.get("encrypt")),
        chunk=size(wish["chunk"]) if wish.get("chunk") else 0,
        read_ahead=size(wish["read_ahead"]) if wish.get("read_ahead") else 0,
    )
    for problem in _rules(tier):
        raise ValueError(problem)
    return tier


def _rules(tier: Tier) -> list[str]:
    problems = []
    if not NAME.fullmatch(tier.name):
        problems.append(f"name {tier.name!r} must be 1 to 18 of a-z, 0-9 and -, with no - at either end")
    if tier.raid not in SMALLEST:
        levels = ", ".join(str(level) for level in SMALLEST)
        problems.append(f"`raid` {tier.raid} is not made here; choose one of {levels}")
    elif tier.count < SMALLEST[tier.raid]:
        problems.append(f"RAID {tier.raid} needs at least {SMALLEST[tier.raid]} disks, not {tier.count}")
    if len(set(tier.serials)) != len(tier.serials):
        problems.append("a serial stands twice in `disks`; name every disk once")
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", tier.mount) or ".." in tier.mount or tier.mount in _TAKEN:
        problems.append(
            f"`mount` {tier.mount!r} must be an absolute path of its own, for example /srv/{tier.name}"
        )
    if tier.chunk and (tier.chunk & (tier.chunk - 1) or not 4 * KIB <= tier.chunk <= 16 * MIB):
        problems.append(f"`chunk` {tier.chunk} must be a power of two from 4KiB to 16MiB")
    return problems


def _together(made: Sequence[Tier]) -> list[str]:
    problems = []
    for what, values in (
        ("name", [t.name for t in made]),
        ("mount", [t.mount for t in made]),
        ("disk", [s for t in made for s in t.serials]),
    ):
        for value in sorted({v for v in values if values.count(v) > 1}):
            problems.append(f"two tiers share the {what} {value}; give each its own")
    return problems
