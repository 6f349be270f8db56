"""An inventory together with the place where each of its values was written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.check.problem import Key
from bedplate.inventory import Inventory, Vars

# Where a value is expected when nobody wrote it, by the first prefix that fits.
_HOMES = (
    ("vlan_network_addresses", "host_vars/{host}/network.yml"),
    ("vlan_network_", "group_vars/all/network.yml"),
    ("hardware_", "host_vars/{host}/hardware.yml"),
    ("platform_", "group_vars/all/platform.yml"),
    ("storage_tiers", "group_vars/{group}/storage_tiers.yml"),
    ("version_", "../_common/versions.yml"),
    ("compatibility_", "../_common/compatibility.yml"),
    ("groups", "hosts.yml"),
    ("", "group_vars/all/site.yml"),
)
_STORES = ("gpu_nodes", "storage_nodes")  # groups that hold storage tiers


class Secret(str):
    """A value that Ansible Vault encrypts: its type and content are not the check's business."""

    __slots__ = ()


def nowhere(_: Any) -> str:
    """The place of a value that was made in memory."""
    return ""


@dataclass(frozen=True)
class Source:
    """An inventory, the same variables as Ansible read them, and how to ask one where it was written."""

    inventory: Inventory
    tagged: dict[str, Vars]
    written: Callable[[Any], str] = nowhere

    def locate(self, host: str, key: Key) -> str:
        """``file:line`` of the value at ``key``, of what surrounds it, or the file where it belongs."""
        for length in range(len(key), 0, -1):
            place = self._place(self.tagged.get(host, {}), key[:length])
            if place:
                return place
        return relative(self.inventory.path / self._home(host, str(key[0])))

    def _place(self, variables: Any, key: Key) -> str:
        """Place of the key, or of the value: a list's item has no key, and the key of a variable is the first
        one that was read, whoever set the value in the end."""
        parent: Any = None
        value = variables
        for part in key:
            parent = value
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return ""
        named = [name for name in parent if name == key[-1]] if isinstance(parent, dict) else []
        candidates = [*named, value] if len(key) > 1 else [value, *named]
        return next(filter(None, map(self.written, candidates)), "")

    def _home(self, host: str, name: str) -> str:
        home = next(home for prefix, home in _HOMES if name.startswith(prefix))
        group = next((g for g in _STORES if host in self.inventory.groups.get(g, ())), _STORES[0])
        if not host and "{host}" in home:
            return "host_vars"
        return home.format(host=host, group=group)


def read(path: Path, *overlays: Path) -> Source:
    """Read an inventory as Ansible does. Raises BadInput naming every file that is not valid YAML."""
    from bedplate.check import reader  # noqa: PLC0415  Ansible takes half a second that other commands need not wait

    return reader.read(path, *overlays)


def memory(inventory: Inventory) -> Source:
    """An inventory that was made in memory: places are the files where its variables belong."""
    return Source(inventory, {})


def relative(path: Path) -> str:
    """Relative to the project, through symbolic links: the file that has to be edited."""
    real = path.resolve()
    return str(real.relative_to(paths.ROOT) if real.is_relative_to(paths.ROOT) else real)
