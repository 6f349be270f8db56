"""The Pulumi CLI on one environment's program: stack, up, preview, refresh, destroy, with a file backend.

Nothing is written where the program lies: Pulumi runs in a project of its own in the state folder, whose
``main`` is the program and whose stack configuration is a copy of the committed one. Salt and secrets go into
that copy.
"""

import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bedplate.errors import BedplateError
from bedplate.private_files import write_private
from bedplate.rehearse import pulumi_home
from bedplate.rehearse.processes import die_with_parent

CANCEL_GRACE = 60.0  # seconds that Pulumi gets to end what is under way and to write its state
POLL = 0.1
OnEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Run:
    """One run of the CLI: ``changes`` counts resources by operation (create, update, same, delete, ...),
    ``errors`` are the diagnostics of failed resources, ``stopped`` tells that we ended it early and why,
    ``cpu`` is the processor time in seconds of the CLI and all that it started, which a busy machine does
    not stretch as it does ``seconds``."""

    operation: str
    code: int
    seconds: float
    changes: Mapping[str, int]
    errors: tuple[str, ...]
    stopped: str = ""
    cpu: float = 0.0

    @property
    def ok(self) -> bool:
        """True when the CLI did all that it was asked to."""
        return self.code == 0

    @property
    def changed(self) -> int:
        """Resources that were not left as they are."""
        return sum(count for operation, count in self.changes.items() if operation not in ("same", "read"))


