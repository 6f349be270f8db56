"""Rules of backups: they go to a host that is there, and every item says what its kind needs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bedplate.backup import plan
from bedplate.check.problem import Problem
from bedplate.check.rules import View, fleet_rule, host_rule


@host_rule
def items(backup_items: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """What the host's own program would refuse in the night."""
    for key, why, remedy in plan.faults(backup_items):
        yield Problem(("backup_items", *key), why, remedy)


@fleet_rule
def server(view: View) -> Iterator[Problem]:
    """The server is a host of this inventory, for which the role makes the service."""
    for host, name in view.each("backup_server"):
        if name and name not in view.hosts:
            why = "there is no such host in this inventory, and nobody would keep the backups"
            remedy = f"name one, for example {next(iter(view.hosts))}, or write backup_repository"
            yield Problem(("backup_server",), why, remedy, name, host)
