"""An inventory together with the place where each of its values was written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.check.files import relative
from bedplate.check.memory import Memory
from bedplate.check.problem import Key
from bedplate.errors import Finding
from bedplate.inventory import Inventory

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


def nowhere(host: str, key: Key) -> str:
    """The place of a value that was made in memory."""
    return ""


@dataclass(frozen=True)
class Source:
    """An inventory, the place where a host's value at a key was written, what reading it showed, and what is
    known from earlier checks.
    """

    inventory: Inventory
    place: Callable[[str, Key], str] = nowhere
    findings: tuple[Finding, ...] = ()
    memory: Memory = field(default_factory=Memory)

    def locate(self, host: str, key: Key) -> str:
        """``file:line`` of the value at ``key``, of what surrounds it, or the file where it belongs."""
        for length in range(len(key), 0, -1):
            place = self.place(host, key[:length])
            if place:
                return place
        return relative(self.inventory.path / self._home(host, str(key[0])))

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
    return Source(inventory)
