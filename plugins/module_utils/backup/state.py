"""What a host remembers of its backups, and shows to node_exporter's textfile collector."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .plan import Config
from .problem import BackupError

_HELP = {
    "last_success_seconds": "Time of the last good backup",
    "ok": "Whether the last backup was good",
    "bytes": "Bytes that the last backup read",
    "added_bytes": "Bytes that the last backup added to the repository",
    "duration_seconds": "How long the last backup took",
    "snapshots": "Snapshots in the repository",
    "drill_last_success_seconds": "Time of the last restore drill whose content was equal",
    "drill_ok": "Whether the last restore drill found equal content",
    "drill_duration_seconds": "How long the last restore drill took",
}
_WHOLE = {
    "verify_last_success_seconds": "Time of the last check of the repository that found it whole",
    "verify_ok": "Whether the last check of the repository found it whole",
}


def read(config: Config) -> dict[str, Any]:
    """What is remembered; nothing at first."""
    file = config.state / "state.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"items": {}, **found}


def write(config: Config, state: Mapping[str, Any]) -> None:
    """Remember, and show it where a folder for metrics is."""
    _replace(config.state / "state.json", json.dumps(state, indent=1), 0o600)
    if config.metrics and Path(config.metrics).parent.is_dir():
        _replace(Path(config.metrics), render(config, state), 0o644)


def render(config: Config, state: Mapping[str, Any]) -> str:
    """Pure: the state in Prometheus' text format. An item that never succeeded has 0 as its time."""
    lines = []
    for name, text in _HELP.items():
        lines += [f"# HELP bedplate_backup_{name} {text}", f"# TYPE bedplate_backup_{name} gauge"]
        for item in config.items:
            known = state["items"].get(item.name, {})
            if name in known or name == "last_success_seconds":
                labels = f'{{item="{item.name}",kind="{item.kind}"}}'
                lines.append(f"bedplate_backup_{name}{labels} {known.get(name, 0)}")
    for name, text in _WHOLE.items():
        if name in state:
            lines += [f"# HELP bedplate_backup_{name} {text}", f"# TYPE bedplate_backup_{name} gauge"]
            lines.append(f"bedplate_backup_{name} {state[name]}")
    return "\n".join(lines) + "\n"


def remember(state: dict[str, Any], item: str, **values: float) -> None:
    """Add what was just seen of an item."""
    state["items"].setdefault(item, {}).update(values)


@contextmanager
def only_one(config: Config) -> Iterator[None]:
    """Hold the lock of this configuration. Raises BackupError when another run does; the kernel lets go of it
    when its holder ends, however it ends."""
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (config.state / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise BackupError(
                f"another run is at work (process {file.read().strip()})", "let it end; nothing was begun"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _replace(target: Path, text: str, mode: int) -> None:
    """Write a file in one step, so that nobody reads half of it."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(mode)
    Path(name).replace(target)
