"""Which programs of the control plane have to start again: those that began before the files which they read
only then were written. So a run that was cut off between file and start is finished by the next one.

Standard library only, Python 3.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NAME = 15  # characters of a process' name that the kernel keeps (TASK_COMM_LEN without its end)


@dataclass(frozen=True)
class Program:
    """A program and the files that it reads when it starts."""

    name: str
    files: tuple[str, ...]


def stale(
    programs: Sequence[Program],
    begun: Mapping[str, float],
    written: Mapping[str, float],
    changing: Sequence[str] = (),
) -> list[str]:
    """Names of programs to start again, in their order. ``begun``: when each that runs began; ``written``:
    when each file that is there was written, both in seconds since 1970; ``changing``: files that this very
    run would write.

    A program that does not run needs nothing: whoever starts it reads the files.
    """
    return [
        program.name
        for program in programs
        if program.name in begun
        and any(file in changing or written.get(file, 0.0) > begun[program.name] for file in program.files)
    ]


def started(stat: str, boot: float, ticks: int) -> float:
    """When a process began, in seconds since 1970: of /proc/PID/stat, the time of the last boot, and the
    kernel's ticks per second. The name may hold spaces and brackets."""
    return boot + int(stat.rpartition(")")[2].split()[19]) / ticks
