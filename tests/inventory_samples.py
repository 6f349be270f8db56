"""Inventories to break: the repository's own, read once, changed by copies of only what differs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from bedplate import paths
from bedplate.check.run import Outcome, check
from bedplate.check.source import memory, read
from bedplate.inventory import Inventory

REMOVED = object()


@cache
def base(name: str) -> Inventory:
    """One of the repository's inventories."""
    return read(paths.INVENTORIES / name).inventory


@dataclass(frozen=True)
class Edit:
    """Put ``to`` (or what it makes of the old value) at ``key`` on ``where``: a host, a group, or ``all``."""

    where: str
    key: tuple[Any, ...]
    to: Any

    def __call__(self, inventory: Inventory) -> Inventory:
        chosen = inventory.groups.get(self.where) or (self.where,)
        done: dict[int, Any] = {}  # hosts that shared a value share the new one
        hosts = dict(inventory.hosts)
        for host in chosen:
            values = hosts[host]
            old = values.get(self.key[0])
            if id(old) not in done:
                done[id(old)] = self._changed({self.key[0]: old} if self.key[0] in values else {}, self.key)
            rest = {k: v for k, v in values.items() if k != self.key[0]}
            hosts[host] = rest | done[id(old)]
        return replace(inventory, hosts=hosts)

    def _changed(self, value: Any, key: tuple[Any, ...]) -> Any:
        head, *tail = key
        copy = list(value) if isinstance(value, list) else dict(value)
        if tail:
            copy[head] = self._changed(copy[head], tuple(tail))
        elif self.to is REMOVED:
            del copy[head]
        elif callable(self.to):
            copy[head] = self.to(copy[head])
        else:
            copy[head] = self.to
        return copy


def on(where: str, *key: Any, to: Any) -> Edit:
    """An edit, written in the order in which it is said."""
    return Edit(where, key, to)


def regroup(**groups: list[str]) -> Callable[[Inventory], Inventory]:
    """Other members for groups; an empty list leaves the group without hosts."""

    def edit(inventory: Inventory) -> Inventory:
        return replace(
            inventory, groups={**inventory.groups, **{name: tuple(m) for name, m in groups.items()}}
        )

    return edit


def rename(old: str, new: str) -> Callable[[Inventory], Inventory]:
    """Another name for a host."""

    def edit(inventory: Inventory) -> Inventory:
        hosts = {new if name == old else name: values for name, values in inventory.hosts.items()}
        groups = {
            g: tuple(new if m == old else m for m in members) for g, members in inventory.groups.items()
        }
        return replace(inventory, hosts=hosts, groups=groups)

    return edit


def outcome(name: str, *edits: Callable[[Inventory], Inventory]) -> Outcome:
    """The check of an inventory after some edits."""
    inventory = base(name)
    for edit in edits:
        inventory = edit(inventory)
    return check(memory(inventory))
