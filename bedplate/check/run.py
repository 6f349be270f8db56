"""The whole check, from an inventory to its findings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jsonschema.protocols import Validator

from bedplate.check import (  # noqa: F401  the rules register themselves
    backup,
    compatibility,
    containers,
    gateway,
    gpu_policy,
    hosts,
    kubernetes,
    models,
    names,
    network,
    rdma,
    roles,
    rules,
    schema,
    storage,
)
from bedplate.check.memory import Memory
from bedplate.check.problem import Problem, findings
from bedplate.check.source import Source
from bedplate.errors import Finding


@dataclass(frozen=True)
class Outcome:
    """What the check found, errors first, and what it looked at."""

    environment: str
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What has to be corrected."""
        return tuple(f for f in self.findings if f.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What should be known."""
        return tuple(f for f in self.findings if f.level != "error")

    def as_dict(self) -> dict[str, Any]:
        """The outcome as a program reads it (``--json``)."""
        return {
            "environment": self.environment,
            "verdict": "fail" if self.errors else "pass",
            "counts": dict(self.counts),
            "findings": [finding.as_dict() for finding in self.findings],
        }


def check(source: Source) -> Outcome:
    """Every finding of an inventory; pure but for the schema files and role specs that it reads."""
    inventory = source.inventory
    view = rules.View(inventory.hosts, inventory.groups)
    schemas = schema.load_all()
    problems = [
        *_typed(view, source.memory),
        *names.missing(view, schemas),
        *names.unknown(view, schemas),
        *rules.run(view),
    ]
    return Outcome(
        inventory.environment,
        tuple(sorted([*source.findings, *findings(problems, inventory.hosts, source.locate)])),
        _counts(view),
    )


def _typed(view: rules.View, memory: Memory) -> Iterator[Problem]:
    """Types of every variable; what is wrong is marked so that rules leave it alone."""
    for name in sorted(view.names):
        validator = _validator(name)
        if validator is None:
            continue
        judged: dict[int, list[Problem]] = {id(rules.ABSENT): []}
        for host, values in view.hosts.items():
            value = values.get(name, rules.ABSENT)
            if id(value) not in judged:
                judged[id(value)] = _judged(name, value, validator, memory)
            for problem in judged[id(value)]:
                view.broken.add((host, name))
                yield replace(problem, host=host)


def _judged(name: str, value: Any, validator: Validator, memory: Memory) -> list[Problem]:
    if memory.is_sound(name, value):
        return []
    found = list(schema.violations(name, value, validator))
    if not found:
        memory.found_sound(name, value)
    return found


@cache
def _validator(name: str) -> Validator | None:
    """What types a variable: a schema file, or else the argument spec of a role."""
    parts = (one.of(name) for one in schema.load_all())
    part = next((part for part in parts if part is not None), None)
    if part is None:
        part = next((options[name] for options in roles.specs().values() if name in options), None)
    return None if part is None else schema.validator(part)


def _counts(view: rules.View) -> dict[str, int]:
    networks = next((value for _, value in view.each("site_networks")), ())
    return {
        "hosts": len(view.hosts),
        "gpus": sum(gpus["count"] for _, gpus in view.each("hardware_gpus")),
        "disks": sum(len(disks) for _, disks in view.each("hardware_disks")),
        "nics": sum(len(nics) for _, nics in view.each("hardware_nics")),
        "networks": len(networks),
        "tiers": sum(len(tiers) for _, tiers in view.each("storage_tiers")),
    }
