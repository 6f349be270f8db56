"""Which copy of a program is used: our own build of the pinned version, or one of this machine."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bedplate.errors import BedplateError
from bedplate.tools import build, golang, spec
from bedplate.tools.spec import Existing, Program

Source = Literal["built", "existing", "missing"]


@dataclass(frozen=True)
class Found:
    """Where a program is; ``path`` is None when it is missing. ``version`` is what that copy says it is."""

    program: Program
    source: Source
    path: Path | None
    version: str


def find(programs: Iterable[Program], go: golang.Go | None = None) -> list[Found]:
    """Every program with the copy that is used: a build of ours first, then one of the machine."""
    go = go or golang.find()
    found: dict[str, Found] = {}
    for program in programs:
        found[program.name] = _find(program, go, found)
    return list(found.values())


def require(set_name: str) -> dict[str, Path]:
    """Paths of all programs of a set by name. Raises BedplateError naming every one that is missing."""
    chosen = [program for program in spec.load().values() if program.set == set_name]
    found = find(chosen)
    missing = [entry.program.name for entry in found if entry.path is None]
    if missing:
        raise BedplateError(
            f"not built yet: {', '.join(missing)}",
            remedy="run `bedplate tools build` (once; up to 20 minutes on two cores, then cached)",
        )
    return {entry.program.name: entry.path for entry in found if entry.path}


def accepts(existing: Existing, wanted: str, answer: str) -> bool:
    """Pure: whether a program that answers ``answer`` may stand in for version ``wanted``."""
    here, ours = spec.version_tuple(answer), spec.version_tuple(wanted)
    if not here:
        return False
    if existing.agree == "major":
        return here[0] == ours[0] and here >= ours
    if existing.agree == "minor":
        return here[:2] == ours[:2]
    return here == ours


def _find(program: Program, go: golang.Go | None, others: dict[str, Found]) -> Found:
    if go:
        own = build.folder(program, go) / program.name
        if own.exists():
            return Found(program, "built", own, program.version)
    existing = program.existing
    if existing and existing.beside:
        neighbour = others.get(existing.beside)
        if neighbour and neighbour.source == "existing" and neighbour.path:
            path = neighbour.path.with_name(program.name)
            if path.exists():
                return Found(program, "existing", path, neighbour.version)
    elif existing:
        search = os.pathsep.join(
            [os.environ.get("PATH", ""), *(str(Path(f).expanduser()) for f in existing.folders)]
        )
        on_path = shutil.which(program.name, path=search)
        if on_path:
            answer = _ask([on_path, *existing.arguments])
            if accepts(existing, program.version, answer):
                return Found(
                    program, "existing", Path(on_path), ".".join(map(str, spec.version_tuple(answer)))
                )
    return Found(program, "missing", None, program.version)


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f"{done.stdout}\n{done.stderr}"
