"""Reads an inventory as Ansible does: hosts and groups by Ansible's own inventory manager, variables from the
files that its own loader finds, put together in its order.

The values are those of ``ansible-inventory --list`` (a test holds one against the other). What the listing
does not give is where each value was written. And it is ten times slower for a thousand hosts: here files of
groups are read once for all hosts that are in the same groups, so that what hosts share is one object, which
is later checked once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.check import files
from bedplate.check.files import Document, Secret, Unreadable, relative
from bedplate.check.memory import Memory, recall
from bedplate.check.problem import Key
from bedplate.check.source import Source
from bedplate.errors import BadInput, Finding
from bedplate.inventory import Inventory, ansible_env

os.environ.update(ansible_env())  # before the first import of Ansible, which reads its configuration then

from ansible import constants
from ansible._internal._datatag._tags import Origin
from ansible.cli import CLI
from ansible.errors import AnsibleError
from ansible.inventory.helpers import sort_groups
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString, is_encrypted
from ansible.utils.display import Display

_INTERNAL = frozenset(("inventory_dir", "inventory_file"))  # what Ansible adds to every host by itself
_FORMATS = (".yml", ".yaml", ".json")


def read(path: Path, *overlays: Path) -> Source:
    """The inventory with places. Raises BadInput naming every file that is not valid YAML."""
    absent = [finding for source in (path, *overlays) for finding in _absent(source)]
    if absent:
        raise BadInput(absent)
    sources = [source.resolve() for source in (path, *overlays)]
    loader = DataLoader()
    loader.set_basedir(str(paths.ROOT))
    _unlock(loader)
    try:
        with _heard() as warnings:
            manager = InventoryManager(loader=loader, sources=[str(source) for source in sources])
        memory = recall(paths.environment_of(path))
        store = _Store(loader, memory, [source if source.is_dir() else source.parent for source in sources])
        hosts = {host.name: store.host(host, manager.groups["all"]) for host in manager.get_hosts()}
    except AnsibleError as error:
        raise BadInput(_unreadable(path, error)) from error
    for file in (file for source in sources for file in _own(source)):
        store.document(str(file))
    if store.unreadable:
        raise BadInput(store.unreadable)
    groups = {name: tuple(h.name for h in group.get_hosts()) for name, group in manager.groups.items()}
    inventory = Inventory(
        paths.environment_of(path), path, {name: found.values for name, found in hosts.items()}, groups
    )
    twice = [finding for document in store.documents.values() if document for finding in document.findings]
    strange = [
        _strange(path, text) for text in warnings if "duplicate mapping key" not in text
    ]  # said with its line
    place = lambda host, key: hosts[host].place(key) if host in hosts else ""  # noqa: E731
    return Source(inventory, place, (*twice, *strange), memory)


@dataclass
class Found:
    """Variables, and for each the file or the tagged value of Ansible's that it comes from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Any] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Later ones win."""
        self.values.update(other.values)
        self.origins.update(other.origins)

    def place(self, key: Key) -> str:
        """``file:line`` of exactly this key, or nothing."""
        origin = self.origins.get(str(key[0]))
        return origin.place(key) if isinstance(origin, Document) else _tagged(origin, key)


class _Store:
    """Everything read so far. Errors of files are kept, so that all are said at once."""

    def __init__(self, loader: Any, memory: Memory, folders: list[Path]) -> None:
        self._loader, self._memory = loader, memory
        self._folders = [folder.resolve() for folder in folders]
        self._groups: dict[tuple[str, ...], Found] = {}
        self.documents: dict[str, Document | None] = {}
        self.unreadable: list[Finding] = []

    def host(self, host: Any, everyone: Any) -> Found:
        """All variables of a host, in Ansible's order: groups, what stands beside the host, its own files."""
        mine = sort_groups([group for group in host.get_groups() if group.name != "all"])
        names = tuple(group.name for group in mine)
        if names not in self._groups:
            self._groups[names] = self._shared(everyone, mine)
        shared = self._groups[names]
        found = Found(dict(shared.values), dict(shared.origins))
        found.add(_inline(host.vars))
        for folder in self._folders:
            found.add(self._files(folder / "host_vars", host.name))
        return found

    def _shared(self, everyone: Any, groups: list[Any]) -> Found:
        """What stands in the inventory's own files loses against files of groups; among those, all loses."""
        found = Found()
        for group in (everyone, *groups):
            found.add(_inline(group.vars))
        for part in ([everyone], groups):
            for folder in self._folders:
                for group in part:
                    found.add(self._files(folder / "group_vars", group.name))
        return found

    def _files(self, folder: Path, name: str) -> Found:
        found = Found()
        for path in _vars_files(f"{folder}/{name}"):
            document = self.document(path)
            if document:
                found.add(Found(document.values, dict.fromkeys(document.values, document)))
        return found

    def document(self, path: str) -> Document | None:
        """A file, read once; None where it cannot be read."""
        if path not in self.documents:
            try:
                data = Path(path).read_bytes()
                opened = self._vault(path) if is_encrypted(data) else self._memory.document(path, data)
                self.documents[path] = opened
            except Unreadable as error:
                self.unreadable.append(error.finding)
                self.documents[path] = None
        return self.documents[path]

    def _vault(self, path: str) -> Document:
        """A file that is encrypted as a whole: Ansible opens it, and its values are nobody's business."""
        values = self._loader.load_from_file(path, cache="none", unsafe=True, trusted_as_template=True) or {}
        return Document(path, {str(name): Secret("(vault)") for name in values})


