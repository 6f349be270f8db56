"""What the platform program would send, without a cluster: every component against Pulumi's mocks."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import yaml

from ai_platform.program import build
from ai_platform.reading import read
from ai_platform.secrets import Secrets
from bedplate import paths
from bedplate.inventory import Inventory, load

Manifest = dict[str, Any]
ENVIRONMENTS = ("lab", "staging", "production")
SECRET = "unit-test-value-of-a-secret"


# How the engine marks a secret on the wire (sdk/go/common/resource/sig).
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"


class Recorder(pulumi.runtime.Mocks):
    """Keeps the inputs of every resource, and the options that matter to tests."""

    def __init__(self) -> None:
        self.objects: list[Manifest] = []
        self.sent: list[Manifest] = []  # as on the wire: secrets in their envelopes

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ.startswith("kubernetes:"):
            self.sent.append(args.inputs)
            self.objects.append(_whole(args.inputs))
        return args.name, args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"the program calls {args.token}, which needs a cluster")


def record(inventory: Inventory, value: Callable[[str], str] = lambda name: SECRET) -> Recorder:
    """Run the program against mocks: every object of the environment, as the API server would get it.
    ``value`` makes a secret's value of its name."""
    settings = read(inventory)
    names = inventory.shared["catalogue_secrets"]
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder, project="bedplate", stack=inventory.environment)

    @pulumi.runtime.test
    def run() -> None:
        values = {name: pulumi.Output.secret(value(name)) for name in names}
        build(settings, Secrets(inventory.environment, values))

    run()
    return recorder


@cache
def environment(name: str) -> tuple[Manifest, ...]:
    """The objects of one of the repository's environments."""
    return tuple(record(inventory(name)).objects)


@cache
def inventory(name: str) -> Inventory:
    """One of the repository's inventories."""
    return load(paths.INVENTORIES / name)


def find(objects: Sequence[Manifest], kind: str, name: str, namespace: str = "") -> Manifest:
    """The one object of this kind and name."""
    found = [
        o
        for o in objects
        if o["kind"] == kind
        and o["metadata"]["name"] == name
        and (not namespace or o["metadata"].get("namespace") == namespace)
    ]
    assert len(found) == 1, f"{kind} {namespace}/{name}: {len(found)} found"
    return found[0]


def pod_specs(objects: Sequence[Manifest]) -> list[tuple[str, Manifest, Manifest]]:
    """(kind/name, pod metadata, pod spec) of everything that makes pods."""
    found = []
    for o in objects:
        spec = o.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", {}).get("template") or spec.get("template")
        if template and "spec" in template:
            found.append((f"{o['kind']}/{o['metadata']['name']}", template["metadata"], template["spec"]))
    return found


def write(objects: Sequence[Manifest], directory: Path) -> list[Path]:
    """One YAML file per object."""
    written = []
    for o in objects:
        meta = o["metadata"]
        path = directory / f"{o['kind']}-{meta.get('namespace', '')}-{meta['name']}.yaml".lower()
        path.write_text(yaml.safe_dump(o, sort_keys=False))
        written.append(path)
    return written


def _whole(value: Any) -> Any:
    """Mocks hand numbers over as floats and secrets in an envelope; the API gets neither."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _whole(value["value"])
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
