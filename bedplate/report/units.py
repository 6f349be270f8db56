"""Sizes, rates and times as the page shows them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bedplate import units

_FACTORS = {"P": 10**15, "T": 10**12, "G": 10**9, "M": 10**6, "K": 10**3}
_BINARY = {"T": 2**40, "G": 2**30, "M": 2**20}
_MINUTE, _HOUR = 60, 3600
_SMALL = 100  # below this a figure keeps its decimals


def parse_bytes(text: object) -> int:
    """``3.84TB`` in bytes; 0 for what is not a size (the inventory check complains, the page does not)."""
    try:
        return units.parse_bytes(str(text))
    except ValueError:
        return 0


def size(count: int) -> str:
    """Bytes as disks are sold: decimal units, three significant places (``11.5 TB``)."""
    for prefix, factor in _FACTORS.items():
        if count >= factor:
            return f"{_trim(count / factor)} {prefix}B"
    return f"{count} B"


def memory(count: int) -> str:
    """Bytes as memory is sold: binary units (``512 GiB``, ``2 TiB``)."""
    for prefix, factor in _BINARY.items():
        if count >= factor:
            return f"{_trim(count / factor)} {prefix}iB"
    return f"{count} B"


def number(value: Any) -> str:
    """A figure with thousands separators; text and truth values in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() or abs(value) >= _SMALL else f"{value:,.3g}"
    return str(value)


def goal(text: str) -> str:
    """A goal such as ``<= 5000`` as it is read: ``≤ 5,000``; ``== 0`` is just ``0``."""
    match = re.fullmatch(r"\s*(<=|>=|==|<|>)\s*(-?\d+(?:\.\d+)?)\s*", text)
    if not match:
        return text
    signs = {"<=": "≤ ", ">=": "≥ ", "==": ""}
    return signs.get(match[1], f"{match[1]} ") + (number(int(match[2])) if match[2].isdigit() else match[2])


def count(amount: int, noun: str) -> str:
    """``1 host``, ``1,000 hosts``."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``4.2 s``, ``7 min 05 s``, ``1 h 02 min``."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def moment(text: object) -> str:
    """An ISO 8601 time or a Unix time as ``2026-11-23 05:30`` UTC; anything else unchanged."""
    try:
        when = (
            datetime.fromtimestamp(text, UTC)
            if isinstance(text, int | float)
            else datetime.fromisoformat(str(text))
        )
    except ValueError:
        return str(text)
    if when.tzinfo:
        when = when.astimezone(UTC)
    return when.strftime("%Y-%m-%d %H:%M")


def speed(text: object) -> str:
    """A NIC's speed with a space: ``100 Gbit/s``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([GM])bit(?:/s)?", str(text))
    return f"{match[1]} {match[2]}bit/s" if match else str(text)


def gpu(model: str) -> str:
    """``h100-sxm5-80gb`` as it stands on the box: ``H100 SXM5 80 GB``."""
    words = [re.sub(r"^(\d+)gb$", r"\1 GB", word) for word in model.split("-")]
    return " ".join(word if word.endswith(" GB") else word.upper() for word in words)


def _trim(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value < _SMALL else f"{value:.0f}"
