"""The last rehearsal (``rehearsal.json``) as the page shows it. Pure."""

from typing import Any

from bedplate.report.model import Occupant, Rehearsal


def rehearsal_of(document: dict[str, Any] | None) -> Rehearsal | None:
    """None where no rehearsal was run."""
    return None


def occupants_of(document: dict[str, Any] | None, host: str) -> tuple[Occupant, ...]:
    """Who got GPUs of ``host``."""
    return ()
