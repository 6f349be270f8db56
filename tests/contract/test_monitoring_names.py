"""What rules and dashboards read exists: every series has a source, every label belongs to its series, and
what was recorded from real programs is what we say they show."""

import ast
from pathlib import Path

import pytest
import yaml

from bedplate import paths
from bedplate.check.schema import load_all
from bedplate.monitoring import catalogue, expression, metrics, thresholds
from bedplate.monitoring.model import OWNERS, SEVERITIES
from tests.monitoring_series import EXPRESSIONS, RECORDS
from tests.monitoring_tables import groups

RECORDED = paths.ROOT / "tests/unit/recorded/exporters"
SCRAPED = metrics.known()["up"].labels


def labels_of(name: str) -> frozenset[str]:
    return RECORDS[name] if name in RECORDS else metrics.known()[name].labels | SCRAPED


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_an_expression_reads_series_and_labels_that_exist(where: str, expr: str) -> None:
    read = expression.metrics(expr)
    assert read - metrics.known().keys() - RECORDS.keys() == set()
    assert [(name, label) for name, label in expression.matchers(expr) if label not in labels_of(name)] == []
    if read:
        have = frozenset().union(*(labels_of(name) for name in read))
        assert expression.grouped(expr) - have == set()


def test_every_metric_has_a_source_and_is_read() -> None:
    assert [m.name for m in metrics.known().values() if not m.source] == []
    read = {name for _, expr in EXPRESSIONS for name in expression.metrics(expr)}
    assert sorted(metrics.known().keys() - read) == []


@pytest.mark.parametrize("metric", [m for m in metrics.known().values() if m.recorded], ids=lambda m: m.name)
def test_what_was_recorded_is_what_we_say(metric: metrics.Metric) -> None:
    kinds = dict(line.split() for line in (RECORDED / metric.recorded).read_text().splitlines())
    histogram = metric.name.removesuffix("_bucket")
    assert metric.name in kinds or kinds.get(histogram) == "histogram"


def test_metrics_of_disks_are_those_that_the_role_writes() -> None:
    source = paths.ROLES / "disk_health/files/disk_health.py"
    tree = ast.parse(source.read_text())
    [written] = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HELP"
    ]
    ours = [m.name for m in metrics.known().values() if m.source.endswith("disk_health.py")]
    assert len(ours) > 10
    assert [name for name in ours if name not in written] == []


def test_counters_of_gpus_are_of_a_kind_that_the_exporter_takes() -> None:
    assert {counter.kind for counter in metrics.counters()} == {"gauge", "counter", "label"}
    fields = [counter.field for counter in metrics.counters()]
    assert len(fields) == len(set(fields))
    assert all(counter.help and "," not in counter.help for counter in metrics.counters())


def test_a_counter_is_differentiated_and_a_gauge_is_not() -> None:
    """increase() of a gauge, or a comparison of a counter since boot, says nothing."""
    kinds = {counter.field: counter.kind for counter in metrics.counters()}
    for where, expr in EXPRESSIONS:
        for name in expression.metrics(expr) & kinds.keys():
            differentiated = f"increase({name}" in expr or f"rate({name}" in expr
            assert differentiated == (kinds[name] == "counter"), f"{where}: {name} is a {kinds[name]}"


def test_every_threshold_is_used_and_typed() -> None:
    values = yaml.safe_load(thresholds.FILE.read_text())
    [schema] = [schema for schema in load_all() if schema.name == "monitoring"]
    assert set(schema.variables) == set(values)
    assert schema.closed
    used = set().union(*(catalogue.used(document) for document in catalogue.documents()))
    elsewhere = {"runbooks", "scrape_seconds", "receivers", "probe_gateways", "probe_sites"}
    assert {f"monitoring_{name}" for name in used | elsewhere} == set(values)


def test_every_alert_has_somebody_to_answer_it() -> None:
    alerts = [alert for group in groups() for alert in group.alerts]
    assert {alert.severity for alert in alerts} <= set(SEVERITIES)
    assert {alert.owner for alert in alerts} <= set(OWNERS)
    assert len({alert.key for alert in alerts}) == len(alerts)
    assert [alert.key for alert in alerts if len(alert.summary) > 160] == []


def test_recordings_are_explained() -> None:
    text = Path(RECORDED.parent / "README.md").read_text()
    assert [file.name for file in RECORDED.glob("*.txt") if file.name not in text] == []
