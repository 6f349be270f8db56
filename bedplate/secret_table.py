"""Which program holds which secret, and where the secret comes from: read off the objects that would be sent,
so that the table cannot say anything else than what is."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedplate import paths

Manifest = dict[str, Any]
FILE = paths.ROOT / "docs" / "secrets.md"
MARK = re.compile(r"stack:([a-z0-9-]+)")  # what stands for a value of the stack when objects are rendered
INVENTORY = "the inventory"
NOBODY = "nobody"
_HEAD = """# Who holds which secret

Read off the objects of all environments, not edited by hand:
`PYTHONPATH=pulumi:plugins/module_utils python -m tests.secret_table`. A value is made once by
`bedplate secrets` with Python's `secrets`, kept encrypted in the Pulumi stack and sent only to the programs
named here. None is an upstream's default: `tests/contract/test_published_defaults.py`.

| secret | origin | what it is | held by |
|---|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Held:
    """One program (NAMESPACE/NAME) and one secret of the stack that it gets."""

    program: str
    secret: str


def stand_in(name: str) -> str:
    """What a secret's value is while objects are rendered for the table."""
    return f"stack:{name}"


def held(objects: Iterable[Manifest]) -> set[Held]:
    """Who holds what. A Secret in which nothing of the stack stands comes from the inventory."""
    listed = list(objects)
    known = {
        (o["metadata"]["namespace"], o["metadata"]["name"]): o.get("stringData", {})
        for o in listed
        if o["kind"] == "Secret"
    }
    found = set()
    for program, namespace, pod in _pods(listed):
        for name, keys in _references(pod):
            data = known.get((namespace, name), {})
            chosen = [str(v) for k, v in data.items() if not keys or k in keys]
            named = {m for text in chosen for m in MARK.findall(text)}
            if not MARK.search(str(data)):
                named = {f"{INVENTORY}: {_plain(name)}"}
            found |= {Held(program, secret) for secret in named}
    return found


def _plain(name: str) -> str:
    """A Secret's name without the hash of what it holds."""
    return re.sub(r"-[0-9a-f]{8}$", "", name)


def _pods(objects: Iterable[Manifest]) -> Iterator[tuple[str, str, Manifest]]:
    for o in objects:
        spec = o.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", {}).get("template") or spec.get("template")
        if template and "spec" in template:
            space = o["metadata"].get("namespace", "")
            yield f"{space}/{_plain(o['metadata']['name'])}", space, template["spec"]


def _references(pod: Manifest) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names of Secrets that a pod mounts or has as variables, with the keys; no keys are all of them."""
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        for variable in container.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield reference["name"], (reference["key"],)
        for source in container.get("envFrom", []):
            if "secretRef" in source:
                yield source["secretRef"]["name"], ()
    for volume in pod.get("volumes", []):
        if "secret" in volume:
            source = volume["secret"]
            yield source["secretName"], tuple(item["key"] for item in source.get("items", []))
        for source in volume.get("projected", {}).get("sources", []):
            if "secret" in source:
                items = source["secret"].get("items", [])
                yield source["secret"]["name"], tuple(item["key"] for item in items)


def origin(entry: Mapping[str, Any]) -> str:
    """Where a secret of the catalogue comes from."""
    if "names" in entry:
        return "made: a key and its certificate" + _file(entry, "certificate")
    return f"made: {entry['bytes']} bytes of chance" + _file(entry, "file")


def _file(entry: Mapping[str, Any], word: str) -> str:
    return f", {word} {entry[word]}" if word in entry else ""


def page(everything: Iterable[Held], catalogue: Mapping[str, Mapping[str, Any]]) -> str:
    """The document: a row for each secret, those that nobody holds too."""
    holders: dict[str, list[str]] = {name: [] for name in catalogue}
    for one in sorted(everything):
        holders.setdefault(one.secret, []).append(one.program)
    return _HEAD + "".join(_row(name, who, catalogue.get(name)) for name, who in sorted(holders.items()))


def _row(name: str, programs: Sequence[str], entry: Mapping[str, Any] | None) -> str:
    where, what = (origin(entry), entry["purpose"]) if entry else (INVENTORY, "addresses that hold a key")
    return f"| {name.rpartition(': ')[2]} | {where} | {what} | {', '.join(programs) or NOBODY} |\n"


def table(
    environments: Sequence[str],
    render: Callable[[str], Iterable[Manifest]],
    catalogue: Mapping[str, Mapping[str, Any]],
) -> str:
    """The document over all environments; ``render`` gives an environment's objects with ``stand_in`` for
    values."""
    found: set[Held] = set()
    for name in environments:
        found |= held(render(name))
    return page(found, catalogue)
