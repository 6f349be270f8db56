"""A new authority takes the place of the old one in three steps, with an overlap in which both are trusted.

begin: the new one is made and trusted besides the old, which still signs. switch: the new one signs; every
certificate of the old is due. finish: the old one is trusted no more.
"""

from pathlib import Path

from bedplate.errors import BedplateError
from bedplate.pki import store
from bedplate.pki.store import State

STEPS = ("begin", "switch", "finish")


def next_state(now: State, wanted: str) -> State:
    """Pure: the state after a step; a step that was done already changes nothing.

    Raises BedplateError for a step out of order.
    """
    newest = max(now.trusted)
    if wanted not in STEPS:
        raise BedplateError(f"{wanted} is no step of a rotation", remedy=f"use one of {', '.join(STEPS)}")
    if wanted == "begin":
        return now if len(now.trusted) > 1 else State(now.active, (*now.trusted, newest + 1))
    if wanted == "switch":
        return State(newest, now.trusted)
    if now.active != newest:
        raise BedplateError(
            f"authority {now.active} still signs, so it cannot go",
            remedy="run with -e step=switch first, and let every client have its new certificate",
        )
    return State(now.active, (newest,))


def step(folder: Path, wanted: str, confirm: str) -> State:
    """The state after a step. ``finish`` is refused while somebody depends on the old authority.

    Raises BedplateError.
    """
    now = store.state(folder)
    after = next_state(now, wanted)
    leaving = set(now.trusted) - set(after.trusted)
    depend = {entry.name for entry in store.valid(folder) if entry.authority in leaving}
    lost = sorted(depend - _renewed(folder, after))
    words = f"cut off {' '.join(lost)}"
    if lost and confirm != words:
        raise BedplateError(
            f"{', '.join(lost)} would be cut off: they have no certificate of authority {after.active} yet",
            remedy=f"issue them new ones (issue_client.yml), or confirm with -e confirm='{words}'",
        )
    return after


def _renewed(folder: Path, after: State) -> set[str]:
    return {entry.name for entry in store.valid(folder) if entry.authority == after.active}
