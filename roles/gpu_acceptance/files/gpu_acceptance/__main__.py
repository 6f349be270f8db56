"""The command line on the host."""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PATIENCE = 30.0  # seconds that a stopped run has to write its results
BUSY, MISSING, INTERRUPTED = 75, 69, 130  # exit codes: EX_TEMPFAIL, EX_UNAVAILABLE, as shells say it


class Stopped(BaseException):
    """Somebody asked this run to end."""


def main() -> int:
    """Parse and do."""
    parser = argparse.ArgumentParser(prog="gpu_acceptance", description=__doc__)
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for the lock, the log and the progress"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("facts", help="print what can be known without load")
    run = commands.add_parser("run", help="measure, and write the result")
    run.add_argument("--level", choices=("quick", "standard", "burn-in"), default="quick")
    run.add_argument("--seconds", type=float, help="length of burn-in")
    run.add_argument("--load", type=float, help="seconds of load in a round")
    run.add_argument("--result", type=Path, required=True)
    run.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")
    commands.add_parser("stop", help="end the run that is going on, with what it has measured")
    commands.add_parser("status", help="print what the run that is going on does")
    capture = commands.add_parser("capture", help="keep outputs as fixtures, serial numbers and UUIDs masked")
    capture.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.state.mkdir(parents=True, exist_ok=True)
    commands_of = {"facts": facts, "run": measure, "stop": stop, "status": status, "capture": capture_to}
    try:
        return commands_of[arguments.command](arguments)
    except Stopped:
        return INTERRUPTED


@contextmanager
def driver() -> Iterator[Any]:
    """NVML, or one sentence about why not."""
    try:
        import pynvml  # noqa: PLC0415
    except ImportError:
        raise SystemExit(f"{sys.executable} has no module pynvml: install nvidia-ml-py for it") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise SystemExit(f"the NVIDIA driver does not answer: {error}") from None
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def facts(_: argparse.Namespace) -> int:
    """Print the facts."""
    with driver():
        from . import facts as reader  # noqa: PLC0415

        say(reader.read())
    return 0


def measure(arguments: argparse.Namespace) -> int:
    """Run one level; what was measured is written whether the run ends or is ended."""
    if arguments.with_parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, _stop)
    with locked(arguments.state, patience=1.0) as mine:
        if not mine:
            sys.stderr.write(f"another run goes on here: {json.dumps(progress(arguments.state))}" + "\n")
            return BUSY
        with driver():
            _need_torch()
            return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from . import levels  # noqa: PLC0415

    begun = time.time()
    level = levels.chosen(arguments.level, arguments.seconds, arguments.load)

    def tell(step: str) -> None:
        now = {
            "level": level.name,
            "step": step,
            "seconds": round(time.time() - begun, 1),
            "until": level.until,
        }
        write(arguments.state / "progress.json", now)

    log = arguments.state / "workers.log"
    log.write_bytes(b"")
    run = levels.Run(level, log, tell, lambda document: write(arguments.result, document))
    try:
        run.all()
    except Stopped:
        run.document["stopped"] = True
        run.finish()
    finally:
        (arguments.state / "progress.json").unlink(missing_ok=True)
    say({"seconds": run.document["seconds"], "complete": run.document["complete"]})
    return 0


def _need_torch() -> None:
    from importlib.util import find_spec  # noqa: PLC0415

    if not find_spec("torch"):
        sys.stderr.write(f"{sys.executable} has no module torch: install PyTorch with CUDA for it" + "\n")
        raise SystemExit(MISSING)


def stop(arguments: argparse.Namespace) -> int:
    """Ask the run to end, and end it if it does not."""
    deadline = time.monotonic() + PATIENCE
    asked = False
    while True:
        with locked(arguments.state) as mine:
            if mine:
                say({"stopped": asked})
                return 0
        pid = int((arguments.state / "lock").read_text() or 0)
        if pid:
            late = time.monotonic() > deadline
            if late or not asked:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                asked = True
        time.sleep(0.2)


def status(arguments: argparse.Namespace) -> int:
    """Print the progress; an empty object when nothing runs."""
    with locked(arguments.state) as mine:
        say({} if mine else progress(arguments.state))
    return 0


def capture_to(arguments: argparse.Namespace) -> int:
    """Keep what this host says as fixtures."""
    with driver():
        from . import capture  # noqa: PLC0415

        capture.write(arguments.folder)
    return 0


@contextmanager
def locked(state: Path, patience: float = 0.0) -> Iterator[bool]:
    """True for the one process at a time that may measure; its id stands in the file."""
    deadline = time.monotonic() + patience
    with (state / "lock").open("a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
            time.sleep(0.1)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield True
        finally:
            file.truncate(0)


def progress(state: Path) -> dict[str, Any]:
    """What the run that holds the lock does right now."""
    try:
        found: dict[str, Any] = json.loads((state / "progress.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def say(answer: dict[str, Any]) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(answer) + "\n")


def write(file: Path, document: dict[str, Any]) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_text(json.dumps(document))
    new.replace(file)


def _stop(*_: object) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