class Program:
    """One stack of the program in ``project``, with its state in ``folder``."""

    def __init__(
        self,
        project: Path,
        environment: str,
        folder: Path,
        tools: Mapping[str, Path],
        variables: Mapping[str, str],
    ) -> None:
        self._stack, self._folder = environment, folder
        self._home = pulumi_home.prepare(tools)
        self._project = _shadow(project, environment, folder / "project")
        passphrase = folder / "passphrase"
        if not passphrase.exists():
            write_private(passphrase, secrets.token_urlsafe(32).encode())
        (folder / "backend").mkdir(exist_ok=True)
        self._variables = self._environment(passphrase) | dict(variables)

    def init(self) -> None:
        """Make the stack unless it is there."""
        if not (self._folder / "backend" / ".pulumi" / "stacks").exists():
            self.call("stack", "init", "--stack", self._stack)

    def set_secret(self, key: str, value: str) -> None:
        """Keep a secret in the stack's configuration, encrypted; it is handed over on standard input."""
        self.call("config", "set", "--secret", key, "--stack", self._stack, text=value)

    def up(self, on_event: OnEvent = lambda _: None, watch: Callable[[], str] = str) -> Run:
        """Bring the stack up. ``watch`` is asked all the time; what it says, if anything, is why to stop."""
        return self._run("up", ["--yes", "--skip-preview"], on_event, watch)

    def preview(self) -> Run:
        """Ask whether anything would change; not ``ok`` when something would."""
        return self._run("preview", ["--expect-no-changes"])

    def refresh(self) -> Run:
        """Compare the state with the cluster; ``changed`` is the drift."""
        return self._run("refresh", ["--yes", "--skip-preview"])

    def destroy(self, on_event: OnEvent = lambda _: None) -> Run:
        """Remove every resource."""
        return self._run("destroy", ["--yes", "--skip-preview"], on_event)

    def state(self) -> dict[str, Any]:
        """The stack's state as Pulumi exports it (secrets stay encrypted)."""
        exported: dict[str, Any] = json.loads(self.call("stack", "export", "--stack", self._stack))
        return exported

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; secret ones are not shown."""
        told: dict[str, Any] = json.loads(self.call("stack", "output", "--json", "--stack", self._stack))
        return told

    def call(self, *arguments: str, text: str | None = None) -> str:
        """Run the CLI once for its output. Raises BedplateError with what it complained about."""
        done = subprocess.run(
            self._command(*arguments),
            env=self._variables,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BedplateError(f"pulumi {' '.join(arguments[:2])} failed: {done.stderr.strip()[-1500:]}")
        return done.stdout

    @property
    def log(self) -> Path:
        """Everything that the CLI printed."""
        return self._folder / "pulumi.log"

    def _command(self, *arguments: str) -> list[str]:
        return [
            str(self._home / "bin" / "pulumi"),
            "-C",
            str(self._project),
            "--non-interactive",
            "--color",
            "never",
            *arguments,
        ]

    def _environment(self, passphrase: Path) -> dict[str, str]:
        """Our programs and our Python first on PATH, a backend of files, no call to the outside."""
        folders = [self._home / "bin", Path(sys.executable).parent]
        return os.environ | {
            "PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]),
            "PULUMI_HOME": str(self._home),
            "PULUMI_BACKEND_URL": f"file://{self._folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # makes --event-log known
        }

    def _run(
        self,
        operation: str,
        flags: list[str],
        on_event: OnEvent = lambda _: None,
        watch: Callable[[], str] = str,
    ) -> Run:
        events = self._folder / f"{operation}.events"
        events.unlink(missing_ok=True)
        begin, used = time.monotonic(), _cpu_of_children()
        collector = _Collector(on_event)
        stopped = ""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self._command(operation, "--stack", self._stack, *flags, "--event-log", str(events)),
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one prctl call, no locks
            )
            try:
                for event in _follow(events, process):
                    if event is not None:
                        collector.take(event)
                    elif not stopped and (stopped := watch()):
                        process.send_signal(signal.SIGINT)
            finally:
                end(process)
        return Run(
            operation,
            process.returncode,
            round(time.monotonic() - begin, 2),
            collector.changes,
            tuple(collector.errors),
            stopped,
            round(_cpu_of_children() - used, 2),
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Have a running CLI cancel in order (state written), and make sure that it is gone."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(CANCEL_GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _cpu_of_children() -> float:
    """Processor seconds of all children that have ended; what they started counts with them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Collector:
    """Keeps from the event stream what a Run tells."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._steps: Counter[str] = Counter()
        self._summary: dict[str, int] | None = None
        self.errors: list[str] = []

    @property
    def changes(self) -> dict[str, int]:
        """Pulumi's own count where the run came to its end, otherwise what was done until then."""
        return dict(self._steps) if self._summary is None else self._summary

    def take(self, event: dict[str, Any]) -> None:
        if summary := event.get("summaryEvent"):
            self._summary = {op: n for op, n in summary["resourceChanges"].items() if n}
        elif done := event.get("resOutputsEvent"):
            self._steps[done["metadata"]["op"]] += 1
        elif (diagnostic := event.get("diagnosticEvent")) and diagnostic["severity"] == "error":
            where = diagnostic.get("urn", "").rpartition("::")[2]
            self.errors.append(
                f"{where}: {diagnostic['message'].strip()}" if where else diagnostic["message"].strip()
            )
        self._on_event(event)


def _follow(path: Path, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """Events as they are written, and None whenever there is nothing new."""
    position, rest = 0, ""
    while True:
        alive = process.poll() is None
        if path.exists():
            with path.open() as file:
                file.seek(position)
                rest += file.read()
                position = file.tell()
        *lines, rest = rest.split("\n")
        yield from (json.loads(line) for line in lines if line)
        if not alive:
            return
        yield None
        time.sleep(POLL)


def _python() -> dict[str, str]:
    """The virtual environment in use, whatever the committed project says; none outside of one."""
    return {"virtualenv": sys.prefix} if sys.prefix != sys.base_prefix else {}


def _shadow(project: Path, stack: str, folder: Path) -> Path:
    """A project whose program is ``project`` and whose stack configuration is a copy."""
    folder.mkdir(parents=True, exist_ok=True)
    description = yaml.safe_load((project / "Pulumi.yaml").read_text())
    description["main"] = str((project / description.get("main", ".")).resolve())
    description["runtime"] = {"name": "python", "options": _python()}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(description))
    committed, copy = project / f"Pulumi.{stack}.yaml", folder / f"Pulumi.{stack}.yaml"
    if committed.exists() and not copy.exists():
        shutil.copyfile(committed, copy)
    return folder
