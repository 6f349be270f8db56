"""What an authority lacks: a pure planner over its certificates and revocation lists.

An authority is a generation (1, 2, …): a root and one intermediate under it, each with a revocation list.
One generation is active (it signs), one or more are trusted (during a rotation: the old one and the new).
Times are seconds since the epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

DAY = 86400
What = Literal["root", "intermediate", "root_crl", "crl"]
NEED_ROOT: tuple[What, ...] = ("intermediate", "root_crl")
WHY_LATER = "its end is near"


@dataclass(frozen=True)
class Crl:
    """A revocation list: when it ends, the serial numbers on it."""

    next_update: float
    serials: frozenset[int]


@dataclass(frozen=True)
class Generation:
    """What lies in the folder of one generation; an end of None means that the certificate is not there."""

    root_end: float | None = None
    root_key: bool = False
    root_crl: Crl | None = None
    intermediate_end: float | None = None
    intermediate_key: bool = False
    intermediate_ours: bool = True  # its root signed it, and its key is the one beside it
    crl: Crl | None = None


@dataclass(frozen=True)
class Policy:
    """Days: lives of what is made, and the share of a life that may be left before it is renewed."""

    root_days: int
    intermediate_days: int
    leaf_days: int
    crl_days: int
    root_crl_days: int
    renew_share: float = 1 / 3


@dataclass(frozen=True)
class Action:
    """One thing to make, and why."""

    generation: int
    what: What
    why: str

    def as_dict(self) -> dict[str, Any]:
        """As Ansible's tasks read it."""
        return {"generation": self.generation, "what": self.what, "why": self.why}


@dataclass(frozen=True)
class Plan:
    """What to make, in order; what cannot be made and must be; what cannot be made and will have to be."""

    actions: tuple[Action, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def plan(
    trusted: Sequence[int],
    found: Mapping[int, Generation],
    revoked: Mapping[int, frozenset[int]],
    policy: Policy,
    now: float,
) -> Plan:
    """Actions for every trusted generation. ``revoked`` maps a generation to serials of its intermediate."""
    actions: list[Action] = []
    refusals: list[str] = []
    warnings: list[str] = []
    for number in trusted:
        has = found.get(number, Generation())
        for action in _wanted(number, has, revoked.get(number, frozenset()), policy, now):
            problem = _impossible(action, has)
            if not problem:
                actions.append(action)
            elif action.why == WHY_LATER:
                warnings.append(problem)
            else:
                refusals.append(problem)
    return Plan(tuple(actions), tuple(refusals), tuple(warnings))


def _wanted(
    number: int, has: Generation, revoked: frozenset[int], policy: Policy, now: float
) -> Iterator[Action]:
    if has.root_end is None:
        yield Action(number, "root", "there is none")
    issuer = _due_intermediate(has, policy, now)
    if issuer:
        yield Action(number, "intermediate", issuer)
    why = _due_crl(has.root_crl, frozenset(), policy.root_crl_days, policy, now)
    if why:
        yield Action(number, "root_crl", why)
    why = _due_crl(has.crl, revoked, policy.crl_days, policy, now)
    if why:
        yield Action(number, "crl", why)


def _due_intermediate(has: Generation, policy: Policy, now: float) -> str:
    """A certificate must not outlive its issuer, so the issuer is renewed a leaf's life before its end."""
    if has.intermediate_end is None or has.root_end is None:
        return "there is none"
    if not has.intermediate_ours:
        return "what is there is not of this root and this key"
    left = has.intermediate_end - now
    if left <= policy.leaf_days * DAY:
        return "certificates would outlive it"
    later = min(policy.intermediate_days * policy.renew_share, policy.leaf_days * 2) * DAY
    longer = min(policy.intermediate_days * DAY, has.root_end - now) > left + DAY
    return WHY_LATER if left <= later and longer else ""


def _due_crl(crl: Crl | None, revoked: frozenset[int], days: int, policy: Policy, now: float) -> str:
    if crl is None:
        return "there is none"
    if not revoked <= crl.serials:
        return "it does not have every certificate that was revoked"
    if crl.next_update <= now:
        return "it has ended, and an ended list refuses everybody"
    return WHY_LATER if crl.next_update - now <= days * DAY * policy.renew_share else ""


def _impossible(action: Action, has: Generation) -> str:
    """Why an action lacks its key; nothing where it has it, or where the plan makes it."""
    new = has.root_end is None
    if action.what in NEED_ROOT and not new and not has.root_key:
        needs = {"intermediate": "the intermediate", "root_crl": "the root's revocation list"}[action.what]
        return (
            f"authority {action.generation}: {needs} must be signed anew ({action.why}), and the root's key"
            f" is not there; bring {action.generation}/root.key back for one run"
        )
    if action.what == "crl" and has.intermediate_end is not None and not has.intermediate_key:
        return (
            f"authority {action.generation}: the revocation list must be signed anew ({action.why}), and"
            f" {action.generation}/intermediate.key is not there; restore it from its backup"
        )
    return ""
