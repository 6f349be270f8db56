"""Observe, plan, apply: the whole of what the module does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .apply import Done, Work, apply
from .cache import Cache
from .model import Host, Model, Policy, StoreError
from .observe import observe
from .places import Places, locked
from .plan import Plan, plan
from .sources import Source


@dataclass(frozen=True)
class Settings:
    """How to go about it: files at a time, whether every byte is read again, bytes to leave free in the
    cache."""

    jobs: int = 4
    full: bool = False
    cache_floor: int = 0


class Refused(StoreError):
    """The plan has refusals; nothing was done."""

    def __init__(self, wanted: Plan) -> None:
        super().__init__("\n".join(str(refusal) for refusal in wanted.refusals))
        self.refusals = wanted.refusals


@dataclass(frozen=True)
class Result:
    """The plan, what was done of it (nothing in check mode), and the host as it was before."""

    plan: Plan
    done: Done
    before: Host


def converge(
    models: Sequence[Model],
    policy: Policy,
    places: Places,
    sources: Sequence[Source],
    settings: Settings,
    *,
    check: bool = False,
) -> Result:
    """Bring the store to the wish; with ``check`` only say how. Raises Refused, StoreError, OSError."""
    if check:
        before = observe(models, places, sources, settings.full, settings.jobs)
        return Result(_accepted(models, policy, before), Done(), before)
    if not models and not places.store.exists():
        return Result(Plan(), Done(), Host(0))
    places.prepare()
    with locked(places):
        before = observe(models, places, sources, settings.full, settings.jobs)
        wanted = _accepted(models, policy, before)
        cache = Cache(places.cache, settings.cache_floor) if places.cache else None
        work = Work(places, sources, cache, settings.jobs, {there.path: there for there in before.installed})
        return Result(wanted, apply(wanted.actions, work), before)


def _accepted(models: Sequence[Model], policy: Policy, host: Host) -> Plan:
    wanted = plan(models, policy, host)
    if wanted.refusals:
        raise Refused(wanted)
    return wanted
