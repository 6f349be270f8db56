"""What to do so that units of systemd are enabled and run as wished: a pure planner, and what systemd said.

Standard library only, Python 3.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")
RELOAD = "daemon-reload"
_RUNNING = ("active", "activating", "reloading")
_LINES = 12  # of the journal, in a message

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]
Action = tuple[str, tuple[str, ...]]  # a verb of systemctl, and names of units


@dataclass(frozen=True)
class Wish:
    """How one unit should be; None leaves it as it is. ``packaged``: its package enables and starts it."""

    name: str
    enabled: Optional[bool] = None  # noqa: UP045  evaluated by Python 3.9
    running: Optional[bool] = None  # noqa: UP045
    packaged: bool = False


@dataclass(frozen=True)
class Unit:
    """How one unit is. ``enabled`` is None where that is not a question (static and generated units);
    ``stale``: its files are newer than what systemd has read of them.
    """

    known: bool = True
    enabled: Optional[bool] = False  # noqa: UP045
    running: bool = False
    masked: bool = False
    stale: bool = False


def query(names: Iterable[str]) -> list[str]:
    """The command whose output ``parse`` reads."""
    return ["systemctl", "show", f"--property={','.join(PROPERTIES)}", *names]


def parse(names: Sequence[str], output: str) -> dict[str, Unit]:
    """Units by name: systemctl says one block for each, in the order in which they were named."""
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines()) for block in output.strip().split("\n\n")
    ]
    return {name: _unit(block) for name, block in zip(names, blocks)}  # noqa: B905  Python 3.9


def _unit(block: Mapping[str, str]) -> Unit:
    state = block["UnitFileState"]
    return Unit(
        known=block["LoadState"] != "not-found",
        enabled=None if state in ("static", "generated", "indirect") else state in ("enabled", "alias"),
        running=block["ActiveState"] in _RUNNING,
        masked=block["LoadState"] == "masked",
        stale=block["NeedDaemonReload"] == "yes",
    )


def expected(wishes: Iterable[Wish], observed: Mapping[str, Unit]) -> dict[str, Unit]:
    """The units as they will be once packages and files that check mode did not bring are there."""
    fresh = {True: Unit(enabled=True, running=True), False: Unit()}
    return {
        wish.name: observed[wish.name] if observed[wish.name].known else fresh[wish.packaged]
        for wish in wishes
    }


def plan(wishes: Sequence[Wish], observed: Mapping[str, Unit]) -> tuple[list[Action], list[str]]:
    """Actions in their order, and refusals; with one refusal nothing is done.

    systemd reads its files again before anything else where they have changed, and so does a run after one
    that was cut short between file and unit.
    """
    refusals = [_refusal(wish, observed[wish.name]) for wish in wishes]
    if any(refusals):
        return [], [text for text in refusals if text]
    wanted = {
        "enable": [w.name for w in wishes if w.enabled is True and observed[w.name].enabled is False],
        "disable": [w.name for w in wishes if w.enabled is False and observed[w.name].enabled is True],
        "start": [w.name for w in wishes if w.running is True and not observed[w.name].running],
        "stop": [w.name for w in wishes if w.running is False and observed[w.name].running],
    }
    actions: list[Action] = [(verb, tuple(names)) for verb, names in wanted.items() if names]
    if actions or any(observed[wish.name].stale for wish in wishes):
        actions.insert(0, (RELOAD, ()))
    return actions, []


def _refusal(wish: Wish, unit: Unit) -> str:
    if not (wish.enabled or wish.running):
        return ""
    if not unit.known:
        return f"systemd knows no unit {wish.name}; the package or file that brings it is missing"
    if unit.masked:
        return f"{wish.name} is masked by somebody; if that is over, run systemctl unmask {wish.name}"
    return ""


def changes(actions: Iterable[Action]) -> list[str]:
    """One line for each change; that systemd reads files again is none of its own."""
    return [f"{verb} {name}" for verb, names in actions for name in names]


def trouble(run: Run, names: Iterable[str], errors: str) -> str:
    """Why units do not start: what systemctl said, and the end of their journal."""
    units = [option for name in names for option in ("-u", name)]
    log = run(["journalctl", *units, "-n", str(_LINES), "--no-pager", "-o", "cat"])[1]
    return f"{errors.strip()}\n{log}".strip()
