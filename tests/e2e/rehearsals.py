"""What the rehearsal's end-to-end tests share: a session on a small program, and evidence with the command
that repeats it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bedplate import evidence, inventory
from bedplate.rehearse.session import Session

SMALL_PROGRAM = Path(__file__).parent / "rehearsal_program"
LAB = Path("inventories/lab")


def small_session() -> Session:
    """The lab's nodes and the small program; ready for the first up when entered."""
    return Session(inventory.load(LAB), project=SMALL_PROGRAM, name="rehearsal-test")


def proved(environment: str, name: str, claim: str, value: evidence.Value, test: str, **more: Any) -> None:
    """Write one record of what a test has shown; its verdict follows from value and goal."""
    command = (
        f"pytest -m rehearsal {test}" if more.pop("marker", "") != "chaos" else f"pytest -m chaos {test}"
    )
    evidence.record(
        environment,
        f"platform.rehearsal.{name}",
        claim,
        value,
        proved_on="rehearsal",
        command=command,
        **more,
    )


def after_steps(count: int, act: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    """Do something once, when Pulumi has begun with that many resources."""
    seen = 0

    def on_event(event: dict[str, Any]) -> None:
        nonlocal seen
        if "resourcePreEvent" in event:
            seen += 1
            if seen == count:
                act()

    return on_event
