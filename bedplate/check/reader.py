"""Reads an inventory with Ansible's own inventory and variable managers.

The values are those of ``ansible-inventory --list``: same code, same precedence, same vault. What the
listing does not give is where each value was written. Ansible tags every value that it reads with file
and line (core 2.19), so the place that is reported is that of the value that won, not a guess. It also is
several times faster than the listing for large inventories, because what hosts share is read, and later
checked, once.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bedplate import paths
from bedplate.check.source import Secret, Source, relative
from bedplate.errors import BadInput, Finding
from bedplate.inventory import Inventory, ansible_env

os.environ.update(ansible_env())  # before the first import of Ansible, which reads its configuration then

from ansible import constants
from ansible._internal._datatag._tags import Origin
from ansible.cli import CLI
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString
from ansible.vars.manager import VariableManager

# What Ansible adds to every host by itself.
_INTERNAL = frozenset(
    (
        "ansible_config_file",
        "ansible_facts",
        "ansible_local",
        "ansible_playbook_python",
        "ansible_version",
        "group_names",
        "groups",
        "inventory_dir",
        "inventory_file",
        "inventory_hostname",
        "inventory_hostname_short",
        "omit",
        "playbook_dir",
    )
)


def read(path: Path, *overlays: Path) -> Source:
    """The inventory with places. Raises BadInput naming every file that is not valid YAML."""
    loader = DataLoader()
    loader.set_basedir(str(paths.ROOT))
    _unlock(loader)
    sources = [str(source.resolve()) for source in (path, *overlays)]
    try:
        manager = InventoryManager(loader=loader, sources=sources)
        variables = VariableManager(loader=loader, inventory=manager)
        raw = {h.name: variables.get_vars(host=h, include_hostvars=False) for h in manager.get_hosts()}
    except AnsibleError as error:
        raise BadInput(_unreadable(path, error)) from error
    groups = {name: tuple(h.name for h in group.get_hosts()) for name, group in manager.groups.items()}
    tagged = {host: {k: v for k, v in values.items() if k not in _INTERNAL} for host, values in raw.items()}
    plain = _Plain()
    values = {host: {str(k): plain(v) for k, v in entry.items()} for host, entry in tagged.items()}
    return Source(Inventory(paths.environment_of(path), path, values, groups), tagged, _written)


def _unlock(loader: Any) -> None:
    """Give the loader the vault passwords that Ansible's configuration names; none are asked for."""
    if constants.DEFAULT_VAULT_PASSWORD_FILE or constants.DEFAULT_VAULT_IDENTITY_LIST:
        ids = constants.DEFAULT_VAULT_IDENTITY_LIST
        loader.set_vault_secrets(CLI.setup_vault_secrets(loader, vault_ids=ids, auto_prompt=False))


class _Plain:
    """Ansible's tagged values as plain Python; what hosts share stays shared."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        if id(value) not in self._seen:
            self._seen[id(value)] = self._convert(value)
        return self._seen[id(value)]

    def _convert(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self(k): self(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, EncryptedString):
            return Secret("(vault)")
        kind = next((kind for kind in (str, int, float) if isinstance(value, kind)), str)
        return kind(value)  # dates are YAML's own type, and text for everyone else


def _written(value: Any) -> str:
    """``file:line`` of a tagged value; nothing for what Ansible cannot tag (booleans, null)."""
    origin = Origin.get_tag(value)
    if not origin or not origin.path:
        return ""
    return _file(origin.path) + (f":{origin.line_num}" if origin.line_num else "")


@cache
def _file(path: str) -> str:
    return relative(Path(path))


def _unreadable(path: Path, error: Exception) -> list[Finding]:
    """Every YAML file of the inventory that cannot be read; Ansible stops at the first."""
    if not path.exists():
        return [_absent(path)]
    files = sorted(path.rglob("*.yml")) if path.is_dir() else [path]
    findings = [finding for file in files if (finding := _syntax(file))]
    if findings:
        return findings
    why = str(getattr(error, "message", error)).strip().replace("\n", " ")
    return [Finding(relative(path), "-i", path.name, why, "correct what the message names")]


def _syntax(file: Path) -> Finding | None:
    try:
        with file.open("rb") as stream:
            for _ in yaml.parse(stream, Loader=yaml.CSafeLoader):
                pass
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        why = f"not valid YAML: {getattr(broken, 'problem', None) or broken}"
        place = relative(file) + (f":{mark.line + 1}" if mark else "")
        return Finding(place, "(file)", file.name, why, "correct this line, or the one before it")
    return None


def _absent(path: Path) -> Finding:
    known = ", ".join(sorted(p.parent.name for p in paths.INVENTORIES.glob("*/hosts.yml"))) or "none yet"
    remedy = f"name one that exists ({known}) or write one with `bedplate init`"
    return Finding(str(path), "-i", str(path), "there is no such inventory", remedy)