def _vars_files(path: str) -> Iterator[str]:
    """Files of a host or group as Ansible finds them: a folder, or one file with or without an ending."""
    for suffix in ("", *_FORMATS):
        if Path(path).is_dir() and not suffix:
            yield from _within(path)
            return
        if os.path.isfile(path + suffix):  # noqa: PTH113  thousands of them
            yield path + suffix
            return


def _within(folder: str) -> Iterator[str]:
    """Files of a folder and of those in it, by name; no hidden ones, no backups, no other endings."""
    with os.scandir(folder) as entries:
        shown = [
            entry for entry in entries if not entry.name.startswith(".") and not entry.name.endswith("~")
        ]
    for entry in sorted(shown, key=lambda entry: entry.name):
        suffix = os.path.splitext(entry.name)[1]  # noqa: PTH122
        if entry.is_dir() and not suffix:
            yield from _within(entry.path)
        elif entry.is_file() and suffix in ("", *_FORMATS):
            yield entry.path


def _own(source: Path) -> Iterator[Path]:
    """Files that say which hosts there are."""
    candidates = sorted(source.iterdir()) if source.is_dir() else [source]
    yield from (file for file in candidates if file.is_file() and file.suffix in _FORMATS)


def _inline(variables: dict[str, Any]) -> Found:
    """Variables that stand in the inventory file itself, as Ansible read and tagged them."""
    mine = {str(name): value for name, value in variables.items() if name not in _INTERNAL}
    return Found({name: _plain(value) for name, value in mine.items()}, mine)


def _plain(value: Any) -> Any:
    """Ansible's tagged values as plain Python."""
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, EncryptedString):
        return Secret("(vault)")
    kind = next((kind for kind in (str, int, float) if isinstance(value, kind)), str)
    return kind(value)


def _tagged(value: Any, key: Key) -> str:
    """Place of a value that Ansible tagged; nothing for what it cannot tag (booleans, null)."""
    names: list[Any] = []
    for part in key[1:]:
        names = [name for name in value if name == part] if isinstance(value, dict) else []
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return ""
    origins = filter(None, map(Origin.get_tag, (*names, value)))
    return next((f"{relative(Path(o.path))}:{o.line_num}" for o in origins if o.path and o.line_num), "")


def _unlock(loader: Any) -> None:
    """Give the loader the vault passwords that Ansible's configuration names; none are asked for."""
    if constants.DEFAULT_VAULT_PASSWORD_FILE or constants.DEFAULT_VAULT_IDENTITY_LIST:
        ids = constants.DEFAULT_VAULT_IDENTITY_LIST
        loader.set_vault_secrets(CLI.setup_vault_secrets(loader, vault_ids=ids, auto_prompt=False))


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What Ansible would only print: keys that it skips, names that it cannot use."""
    display, said = Display(), []
    display.warning = lambda msg, *_, **__: said.append(str(msg))
    try:
        yield said
    finally:
        del display.warning


def _strange(path: Path, text: str) -> Finding:
    """A warning of Ansible's; what it skips may be whole hosts, so that is an error."""
    file = path / "hosts.yml" if path.is_dir() else path
    why, level = text.strip().replace("\n", " "), "error" if text.startswith("Skipping") else "warning"
    return Finding(relative(file), "groups", file.name, why, "correct what Ansible names", level)


def _unreadable(path: Path, error: Exception) -> list[Finding]:
    """Every YAML file of the inventory that cannot be read; Ansible stops at the first."""
    findings = []
    for file in sorted(path.rglob("*.yml")) if path.is_dir() else [path]:
        try:
            files.read(str(file), file.read_bytes())
        except Unreadable as broken:
            findings.append(broken.finding)
    if findings:
        return findings
    why = str(getattr(error, "message", error)).strip().replace("\n", " ")
    return [Finding(relative(path), "-i", path.name, why, "correct what the message names")]


def _absent(path: Path) -> Iterator[Finding]:
    """What is no inventory at all."""
    if path.is_file() or any((path / f"hosts{suffix}").is_file() for suffix in (*_FORMATS, "")):
        return
    known = ", ".join(sorted(p.parent.name for p in paths.INVENTORIES.glob("*/hosts.yml"))) or "none yet"
    why = "this folder has no hosts.yml" if path.is_dir() else "there is no such inventory"
    remedy = f"name one that exists ({known}) or write one with `bedplate init`"
    yield Finding(str(path), "-i", str(path), why, remedy)
