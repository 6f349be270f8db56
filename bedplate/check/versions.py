"""Versions and what they are held against: ``>=2.3``, ``>=2.1.5,<2.2|>=1.7.28``, ``1.36``.

Both sides are compared at the precision of the bound: ``580.178.04`` is ``<=580``, ``2.3.1`` is not ``<2.3``.
"""

import operator
import re
from collections.abc import Callable, Sequence
from itertools import zip_longest

Version = tuple[int, ...]
_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "": operator.eq,
}


def parse(text: str) -> Version:
    """``580.178.04`` as (580, 178, 4). Raises ValueError for anything else."""
    return tuple(int(part) for part in text.split("."))


def matches(version: str, bounds: str) -> bool:
    """Does ``version`` meet ``bounds``? A comma joins, a bar separates alternatives."""
    return any(all(_meets(version, one) for one in choice.split(",")) for choice in bounds.split("|"))


def _meets(version: str, bound: str) -> bool:
    found = re.fullmatch(r"\s*(>=|<=|==|>|<|)\s*(\d+(?:\.\d+)*)\s*", bound)
    if not found:
        raise ValueError(f"{bound!r} is not a bound such as >=2.3")
    limit = parse(found[2])
    padded = parse(version) + (0,) * len(limit)
    return _COMPARE[found[1]](padded[: len(limit)], limit)


def nearest(version: str, bounds: Sequence[str]) -> str:
    """The bound whose first number is nearest to ``version``."""

    def distance(bound: str) -> Version:
        found = re.search(r"\d+(?:\.\d+)*", bound)
        pairs = zip_longest(parse(version), parse(found[0]) if found else (), fillvalue=0)
        return tuple(abs(one - other) for one, other in pairs)

    return min(bounds, key=distance)
