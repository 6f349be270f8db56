"""Evidence: whatever proves something writes a record here, and claims are made only from records.

A record holds: id, claim (one sentence), value, unit, goal, verdict (pass, fail, info), proved_on (twin,
rehearsal, program, gpu, unit), machine, command, time (UTC, ISO 8601). The verdict is never given by hand: it
follows from value and goal.
"""

import json
import operator
import os
import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bedplate import paths

ProvedOn = Literal["twin", "rehearsal", "program", "gpu", "unit"]
Value = float | int | str | bool
AREAS = (
    "hosts",
    "api",
    "platform",
    "kubernetes",
    "gpu",
    "gateway",
    "data",
    "monitoring",
    "logs",
    "backup",
    "recovery",
    "planning",
)

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True)
class Evidence:
    """One measured claim, as written to ``artifacts/ENV/evidence.jsonl``."""

    id: str
    claim: str
    value: Value
    unit: str
    goal: str
    verdict: str
    proved_on: str
    machine: dict[str, str | int]
    command: str
    time: str


def judge(value: Value, goal: str) -> str:
    """``pass`` or ``fail`` for a goal such as ``< 25`` or ``== 0``; ``info`` where no goal is set."""
    if not goal:
        return "info"
    match = re.fullmatch(r"\s*(<=|>=|==|<|>)\s*(-?\d+(?:\.\d+)?)\s*", goal)
    if not match:
        raise ValueError(f"goal {goal!r} is not an operator and a number, for example '< 25'")
    return "pass" if _OPERATORS[match[1]](float(value), float(match[2])) else "fail"


def record(
    environment: str,
    id: str,
    claim: str,
    value: Value,
    *,
    unit: str = "",
    goal: str = "",
    proved_on: ProvedOn,
    command: str,
    machine: dict[str, str | int] | None = None,
) -> Evidence:
    """Judge and append one record; ``command`` is what anyone can run to see the same."""
    if id.split(".", maxsplit=1)[0] not in AREAS:
        raise ValueError(f"evidence id {id!r} must begin with one of {', '.join(AREAS)}")
    here: dict[str, str | int] = {"cores": os.cpu_count() or 1, "arch": platform.machine()}
    entry = Evidence(
        id=id,
        claim=claim,
        value=value,
        unit=unit,
        goal=goal,
        verdict=judge(value, goal),
        proved_on=proved_on,
        machine=here | (machine or {}),
        command=command,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with _file(environment).open("a") as file:
        file.write(json.dumps(asdict(entry)) + "\n")
    return entry


def read(environment: str) -> list[Evidence]:
    """The newest record of every id, in order of id."""
    latest: dict[str, Evidence] = {}
    if _file(environment).exists():
        for line in _file(environment).read_text().splitlines():
            entry = Evidence(**json.loads(line))
            latest[entry.id] = entry
    return [latest[key] for key in sorted(latest)]


def _file(environment: str) -> Path:
    return paths.artifacts(environment) / "evidence.jsonl"
