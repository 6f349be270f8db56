"""The stack's secrets: made by `bedplate secrets`, kept encrypted by Pulumi, never written here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from ai_platform import names
from ai_platform.manifest import Manifest
from bedplate.errors import BadInput, Finding


@dataclass(frozen=True)
class Secrets:
    """Values by name (Pulumi secrets) and how often each was rotated: pods carry the count, so that they
    restart when a secret changes without anything about its value leaving the encrypted part of the
    state."""

    environment: str
    values: Mapping[str, pulumi.Output[str]]
    generations: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> pulumi.Output[str]:
        """The secret. Raises BadInput when the stack has none of this name."""
        if name not in self.values:
            raise missing_secret(self.environment, name)
        return self.values[name]

    def generation(self, name: str) -> str:
        """How often it was rotated."""
        return self.generations.get(name, "0")


def missing_secret(environment: str, name: str) -> BadInput:
    """What the program says when a stack has no value for a secret that a component needs."""
    return BadInput(
        Finding(
            f"pulumi/Pulumi.{environment}.yaml",
            f"bedplate:{name}",
            "",
            "the stack has no such secret",
            f"run `bedplate secrets -i inventories/{environment}`, which makes what is missing",
        )
    )


def from_config(environment: str, catalogue: Mapping[str, object]) -> Secrets:
    """Those of the catalogue that the stack's configuration has."""
    config = pulumi.Config("bedplate")
    values = {name: config.get_secret(name) for name in catalogue}
    generations = {name: config.get(f"{name}-generation") or "0" for name in catalogue}
    return Secrets(environment, {k: v for k, v in values.items() if v is not None}, generations)


def secret(name: str, namespace: str, value: pulumi.Output[str], labels: dict[str, str]) -> Manifest:
    """The Secret of one value; its only key has its name."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(name, namespace, labels=labels),
        "type": "Opaque",
        "stringData": {name: value},
    }
