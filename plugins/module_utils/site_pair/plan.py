"""What a switch-over does, and what it refuses: data and pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

PRIMARY, STANDBY, NONE = "primary", "standby", "none"
FENCE, PROMOTE, FOLLOW, SYNCHRONOUS = "fence", "promote", "follow", "synchronous"


@dataclass(frozen=True)
class Seen:
    """One site's database. ``position`` is a place in the log (bytes); ``connected``: the log flows between
    this site and the other; ``lag`` in seconds, of a standby; ``fenced``: it will not start."""

    site: str
    reachable: bool = True
    running: bool = False
    role: str = NONE
    timeline: int = 0
    position: int = 0
    connected: bool = False
    synchronous: bool = False
    lag: float = 0.0
    fenced: bool = False

    @property
    def writes(self) -> bool:
        """It takes writes now."""
        return self.running and self.role == PRIMARY


@dataclass(frozen=True)
class Plan:
    """Steps as (site, what), in their order; or refusals. ``words``: the confirmation that was asked for."""

    steps: tuple[tuple[str, str], ...] = ()
    refusals: tuple[str, ...] = ()
    words: str = ""
    notes: tuple[str, ...] = ()


def seen(site: str, document: Mapping[str, Any] | None) -> Seen:
    """What a site said of itself; nothing when it could not be asked."""
    if document is None:
        return Seen(site, reachable=False)
    known = {field.name for field in fields(Seen)} - {"site", "reachable"}
    return Seen(site, **{key: value for key, value in document.items() if key in known})


def decide(sites: Iterable[Seen], to: str, confirm: str = "", powered_off: bool = False) -> Plan:
    """How ``to`` comes to be the one that takes writes. ``powered_off``: the other site's power was switched
    off by its management controller, which said so. Nothing is promoted while the other one may write."""
    both = list(sites)
    if to not in [one.site for one in both]:
        return _no(f"there is no site {to}; there are {' and '.join(one.site for one in both)}")
    new, old = sorted(both, key=lambda one: one.site != to)
    if not new.reachable:
        return _no(f"{to} does not answer: nothing can be promoted there")
    if new.writes:
        return _already(new, old)
    if new.role != STANDBY or not new.running:
        return _no(f"{to} has no running copy: make it one first (bedplate_site.py follow)")
    return _take_over(new, old, confirm, powered_off)


def _take_over(new: Seen, old: Seen, confirm: str, powered_off: bool) -> Plan:
    promote = (new.site, PROMOTE)
    if not old.reachable:
        words = f"{old.site} is off"
        if not powered_off and confirm != words:
            return Plan(
                refusals=(
                    f"{old.site} cannot be asked, and nobody knows whether it takes writes: then both would. "
                    f"Switch its power off, or cut it from its users and from {new.site}; then confirm with "
                    f'these words: -e confirm="{words}"',
                ),
                words=words,
            )
        note = f"{old.site} comes back by running this again; until then its own guard keeps it from starting"
        return Plan(steps=(promote,), words=words, notes=(*_loss(new, old), note))
    steps = ((old.site, FENCE), promote, (old.site, FOLLOW), (new.site, SYNCHRONOUS))
    if not old.writes:
        return Plan(steps=steps, notes=_loss(new, old))
    words = f"lose what {new.site} has not"
    if not new.connected and confirm != words:
        return Plan(
            refusals=(
                f"{new.site} gets nothing from {old.site} just now, which takes writes that would be lost. "
                f'Bring the copy back first; or confirm with these words: -e confirm="{words}"',
            ),
            words=words,
        )
    return Plan(steps=steps, words=words if not new.connected else "")


def _already(new: Seen, old: Seen) -> Plan:
    """It takes writes already: what is left is to make the other one its copy."""
    if old.writes:
        return _no(
            f"{new.site} and {old.site} both take writes. Choose whose writes are given up, and run "
            "`bedplate_site.py fence` there; then run this again"
        )
    if not old.reachable:
        return Plan(notes=(f"{new.site} takes writes already; {old.site} cannot be asked",))
    if old.running and old.role == STANDBY and old.connected:
        return Plan(steps=() if new.synchronous else ((new.site, SYNCHRONOUS),))
    return Plan(steps=((old.site, FOLLOW), (new.site, SYNCHRONOUS)))


def _loss(new: Seen, old: Seen) -> tuple[str, ...]:
    if old.reachable and old.synchronous:
        return ()
    return (f"what {new.site} had not received is lost, unless {old.site} waited for it (synchronous)",)


def _no(why: str) -> Plan:
    return Plan(refusals=(why,))


def may_start(fenced: bool, standby: bool, peer: Seen, synchronous: bool, alone: bool) -> str:
    """Why a server may not start, empty when it may: the guard of every start, also of one by systemd after a
    crash. A standby always may: it takes no writes."""
    if fenced:
        return f"this site is fenced: {peer.site} serves. Run a switch-over, which makes this one its copy"
    if standby:
        return ""
    if peer.writes:
        return f"{peer.site} takes writes, so this site may not; a switch-over makes this one its copy"
    if not peer.reachable and not synchronous and not alone:
        return (
            f"{peer.site} cannot be asked whether it took over, and without synchronous copies both would "
            "take writes. When you know that it has not: bedplate_site.py alone"
        )
    return ""
