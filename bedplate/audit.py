"""Archives of audit records, verified where they lie and held against what the controller saw before."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bedplate import paths, playbook
from bedplate.errors import BAD_INPUT, BedplateError
from bedplate.playbook import Event

sys.path.append(str(paths.MODULE_UTILS))

import audit_chain
from audit_chain import Break, Head, Verdict

PLAYBOOK = "audit_verify.yml"


@dataclass(frozen=True)
class Archive:
    """One archive: where it is, and what its chain says."""

    where: str
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """The verdict in words; the first broken record by its name."""
        found, broken = self.verdict, self.verdict.broken
        if broken is None:
            return (
                f"{found.records:,} records, {found.first} to {found.head.seq}, follow each other unchanged"
            )
        name = f" ({broken.record})" if broken.record else ""
        place = f" in {broken.file}, line {broken.line}" if broken.file else ""
        return f"record {broken.seq}{name}{place}: {broken.why}; {found.records:,} records before it are good"

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a program reads it."""
        broken = self.verdict.broken
        return {
            "where": self.where,
            "good": broken is None,
            "records": self.verdict.records,
            "head": str(self.verdict.head),
            "broken": None if broken is None else vars(broken),
        }


def folder(place: Path, keep_days: int, known: str = "") -> Archive:
    """Verify an archive on this machine against the head ``known`` (NUMBER:SHA-256; empty: none).

    Raises BedplateError when there is no archive, or ``known`` is no head.
    """
    if not place.is_dir():
        raise BedplateError(f"{place} is no folder", remedy="name the folder of an archive", code=BAD_INPUT)
    try:
        head = Head.parse(known) if known else None
    except ValueError as error:
        raise BedplateError(str(error), remedy="take `head` of an earlier --json", code=BAD_INPUT) from None
    return Archive(str(place), audit_chain.verify_folder(place, keep_days, datetime.now(UTC).date(), head))


def site(inventory: Path, overlays: Sequence[Path] = ()) -> list[Archive]:
    """Verify the archive of every collector of ``inventory``, and remember the heads of those that are good.

    Raises BedplateError when a collector cannot be asked, or when there is none.
    """
    memory = paths.state(paths.environment_of(inventory)) / "audit-heads.json"
    known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
    found: dict[str, Archive] = {}

    def watch(event: Event) -> None:
        data = event.get("event_data", {})
        if event["event"] == "runner_on_ok" and "stdout" in data.get("res", {}):
            found[data["host"]] = Archive(data["host"], _verdict(json.loads(data["res"]["stdout"])))

    extra = {"__audit_log_known": known}
    done = playbook.run(inventory, PLAYBOOK, overlays=overlays, extra=extra, on_event=watch)
    if done.rc != 0:
        raise BedplateError(
            "an archive could not be verified:\n" + "\n".join(f"{h}: {m}" for h, _, m in done.failures)
        )
    if not found:
        raise BedplateError(
            "no host keeps an archive",
            remedy="put the hosts that keep them into group audit_collectors",
            code=BAD_INPUT,
        )
    good = {host: str(archive.verdict.head) for host, archive in found.items() if not archive.verdict.broken}
    memory.write_text(json.dumps(known | good, indent=2) + "\n")
    return [found[host] for host in sorted(found)]


def _verdict(said: dict[str, Any]) -> Verdict:
    broken = Break(**said["broken"]) if said["broken"] else None
    return Verdict(said["first"], Head(**said["head"]), broken)
