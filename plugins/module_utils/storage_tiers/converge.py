"""Observe, plan, apply, until there is nothing left to do: the whole of what the module does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import observe
from .actions import Action, FormatLuks, MakeFilesystem
from .apply import apply
from .model import Host, Tier
from .observe import Places
from .plan import Plan, Settings, plan

ROUNDS = 5  # assemble, open, finish what a cut run began, and one that finds nothing to do


class Refused(Exception):
    """The plan has refusals; ``done`` is what earlier rounds of this run did (mostly nothing)."""

    def __init__(self, wanted: Plan, done: Sequence[Action]) -> None:
        super().__init__("\n".join(str(r) for r in wanted.refusals))
        self.refusals, self.notes, self.done = wanted.refusals, wanted.notes, tuple(done)


@dataclass
class Result:
    """What was done (or, in check mode, would be), and the host as it is afterwards."""

    host: Host
    actions: list[Action] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def created(self) -> list[str]:
        """Tiers whose filesystem was made."""
        return [a.tier for a in self.actions if isinstance(a, MakeFilesystem)]

    @property
    def encrypted(self) -> list[str]:
        """Tiers whose LUKS container was made."""
        return [a.tier for a in self.actions if isinstance(a, FormatLuks)]


def converge(tiers: Sequence[Tier], settings: Settings, places: Places, check: bool) -> Result:
    """Bring the host to the wish; with ``check`` only say how. Raises Refused, ToolFailed, Changed."""
    result = Result(_look(tiers, places))
    for _ in range(ROUNDS):
        wanted = plan(tiers, result.host, settings)
        if wanted.refusals:
            raise Refused(wanted, result.actions)
        result.notes = wanted.notes
        if not wanted.actions:
            return result
        result.actions += wanted.actions
        if check:
            return result
        for action in wanted.actions:
            apply(action, places)
        result.host = _look(tiers, places)
    raise RuntimeError(f"not done after {ROUNDS} rounds; the last plan was: {'; '.join(wanted.lines)}")


def _look(tiers: Sequence[Tier], places: Places) -> Host:
    return observe.host([t.mount for t in tiers], places)
