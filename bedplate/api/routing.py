"""Which back end gets a request, and when a canary is taken back. Pure: dice are the request's own id."""

import hashlib
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

from bedplate.api.policy import Backend, Guard, Served
from bedplate.api.refused import Refused

STEP = 1.2  # between two bins of first-byte times: a percentile is known to a fifth
PERCENTILE = 0.95


@dataclass(frozen=True)
class Outcome:
    """Requests of one back end in the time that is judged: how many, how many failed, and how many of the
    good ones were in each bin of first-byte times (see `bin_of`)."""

    total: int = 0
    failed: int = 0
    bins: tuple[tuple[int, int], ...] = ()


def choose(served: Served, request: str, account: str, withdrawn: Container[str]) -> Backend:
    """The back end of this request. Shares of back ends that were withdrawn fall to the others. Raises
    Refused when none is left."""
    left = [b for b in served.backends if b.weight and b.name not in withdrawn]
    if not left:
        raise Refused(503, "no_backend", "nothing serves this model now", {"retry-after": "30"})
    seed = f"{served.name}/{account if served.sticky else request}"
    point = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") % sum(b.weight for b in left)
    for backend in left:
        point -= backend.weight
        if point < 0:
            return backend
    raise AssertionError("weights add up")


def verdict(guard: Guard, canary: Outcome, others: Outcome) -> str:
    """Why a canary is taken back, empty while it is not. It is not waited for ``least`` requests when so many
    have failed already that they cannot make it good."""
    allowed = guard.errors * max(canary.total, guard.least)
    if canary.failed > allowed:
        share = f"{guard.errors:.0%} of {max(canary.total, guard.least)}"
        return f"{canary.failed} of {canary.total} requests failed, more than {share}"
    good = canary.total - canary.failed, others.total - others.failed
    if min(good) < guard.least:
        return ""
    slow, usual = percentile(canary.bins), percentile(others.bins)
    if slow > guard.latency * usual:
        return f"the first byte took {slow:.0f} ms, of the others {usual:.0f} ms (95th percentile)"
    return ""


def bin_of(milliseconds: float) -> int:
    """The bin of a first-byte time."""
    return max(0, math.ceil(math.log(max(milliseconds, 1), STEP)))


def percentile(bins: Sequence[tuple[int, int]]) -> float:
    """Upper end, in milliseconds, of the bin that the 95th percentile is in."""
    total, seen = sum(count for _, count in bins), 0
    for number, count in sorted(bins):
        seen += count
        if seen >= PERCENTILE * total:
            return STEP**number
    return 0.0
