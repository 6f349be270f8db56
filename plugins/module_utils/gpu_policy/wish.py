"""What the inventory says, as one policy per GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .model import Clocks, Policy, Range

LEAVE, NONE = "leave", "none"  # words for MIG that are no layout's name
Layouts = Mapping[str, Mapping[str, Any]]


def policies(settings: Mapping[str, Any], count: int) -> tuple[dict[int, Policy], list[str]]:
    """One policy for each of ``count`` GPUs, and what cannot be meant.

    ``settings`` are the role's variables without their prefix, with ``layouts`` from catalogue_mig. A later
    override wins over an earlier one, and only in what it names.
    """
    layouts = settings.get("layouts") or {}
    problems: list[str] = []
    common = _policy(Policy(), settings, layouts, problems)
    found = {index: common for index in range(count)}
    for override in settings.get("overrides") or ():
        for index in override["gpus"]:
            if index in found:
                found[index] = _policy(found[index], override, layouts, problems)
            else:
                problems.append(f"overrides name GPU {index}, and the host has {_numbered(count)}")
    return found, list(dict.fromkeys(problems))


def _policy(base: Policy, said: Mapping[str, Any], layouts: Layouts, problems: list[str]) -> Policy:
    """``base`` with what ``said`` sets; what is None was not said."""
    plain = ("persistence", "power_limit", "compute_mode", "ecc")
    found = replace(base, **{name: said[name] for name in plain if said.get(name) is not None})
    if said.get("application_clocks") is not None:
        clocks = said["application_clocks"]
        found = replace(
            found, application_clocks=Clocks(clocks["memory"], clocks["graphics"]) if clocks else None
        )
    if said.get("locked_clocks") is not None:
        graphics, memory = (_range(said["locked_clocks"].get(name)) for name in ("graphics", "memory"))
        found = replace(found, locked_graphics=graphics, locked_memory=memory)
    if said.get("mig") is not None:
        found = replace(found, mig=_layout(said["mig"], layouts, problems))
    return found


def _layout(name: str, layouts: Layouts, problems: list[str]) -> tuple[str, ...] | None:
    if name in (LEAVE, NONE):
        return None if name == LEAVE else ()
    if name not in layouts:
        problems.append(
            f"there is no MIG layout {name}: use one of {', '.join([LEAVE, NONE, *sorted(layouts)])}"
        )
        return None
    devices: Mapping[str, int] = layouts[name]["devices"]
    return tuple(sorted(profile for profile, number in devices.items() for _ in range(number)))


def _range(said: Sequence[int] | None) -> Range | None:
    return Range(min(said), max(said)) if said else None


def _numbered(count: int) -> str:
    return "none" if count == 0 else "GPU 0" if count == 1 else f"GPUs 0 to {count - 1}"
