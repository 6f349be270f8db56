"""Programs as child processes: logs, an orderly end, and nothing left behind however it ends.

A group writes what it started to a file (process id and its start time, which together name a process for
good), so that a later run can end what an earlier one kept or lost. Unless it is to be kept, the kernel
itself ends a program when the process that started it dies.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.errors import BedplateError

GRACE = 15.0  # seconds between being asked to end and being made to
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Command:
    """How a program is started; ``ready`` answers whether it serves, ``patience`` is in seconds."""

    name: str
    arguments: tuple[str, ...]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 90.0


class Group:
    """Programs that belong together, started in order and ended in the reverse one."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self._folder, self._keep = folder, keep
        self._commands: dict[str, Command] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "logs").mkdir(parents=True, exist_ok=True)

    def start(self, command: Command) -> None:
        """Start a program and wait until it is ready. Raises BedplateError with the end of its log."""
        self.launch(command)
        self.wait(command.name)

    def launch(self, command: Command) -> None:
        """Start a program and do not wait."""
        self._commands[command.name] = command
        with self.log(command.name).open("ab") as log:
            self._running[command.name] = subprocess.Popen(
                command.arguments,
                env=os.environ | command.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Not asked to end: an API server whose etcd went first would wait for it.
                preexec_fn=None if self._keep else die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - no locks
            )
        self._write()

    def wait(self, name: str) -> None:
        """Wait until a program that was launched is ready."""
        command, process = self._commands[name], self._running[name]
        end = time.monotonic() + command.patience
        while not command.ready():
            if process.poll() is not None:
                raise BedplateError(f"{name} ended with {process.returncode}:\n{self._tail(name)}")
            if time.monotonic() > end:
                raise BedplateError(
                    f"{name} is not ready after {command.patience:.0f} s:\n{self._tail(name)}"
                )
            time.sleep(0.1)

    def kill(self, name: str) -> None:
        """Kill a program as a power cut would: at once, without a chance to tidy up."""
        process = self._running.pop(name)
        process.kill()
        process.wait()
        self._write()

    def restart(self, name: str) -> None:
        """Start a program that was killed, as it was started before."""
        self.start(self._commands[name])

    def memory(self) -> dict[str, int]:
        """Resident memory of every running program in bytes."""
        return {name: _resident(process.pid) for name, process in self._running.items()}

    def cpu(self) -> float:
        """Processor seconds that the running programs have used."""
        return sum(_used(process.pid) for process in self._running.values())

    def stop(self) -> None:
        """End everything, last started first."""
        for name in reversed(list(self._running)):
            _end(self._running.pop(name))
        self._record.unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """The log of a program."""
        return self._folder / "logs" / f"{name}.log"

    @property
    def _record(self) -> Path:
        return record_of(self._folder)

    def _write(self) -> None:
        entries = {
            name: [process.pid, start_time(process.pid)]
            for name, process in self._running.items()
            if process.poll() is None
        }
        self._record.write_text(json.dumps(entries))

    def _tail(self, name: str, lines: int = 15) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])


def record_of(folder: Path) -> Path:
    """Where a group of ``folder`` writes what it started."""
    return folder / "processes.json"


def stop_recorded(folder: Path) -> list[str]:
    """End what an earlier run kept or lost; the names of what was still running."""
    record = record_of(folder)
    if not record.exists():
        return []
    ended = []
    for name, (pid, started) in reversed(json.loads(record.read_text()).items()):
        if started is not None and start_time(pid) == started:
            _end_stranger(pid, started)
            ended.append(name)
    record.unlink()
    return ended


def start_time(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None when there is none (or a zombie)."""
    fields = _status(pid)
    return None if not fields or fields[0] == "Z" else int(fields[19])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_stranger(pid: int, started: int) -> None:
    """End a process that is not our child; its start time makes sure that it is still the one we mean."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + GRACE
        while start_time(pid) == started:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def _status(pid: int) -> list[str]:
    """/proc/PID/stat from the state on (proc(5) counts it as the third field); empty when there is none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _used(pid: int) -> float:
    fields = _status(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def die_with_parent(sent: signal.Signals) -> Callable[[], None]:
    """For ``preexec_fn``: the kernel sends the child this signal when the parent's thread ends, however it
    ends."""
    return lambda: _libc.prctl(_PR_SET_PDEATHSIG, sent)
