"""Pulumi: a stack's state, its configuration with the secrets in it, and the passphrase that opens them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .kind import Compared, Kind, Place, against_manifest, read_manifest, run, write_manifest
from .plan import Item

STATE, PASSPHRASE = "stack.json", "passphrase"


class Pulumi(Kind):
    """Secrets stay encrypted on their way; passphrase and repository lie in different hands."""

    def collect(self, item: Item, stage: Path) -> None:
        """Export the state, and copy the project's files and the passphrase."""
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True, mode=0o700)
        project, stack = Path(item.words["project"]), str(item.words["stack"])
        for name in ("Pulumi.yaml", f"Pulumi.{stack}.yaml"):
            shutil.copyfile(project / name, stage / name)
        shutil.copyfile(item.words["passphrase_file"], stage / PASSPHRASE)
        (stage / PASSPHRASE).chmod(0o600)
        ask = _Stack(project, stack, str(item.words["backend"]), Path(item.words["passphrase_file"]))
        (stage / STATE).write_text(json.dumps(ask.state(), indent=1), encoding="utf-8")
        write_manifest(stage, secrets=ask.secrets())

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Bring the state into a backend of its own, export it again, and open every secret."""
        whole = against_manifest(restored)
        if whole.differences:
            return whole
        project, backend = place.scratch / "project", place.scratch / "backend"
        shutil.copytree(restored, project)
        backend.mkdir()
        stack = str(item.words["stack"])
        ask = _Stack(project, stack, f"file://{backend}", project / PASSPHRASE)
        ask.load(project / STATE)
        wrong = []
        state = json.loads((restored / STATE).read_text(encoding="utf-8"))
        if _resources(ask.state()) != _resources(state):
            wrong.append("the state is another")
        wanted, found = read_manifest(restored)["secrets"], ask.secrets()
        wrong += [f"secret {name} cannot be opened" for name in wanted if found.get(name) != wanted[name]]
        return Compared(len(_resources(state)) + len(wanted), whole.bytes, tuple(wrong))

    def load(self, item: Item, restored: Path, words: Mapping[str, str]) -> str:
        """Import the state into the stack; its configuration is copied by hand, where it can be looked at."""
        project = Path(item.words["project"])
        ask = _Stack(project, str(item.words["stack"]), str(item.words["backend"]), restored / PASSPHRASE)
        ask.load(restored / STATE)
        return f"{item.words['stack']} has the state of the backup; run `pulumi preview --refresh` first"


class _Stack:
    def __init__(self, project: Path, stack: str, backend: str, passphrase: Path) -> None:
        self.stack = stack
        self.command = ["pulumi", "-C", str(project), "--non-interactive"]
        self.env = {
            "PULUMI_BACKEND_URL": backend,
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._run("stack", "export", "--stack", self.stack))
        return found

    def secrets(self) -> dict[str, str]:
        """SHA-256 of every secret of the configuration, by its name."""
        said = self._run("config", "--show-secrets", "--json", "--stack", self.stack)
        entries = json.loads(said).items()
        return {
            name: hashlib.sha256(entry["value"].encode()).hexdigest()
            for name, entry in entries
            if entry.get("secret")
        }

    def load(self, state: Path) -> None:
        self._run("stack", "select", "--create", self.stack)
        self._run("stack", "import", "--stack", self.stack, "--file", str(state))

    def _run(self, *words: str) -> str:
        return run([*self.command, *words], env=self.env)


def _resources(state: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = state["deployment"].get("resources") or []
    return found
