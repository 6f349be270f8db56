"""Rules as records, and as Prometheus reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("page", "ticket", "info", "none")
OWNERS = ("gpu", "hosts", "serving", "data", "platform")


@dataclass(frozen=True)
class Record:
    """A recording rule; ``name`` is the series that it writes."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_rule(self) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        rule: dict[str, Any] = {"record": self.name, "expr": self.expr}
        return rule | ({"labels": dict(self.labels)} if self.labels else {})


@dataclass(frozen=True)
class Alert:
    """An alerting rule. ``wait`` is Prometheus' ``for``; ``runbook`` the address of the page of the name."""

    name: str
    expr: str
    wait: str
    severity: str
    owner: str
    summary: str
    runbook: str

    @property
    def key(self) -> str:
        """Name and severity, which are unique together."""
        return f"{self.name}/{self.severity}"

    def as_rule(self) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.wait,
            "labels": {"severity": self.severity, "owner": self.owner},
            "annotations": {"summary": self.summary, "runbook": self.runbook},
        }


Rule = Record | Alert


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated together, one after the other: records come before what reads them. Every
    ``interval`` seconds; 0: as often as everything else."""

    name: str
    rules: tuple[Rule, ...]
    interval: int = 0

    def as_group(self) -> dict[str, Any]:
        """The group as Prometheus reads it."""
        pace = {"interval": f"{self.interval}s"} if self.interval else {}
        return {"name": self.name, **pace, "rules": [rule.as_rule() for rule in self.rules]}

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Only its alerts."""
        return tuple(rule for rule in self.rules if isinstance(rule, Alert))

    @property
    def records(self) -> tuple[Record, ...]:
        """Only its recording rules."""
        return tuple(rule for rule in self.rules if isinstance(rule, Record))
