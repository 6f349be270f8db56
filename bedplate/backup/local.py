"""Backups that this machine makes itself, by a configuration file: the Pulumi stack's, for example."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backup import plan
from backup import work as backups
from backup.problem import BackupError

from bedplate.backup.hosts import Told
from bedplate.errors import BAD_INPUT, OUTSIDE_FAILED, BedplateError


def work(config: Path, action: str, names: Sequence[str] = ()) -> list[Told]:
    """Do ``action`` (run, drill, verify, list). Raises BedplateError."""
    read = load(config)

    def quiet(line: str) -> None:
        pass

    with _told():
        if action == "verify":
            broken = backups.verify(read)
            return [Told(read.host, False, line) for line in broken] or [Told(read.host, True, "whole")]
        if action == "list":
            found = backups.listing(read, names)
            return [Told(read.host, True, f"{one.id[:8]} {one.time:%F %T}", one.item) for one in found]
        do = backups.run if action == "run" else backups.drill
        return [Told(read.host, one.ok, one.said, one.item) for one in do(read, names, quiet)]


def restore(config: Path, name: str, into: Path, snapshot: str, use: dict[str, str] | None) -> Told:
    """Bring an item back; with ``use`` put it to use, too, with other words for its item. Raises
    BedplateError."""
    read = load(config)
    with _told():
        found, said = backups.restore(read, name, into, snapshot, use)
    return Told(read.host, True, f"{found.id[:8]} of {found.time:%F %T}: {said}", found.item)


def load(config: Path) -> plan.Config:
    """The configuration. Raises BedplateError."""
    try:
        return plan.parse(json.loads(config.read_text()))
    except (OSError, ValueError, BackupError) as error:
        raise BedplateError(f"{config}: {error}", remedy="see docs/backups.md", code=BAD_INPUT) from None


@contextmanager
def _told() -> Iterator[None]:
    """What the pieces raise, as the command line shows it."""
    try:
        yield
    except BackupError as error:
        message = str(error.args[0])
        raise BedplateError(message, remedy=error.remedy, code=OUTSIDE_FAILED) from None
