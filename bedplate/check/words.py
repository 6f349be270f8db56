"""What an unknown name was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.84  # two swapped or three wrong letters in a name of ordinary length; shorter names allow less
_VAGUE = 0.6


def nearest(name: str, known: Iterable[str], *, strict: bool = False) -> str:
    """The most similar known name, or nothing; ``strict``: only what must be a slip of the pen."""
    found = get_close_matches(name, sorted(set(known)), n=1, cutoff=_ALIKE if strict else _VAGUE)
    return found[0] if found else ""


def choose(name: str, known: Iterable[str]) -> str:
    """A remedy: the nearest name when there is one, otherwise all of them."""
    names = sorted(set(known))
    best = nearest(name, names)
    return f"write {best}" if best else f"write one of {', '.join(names)}"
