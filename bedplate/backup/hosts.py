"""Backups of the hosts of an inventory: their own programs do the work, and say how it went."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate import playbook
from bedplate.errors import BAD_INPUT, BedplateError
from bedplate.playbook import Event

WORK, KEEP = "backup.yml", "backup_keep.yml"


@dataclass(frozen=True)
class Told:
    """What a host said of one item (or of its whole repository)."""

    host: str
    ok: bool
    said: str
    item: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same as a program reads it."""
        return vars(self).copy()


def work(inventory: Path, action: str, limit: str = "") -> list[Told]:
    """Do ``action`` (run, drill, verify, list) on every host that is backed up. Raises BedplateError."""

    def understand(host: str, result: dict[str, Any]) -> list[Told]:
        if "stdout" not in result:
            return []
        entries = json.loads(result["stdout"])
        return [Told(host, entry["ok"], entry["said"], entry.get("item", "")) for entry in entries]

    found = _play(inventory, WORK, limit, {"action": action}, understand)
    if not found:
        raise BedplateError("no host is backed up", remedy="name a server in backup_server", code=BAD_INPUT)
    return found


def keep(inventory: Path) -> list[Told]:
    """Remove what need not be kept. Raises BedplateError when there is no server, or it fails."""

    def understand(host: str, result: dict[str, Any]) -> list[Told]:
        said = result.get("msg")  # of the only task that says anything: host to what was kept
        return [_kept(name, text) for name, text in said.items()] if isinstance(said, dict) else []

    found = _play(inventory, KEEP, "", {}, understand)
    if not found:
        raise BedplateError("no host keeps backups", remedy="name one in backup_server", code=BAD_INPUT)
    return found


def _kept(host: str, text: str | dict[str, Any]) -> Told:
    said = json.loads(text) if isinstance(text, str) else text  # Ansible may have read it
    unclear = "".join(f"; {line}, which cannot be: look at that host's clock" for line in said["unclear"])
    return Told(host, not unclear, f"{said['kept']} kept, {said['removed']} removed{unclear}")


def _play(
    inventory: Path,
    name: str,
    limit: str,
    extra: dict[str, Any],
    understand: Callable[[str, dict[str, Any]], list[Told]],
) -> list[Told]:
    found: dict[str, list[Told]] = {}

    def watch(event: Event) -> None:
        data = event.get("event_data", {})
        if event["event"] == "runner_on_ok" and (told := understand(data["host"], data.get("res", {}))):
            found[data["host"]] = told

    done = playbook.run(inventory, name, limit=limit, extra=extra, on_event=watch)
    if done.rc != 0:
        said = [f"{host}: {message}" for host, _, message in done.failures]
        raise BedplateError("\n".join(said) or done.output[-800:])
    return [told for host in sorted(found) for told in found[host]]
