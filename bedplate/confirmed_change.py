"""The controller's half of a change that may cut it off: come back over a new connection, then say so.

The host's half (armed before anything changes, takes itself back unless confirmed) is
plugins/module_utils/safe_change. This half knows nothing about Ansible, so that it can be tested with a
made-up host and clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Result = dict[str, Any]
PAUSE = 1.0
PATIENCE_AFTER_ROLLBACK = 60.0  # seconds that a host may take to be back once its own timer has run out


class NoConnection(Exception):
    """The host did not answer this time."""


@dataclass(frozen=True)
class Clock:
    """Time, replaceable in tests."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def confirm(first: Result, ask: Callable[[], Result], clock: Clock | None = None) -> Result:
    """Ask the host over new connections until it says how the change ended; the task's result.

    ``first`` is what the host said when it armed the change (``rollback_after`` in seconds, ``tried`` in
    words); ``ask`` makes a new connection and returns ``outcome``: applying, stale (the connection is older
    than the change), confirmed, unsettled (taken back at once, see ``reason``) or restored. It raises
    NoConnection.
    """
    clock = clock or Clock()
    began = clock.now()
    deadline = began + first["rollback_after"] + PATIENCE_AFTER_ROLLBACK
    cut, reason = False, ""
    while clock.now() < deadline:
        try:
            answer = ask()
        except NoConnection:
            cut = True
            clock.sleep(PAUSE)
            continue
        if answer.get("failed"):
            return answer
        seconds = round(clock.now() - began, 1)
        if answer["outcome"] == "confirmed":
            return {**first, **answer, "changed": True, "armed": False, "confirm_seconds": seconds}
        if answer["outcome"] == "restored":
            return _taken_back(first, answer, seconds, cut, reason)
        reason = answer.get("reason") or reason
        clock.sleep(PAUSE)
    return {
        "failed": True,
        "changed": True,
        "msg": f"{_tried(first)} Since then the host has not answered for {round(clock.now() - began)} s, "
        f"although it takes the change back by itself after {first['rollback_after']} s. "
        f"Look at its console: `sh {first['folder']}/restore.sh host` there does the same.",
    }


def _taken_back(first: Result, answer: Result, seconds: float, cut: bool, reason: str) -> Result:
    why = reason or (answer.get("failed_step") and f"the step `{answer['failed_step']}` failed")
    if not why:
        why = "the controller could not come back" if cut else "it was not confirmed in time"
    if answer.get("by") == "boot":
        why = "the host booted before the change was confirmed"
    return {
        "failed": True,
        "changed": False,
        "outcome": "restored",
        "rolled_back_by": answer.get("by"),
        "rollback_seconds": seconds,
        "msg": f"{_tried(first)} It was taken back: {why}. The old configuration is back after {seconds:.0f} "
        f"s{': ' + answer['now'] if answer.get('now') else ''}.",
    }


def _tried(first: Result) -> str:
    return f"Tried: {first['tried']}."
