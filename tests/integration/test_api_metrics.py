"""The real proxy and the real gate, read by a real Prometheus with the jobs and the rules that are rendered:
every series is there, with its labels, and says what happened."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bedplate import evidence
from bedplate.api.lab import Lab
from bedplate.monitoring import metrics, render, scrape
from bedplate.ports import free_port
from tests import inventory_samples as samples
from tests import prometheus_server
from tests.api_site import ALPHA, BETA, ask, gateway, key
from tests.api_upstream import model
from tests.monitoring_run import Program, wait

PACE = "1s"


def scraped(lab: Lab) -> list[dict[str, Any]]:
    """The jobs of the gateway as they are rendered, with an address instead of Kubernetes."""
    jobs = {job["job_name"]: job for job in scrape.config(samples.base("lab"))["scrape_configs"]}
    target = {"targets": [f"127.0.0.1:{lab.replicas[0].proxy.metrics}"]}
    kept = ("job_name", "metrics_path", "metric_relabel_configs")
    return [{k: jobs[j][k] for k in kept} | {"static_configs": [target]} for j in ("gateway", "gate")]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, str]]:
    """A gateway behind Prometheus, after some of everything; then its counters go away."""
    folder = tmp_path_factory.mktemp("metrics")
    with (
        model(name="one") as good,
        model(name="canary-two") as canary,
        gateway(folder / "api", good, canary, shares={"canary-two": 0}) as lab,
    ):
        url = f"http://127.0.0.1:{free_port()}"
        groups = [g for g in render.groups(samples.base("lab")) if g.name == "gateway"]
        for number, group in enumerate(groups):
            (folder / f"{number}.yml").write_text(render.document(group))
        config = {"global": {"scrape_interval": PACE, "evaluation_interval": PACE}}
        config |= {"scrape_configs": scraped(lab), "rule_files": [f"{folder}/[0-9].yml"]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        words = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={url.removeprefix('http://')}",
        ]
        program = Program(words, folder / "prometheus.log", f"{url}/-/ready")
        program.start()
        try:
            happen(lab)
            yield lab, url
        finally:
            program.end()


def happen(lab: Lab) -> None:
    """Twice, because of what is seen for the first time nobody knows from where it has risen."""
    port = lab.replicas[0].port
    for _ in range(2):
        for word in (ALPHA, BETA, "wrong", *[key("two")] * 3):
            ask(port, word=word)
        time.sleep(2.5)
    lab.stop_store()
    for _ in range(2):
        assert ask(port)[0] == 503
        time.sleep(2.5)


def value(url: str, query: str) -> float:
    """Of a query with one answer; 0 where there is none."""
    result = prometheus_server.ask(url, query, None)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def test_every_series_is_there_with_its_labels(seen: tuple[Lab, str]) -> None:
    _, url = seen
    ours = [one for one in metrics.known().values() if one.exporter in ("gateway", "gate")]
    missing = []
    for one in ours:
        result = prometheus_server.ask(url, one.name, None)["data"]["result"]
        labels = set().union(*(series["metric"] for series in result))
        missing += [f"{one.name} {label}" for label in one.labels - labels] if result else [one.name]
    assert len(ours) > 5
    evidence.record(
        "lab",
        "monitoring.gateway.series",
        f"Series of the API gateway that rules and dashboards read and it does not show, of {len(ours)}",
        len(missing),
        unit="series",
        goal="== 0",
        proved_on="program",
        command="pytest tests/integration/test_api_metrics.py",
    )
    assert missing == []


def test_counts_are_those_of_what_happened(seen: tuple[Lab, str]) -> None:
    _, url = seen
    asked = {
        'sum(gateway_decisions_total{code="ok",consumer="alpha"})': 2,
        'sum(gateway_decisions_total{code="not_authenticated"})': 2,
        'sum(gateway_decisions_total{code="no_counters"})': 2,
        'sum(gateway_decisions_total{consumer="two"})': 6,
        'sum(envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="inside"})': 14,
    }
    wait(lambda: value(url, 'sum(gateway_decisions_total{code="no_counters"})') == 2, 20, "not scraped")
    assert {query: value(url, query) for query in asked} == asked


def test_counters_that_are_away_and_a_canary_are_alerts(seen: tuple[Lab, str]) -> None:
    _, url = seen
    away = 'ALERTS{alertname="GatewayCountersAway"}'
    wait(lambda: value(url, f"count({away})") == 1, 20, "nobody noticed")
    assert value(url, "bedplate:gateway_decision_p99:ms") > 0
    assert value(url, 'count(ALERTS{alertname="GatewayCanaryWithdrawn"})') == 0
