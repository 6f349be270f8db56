"""restic as we run it: its commands, its environment, and an end when its target does not answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .plan import Config, Item, Snapshot, snapshots
from .problem import BackupError, damage, explain

_RETRY = "retrying after"
_PARTIAL = 3  # restic's exit code: a snapshot was made, and something could not be read
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What restic said, and how it ended."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Restic:
    """One repository; ``environment`` says where it is and what opens it.

    restic tries for 15 minutes what fails; after ``patience`` seconds it is ended.
    """

    environment: Mapping[str, str]
    options: tuple[str, ...] = ()
    patience: float = 120.0

    def ask(self, *words: str, cwd: Path | None = None, quiet: Sequence[int] = (0,)) -> Answer:
        """Run restic. Raises BackupError unless it ends with one of ``quiet``."""
        answer = self._run([self._program(), *self.options, *words], cwd)
        if answer.code not in quiet:
            raise explain(f"restic {words[0]}", answer.errors or answer.output)
        return answer

    def identity(self) -> str:
        """Id of the repository; empty when there is none. Raises BackupError."""
        answer = self.ask("cat", "config", quiet=(0, 1, 10))
        if answer.code == 0:
            return str(json.loads(answer.output)["id"])
        problem = explain("restic", answer.errors)
        if "there is no repository" in str(problem):
            return ""
        raise problem

    def listed(self, host: str = "", item: str = "") -> list[Snapshot]:
        """Snapshots, oldest first."""
        chosen = [*(["--host", host] if host else []), *(["--tag", item] if item else [])]
        return snapshots(json.loads(self.ask("snapshots", "--json", "--no-lock", *chosen).output) or [])

    def backup(self, host: str, item: Item, where: Sequence[str], cwd: Path | None) -> Document:
        """Make a snapshot; restic's summary of it. Raises BackupError, also when a file could not be read."""
        excluded = [word for path in item.words.get("exclude", ()) for word in ("--exclude", str(path))]
        words = ["--json", "--host", host, "--tag", item.name, *excluded, *where]
        answer = self.ask("backup", *words, cwd=cwd, quiet=(0, _PARTIAL))
        lines = [*answer.output.splitlines(), *answer.errors.splitlines()]  # errors are on either
        said = [json.loads(line) for line in lines if line.startswith("{")]
        if answer.code == _PARTIAL:
            bad = [entry.get("item", "") for entry in said if entry.get("message_type") == "error"]
            named = ", ".join(bad[:5]) or answer.errors.strip()[-300:]
            raise BackupError(f"could not be read: {named}", "the snapshot lacks it; correct rights or paths")
        summary: Document = next(entry for entry in said if entry.get("message_type") == "summary")
        return summary

    def check(self, part: str = "") -> list[str]:
        """What is broken, empty when all is well; ``part`` is a subset such as 3/7 whose bytes are read, else
        all."""
        read = [f"--read-data-subset={part}"] if part else ["--read-data"]
        answer = self.ask("check", *read, quiet=(0, 1))
        if answer.code == 0:
            return []
        said = f"{answer.output}\n{answer.errors}"
        found = damage(said)
        if not found:
            raise explain("restic check", answer.errors or answer.output)
        return found

    def _program(self) -> str:
        return self.environment.get("RESTIC_PROGRAM", "restic")

    def _run(self, command: Sequence[str], cwd: Path | None) -> Answer:
        """End restic with a signal that lets it tidy up when its target has failed for too long."""
        try:
            process = subprocess.Popen(
                command,
                env={**os.environ, **self.environment},
                cwd=cwd or "/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except FileNotFoundError:
            raise BackupError("restic is not here", "install the package restic") from None
        errors: list[str] = []
        watcher = threading.Thread(target=self._watch, args=(process, errors), daemon=True)
        watcher.start()
        assert process.stdout
        try:
            output = process.stdout.read()
        except BaseException:
            process.send_signal(signal.SIGINT)
            raise
        finally:
            code = process.wait()
            watcher.join()
        return Answer(code, output, "".join(errors))

    def _watch(self, process: subprocess.Popen[str], errors: list[str]) -> None:
        first = 0.0
        assert process.stderr
        for line in process.stderr:
            errors.append(line)
            if _RETRY in line:
                first = first or time.monotonic()
                if time.monotonic() - first > self.patience:
                    process.send_signal(signal.SIGINT)


def of(config: Config, **more: str) -> Restic:
    """The repository of a configuration. Raises BackupError when a file is missing or open to others."""
    for secret in (config.repository_file, config.password_file):
        if not secret.is_file():
            raise BackupError(f"{secret} is not there", "bring it back from where secrets are kept")
        if secret.stat().st_mode & 0o037:  # its group may read it: that is how a pod gets it
            raise BackupError(f"{secret} can be read by others", f"chmod 0400 {secret}")
    environment = {
        "RESTIC_REPOSITORY_FILE": str(config.repository_file),
        "RESTIC_PASSWORD_FILE": str(config.password_file),
        "RESTIC_CACHE_DIR": str(config.state / "cache"),
        "RESTIC_PROGRESS_FPS": "0.0167",
    }
    if config.environment_file:
        lines = Path(config.environment_file).read_text(encoding="utf-8").splitlines()
        environment.update(dict(line.split("=", 1) for line in lines if "=" in line))
    options = ["--cacert", config.ca] if config.ca else []
    options += ["--limit-upload", str(config.limit_kib)] if config.limit_kib else []
    return Restic({**environment, **more}, tuple(options), config.patience)
