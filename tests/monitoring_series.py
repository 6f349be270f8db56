"""Every expression that we ship, and every series that our own recording rules write."""

from collections.abc import Iterator

from bedplate.monitoring import dashboards, expected, expression
from tests.inventory_samples import base
from tests.monitoring_tables import groups


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of rules and dashboards, with where it stands."""
    for group in groups():
        for record in group.records:
            yield record.name, record.expr
        for alert in group.alerts:
            yield alert.key, alert.expr
    for board in dashboards.every():
        for panel in board.panels:
            for query in panel.queries:
                yield f"{board.title}: {panel.title}", query.expr


def recorded_names() -> dict[str, frozenset[str]]:
    """Series that our own recording rules write, with their labels."""
    found: dict[str, set[str]] = {}
    for environment in ("lab", "production"):
        for record in expected.group(base(environment)).records:
            found.setdefault(record.name, set()).update(record.labels)
    for record in (record for group in groups() for record in group.records):
        found.setdefault(record.name, set()).update({*record.labels, *expression.grouped(record.expr)})
    # Rules of no environment of ours: no inventory has RDMA cards.
    found.setdefault("bedplate:expected_rdma_ports", {"node"})
    return {name: frozenset(labels) for name, labels in found.items()}


EXPRESSIONS = sorted(set(expressions()))
RECORDS = recorded_names()
