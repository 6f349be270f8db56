"""The inventory as every program reads it: through ``ansible-inventory --list``, so that group precedence and
vault work as Ansible says."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.errors import BadInput, BedplateError, Finding
from bedplate.listing import listing

Vars = dict[str, Any]


@dataclass(frozen=True)
class Inventory:
    """One environment: ``hosts`` maps host name to its variables, ``groups`` group name to its host names."""

    environment: str
    path: Path
    hosts: dict[str, Vars]
    groups: dict[str, tuple[str, ...]]

    @cached_property
    def shared(self) -> Vars:
        """Variables that have the same value on every host: ``site_``, ``platform_``, and _common's."""
        all_vars = list(self.hosts.values())
        if not all_vars:
            return {}
        first, rest = all_vars[0], all_vars[1:]
        return {k: v for k, v in first.items() if all(k in other and other[k] == v for other in rest)}

    def members(self, group: str) -> dict[str, Vars]:
        """Hosts of ``group`` with their variables, in inventory order; empty for an unknown group."""
        return {name: self.hosts[name] for name in self.groups.get(group, ())}


def load(inventory: Path, *overlays: Path) -> Inventory:
    """Read ``inventories/ENV`` (later overlays win). Raises BadInput when it is not an inventory."""
    if not inventory.exists():
        known = ", ".join(sorted(p.parent.name for p in paths.INVENTORIES.glob("*/hosts.yml"))) or "none yet"
        raise BadInput(
            Finding(
                file=str(inventory),
                key="-i",
                value=str(inventory),
                why="there is no such inventory",
                remedy=f"name one that exists ({known}) or write one with `bedplate init`",
            )
        )
    sources = (inventory, *overlays)
    found = listing(sources, lambda: _ask(sources))
    return parse(found, paths.environment_of(inventory), inventory)


def _ask(sources: tuple[Path, ...]) -> str:
    """Run ``ansible-inventory --list``. Raises BadInput with what it complains about."""
    command = [ansible_program("ansible-inventory"), "--list"]
    for source in sources:
        command += ["-i", str(source)]
    done = subprocess.run(
        command, cwd=paths.ROOT, capture_output=True, text=True, check=False, env=ansible_env()
    )
    if done.returncode != 0:
        reason = done.stderr.strip().removeprefix("[ERROR]: ").replace("\n", " ")
        raise BadInput(
            Finding(str(sources[0]), "-i", sources[0].name, reason, "correct the file that the message names")
        )
    return done.stdout


def parse(listing: dict[str, Any], environment: str, path: Path) -> Inventory:
    """Pure: the output of ``ansible-inventory --list`` as an Inventory."""
    hostvars: dict[str, Vars] = listing["_meta"]["hostvars"]
    groups: dict[str, tuple[str, ...]] = {}

    def expand(group: str) -> tuple[str, ...]:
        if group not in groups:
            body = listing.get(group, {})
            names = list(body.get("hosts", []))
            for child in body.get("children", []):
                names += expand(child)
            groups[group] = tuple(dict.fromkeys(names))
        return groups[group]

    for group in ("all", *(g for g in listing if g != "_meta")):
        expand(group)
    return Inventory(environment, path, {name: hostvars.get(name, {}) for name in groups["all"]}, groups)


def ansible_program(name: str) -> str:
    """Path of an Ansible program of the same virtual environment as this Python."""
    beside = Path(sys.executable).with_name(name)
    if not beside.exists():
        raise BedplateError(f"{name} is not installed beside {sys.executable}", remedy="run `make setup`")
    return str(beside)


def ansible_env() -> dict[str, str]:
    """Environment for Ansible programs: ours plus the project's ansible.cfg, UTF-8, no colour codes."""
    return os.environ | {
        "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
