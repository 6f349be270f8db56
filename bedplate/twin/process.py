"""Processes that outlive the command that started them, and are found again without taking a stranger for
them.

A record is a file with the process id and its start time; an id that was given to another process since
then has another start time, and is left alone.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from bedplate.errors import BedplateError


def start(record: Path, command: list[str], *, cwd: Path, log: Path) -> None:
    """Start ``command`` in a session of its own and write ``record``; output goes to ``log``."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    record.write_text(f"{process.pid} {_started(process.pid)}\n")


def alive(record: Path) -> int | None:
    """Id of the recorded process if it still runs, else None."""
    try:
        pid, started = record.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    _reap(int(pid))
    return int(pid) if _started(int(pid)) == started else None


def stop(record: Path, sign: signal.Signals = signal.SIGTERM, patience: float = 5) -> None:
    """End the recorded process (SIGKILL after ``patience`` seconds) and remove the record."""
    pid = alive(record)
    deadline = time.monotonic() + patience
    while pid is not None:
        os.kill(pid, sign if time.monotonic() < deadline else signal.SIGKILL)
        if time.monotonic() > deadline + 10:
            raise BedplateError(
                f"process {pid} ({record.name}) does not end", remedy=f"end it: kill -9 {pid}"
            )
        for _ in range(10):
            time.sleep(0.02)
            if (pid := alive(record)) is None:
                break
    record.unlink(missing_ok=True)


def _started(pid: int) -> str:
    """Start time in clock ticks since boot; empty when there is no such process or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _reap(pid: int) -> None:
    """Collect the exit status when the process is our own child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
