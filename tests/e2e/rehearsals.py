"""What the rehearsal's end-to-end tests share: a session on a small program, and evidence with the command
that repeats it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bedplate import evidence, inventory, paths
from bedplate.rehearse.session import Session

SMALL_PROGRAM = Path(__file__).parent / "rehearsal_program"
LAB = Path("inventories/lab")


def small_session() -> Session:
    """The lab's nodes and the small program; ready for the first up when entered."""
    return Session(inventory.load(LAB), project=SMALL_PROGRAM, name="rehearsal-test")


@contextmanager
def copy_of_lab(work: Path, name: str) -> Iterator[Path]:
    """The lab's inventory under another name, for commands that use the folders of an environment: what they
    leave there goes with it, and a rehearsal of the lab that was kept is not touched."""
    try:
        yield shutil.copytree(paths.ROOT / LAB, work / name)
    finally:
        for left in (paths.artifacts(name), paths.state(name)):
            shutil.rmtree(left)


def proved(environment: str, name: str, claim: str, value: evidence.Value, test: str, **more: Any) -> None:
    """Write one record of what a test has shown; its verdict follows from value and goal. ``marker`` is the
    one that selects the test."""
    marker = more.pop("marker", "rehearsal")
    evidence.record(
        environment,
        f"platform.rehearsal.{name}",
        claim,
        value,
        proved_on="rehearsal",
        command=f"pytest -m {marker} {test}",
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
