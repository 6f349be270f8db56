"""Carries plans out until nothing is left to do, and reads everything back on the way."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import observe, wish
from .model import VOLATILE, Action, Gpu, Locks, Plan
from .plan import plan

STATE = "/run/bedplate/gpu_policy.json"  # gone after a boot, as the locks are that it remembers
_TIMEOUT = 180  # seconds; a GPU that hangs must not hang the host's start-up
_SETTLE = 1.0  # seconds after which a lock shows in the clock
_DRIVER_NOT_LOADED = (9, 12)  # exit codes of nvidia-smi: no driver, no NVML


class Refused(Exception):
    """Nothing was changed; ``reasons`` say why and what to write instead."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class NotKept(Exception):
    """A setting was made and does not read back, or nvidia-smi would not make it."""


class NoDriver(Exception):
    """There is no nvidia-smi, or no driver that it could ask."""


@dataclass(frozen=True)
class Outcome:
    """What was done (or would be), what waits, and the GPUs as they were read last."""

    done: tuple[Action, ...]
    waiting: tuple[str, ...]
    gpus: tuple[Gpu, ...]


Run = Callable[[tuple[str, ...]], str]


def nvidia_smi(program: str = "nvidia-smi") -> Run:
    """Calls nvidia-smi: arguments to output. Raises NoDriver, or NotKept with what it said."""

    def run(arguments: tuple[str, ...]) -> str:
        try:
            done = subprocess.run(
                (program, *arguments), check=False, capture_output=True, text=True, timeout=_TIMEOUT
            )
        except FileNotFoundError as error:
            raise NoDriver(f"{program} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise NotKept(f"nvidia-smi {' '.join(arguments)} did not end within {_TIMEOUT} s") from error
        said = " ".join((done.stdout + " " + done.stderr).split())
        if done.returncode in _DRIVER_NOT_LOADED:
            raise NoDriver(said)
        if done.returncode:
            raise NotKept(f"nvidia-smi {' '.join(arguments)}: {said} (exit code {done.returncode})")
        return done.stdout

    return run


@dataclass
class Memory:
    """The locks that were set; nvidia-smi shows none. ``Memory(None)`` remembers nothing beyond this run."""

    file: Path | None
    locks: Locks = field(default_factory=dict)

    @classmethod
    def at(cls, path: str, *, forget: bool = False) -> Memory:
        """What an earlier run left; ``forget``: the driver was loaded anew since."""
        file = Path(path)
        return cls(file, {} if forget or not file.exists() else json.loads(file.read_text()))

    def note(self, action: Action) -> None:
        """Remember a lock that was set or lifted."""
        domain, clock, _ = action.setting.partition(" clock lock")
        if not clock:
            return
        mine = self.locks.setdefault(action.bus, {})
        numbers = [int(number) for number in re.findall(r"\d+", action.after)]
        if numbers:
            mine[domain] = numbers
        else:
            mine.pop(domain, None)
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self.locks, sort_keys=True))


def look(run: Run) -> tuple[Gpu, ...]:
    """The GPUs as they are."""
    return observe.gpus(run(("-q", "-x")), run(("-L",)))


def make_plan(settings: Mapping[str, Any], gpus: tuple[Gpu, ...], locks: Locks, *, consent: bool) -> Plan:
    """The plan for the role's settings. Raises Refused."""
    policies, problems = wish.policies(settings, len(gpus))
    found = plan(policies, gpus, locks, consent=consent)
    if problems or found.refusals:
        raise Refused((*problems, *found.refusals))
    return found


def converge(
    settings: Mapping[str, Any], run: Run, memory: Memory, *, consent: bool, check: bool = False
) -> Outcome:
    """Bring every GPU to its policy, stage by stage, looking again after each; ``check`` only says.

    Raises Refused before anything is changed, NotKept where a setting does not stay, NoDriver.
    """
    done: list[Action] = []
    tried: set[tuple[str, str, str]] = set()
    while True:
        gpus = look(run)
        found = make_plan(settings, gpus, memory.locks, consent=consent)
        if check or not found.actions:
            return Outcome(tuple(done) or found.actions, found.waiting, gpus)
        stage = [action for action in found.actions if action.stage == found.actions[0].stage]
        for action in stage:
            _carry_out(action, run, memory, tried)
        done += stage
        if stage[0].stage == VOLATILE and any("clock lock" in action.setting for action in stage):
            time.sleep(_SETTLE)


def _carry_out(action: Action, run: Run, memory: Memory, tried: set[tuple[str, str, str]]) -> None:
    """One action; it may come up once only, since the second time means that the first was not kept."""
    key = (action.bus, action.setting, action.after)
    if key in tried:
        remedy = "boot the host" if action.setting == "reset" else "see the kernel log"
        raise NotKept(f"{action}: it was set and does not read back; {remedy}")
    tried.add(key)
    for call in action.calls:
        run(call)
    memory.note(action)
