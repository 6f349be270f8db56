"""Every query of every dashboard is asked of a real Prometheus, and answers; Grafana can read the JSON."""

import json
import re
from collections.abc import Iterator

import pytest

from bedplate import evidence
from bedplate.monitoring import dashboards, expression, metrics
from tests import prometheus_server
from tests.monitoring_series import RECORDS

BOARDS = dashboards.every()
QUERIES = [
    (f"{board.title}: {panel.title} {place}", query.expr)
    for board in BOARDS
    for panel in board.panels
    for place, query in enumerate(panel.queries)
]


def chosen(expr: str) -> str:
    """The query as Grafana sends it with every choice at All."""
    return re.sub(r"\$(node|service)\b", ".*", expr.replace("$__rate_interval", "5m"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    text = prometheus_server.exposition(RECORDS)
    with prometheus_server.server(tmp_path_factory.mktemp("prometheus"), text) as address:
        yield address


@pytest.mark.parametrize(("where", "expr"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_answers(where: str, expr: str, url: str) -> None:
    answer = prometheus_server.ask(url, chosen(expr))
    assert answer["status"] == "success", answer.get("error")
    assert answer["data"]["result"], f"{where} is empty: {chosen(expr)}"


def test_a_query_with_a_mistake_does_not_answer(url: str) -> None:
    """The judge can say no: a syntax error, a name that nobody exports, a label that nobody has."""
    assert prometheus_server.ask(url, "sum by (node (up)")["status"] == "error"
    assert prometheus_server.ask(url, "DCGM_FI_DEV_GPU_UTILISATION")["data"]["result"] == []
    assert prometheus_server.ask(url, 'up{hostname="gpu1"}')["data"]["result"] == []


def test_legends_name_labels_that_the_answer_has(url: str) -> None:
    wrong = []
    for board in BOARDS:
        for panel in board.panels:
            for query in panel.queries:
                wanted = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
                answer = prometheus_server.ask(url, chosen(query.expr))["data"]["result"]
                have = set.intersection(*(set(line["metric"]) for line in answer)) if wanted else set()
                wrong += [f"{board.title}: {panel.title}: {label}" for label in wanted - have]
    assert wrong == []


@pytest.mark.parametrize("name", dashboards.files())
def test_the_json_is_what_grafana_reads(name: str) -> None:
    body = json.loads(dashboards.files()[name])
    assert body["uid"] == name.removesuffix(".json")
    assert body["panels"]
    ids = [panel["id"] for panel in body["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in body["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert all(
            target["expr"] and target["datasource"]["uid"] == "prometheus" for target in panel["targets"]
        )
    used = {
        variable
        for panel in body["panels"]
        for target in panel["targets"]
        for variable in re.findall(r"\$(?!__)(\w+)", target["expr"])
    }
    assert used == {variable["name"] for variable in body["templating"]["list"]}


def test_titles_and_addresses_are_distinct() -> None:
    assert len({board.uid for board in BOARDS}) == len(BOARDS)
    for board in BOARDS:
        titles = [panel.title for panel in board.panels]
        assert len(titles) == len(set(titles)), board.title


def test_every_exporter_of_ours_is_on_a_dashboard() -> None:
    shown = {name for _, expr in QUERIES for name in expression.metrics(expr)}
    exporters = {metric.exporter for name, metric in metrics.known().items() if name in shown}
    assert {"dcgm", "node", "vllm", "triton", "milvus", "gateway", "blackbox"} <= exporters


def test_answers_are_recorded(url: str) -> None:
    empty = [
        where
        for where, expr in QUERIES
        if not prometheus_server.ask(url, chosen(expr)).get("data", {}).get("result")
    ]
    evidence.record(
        "lab",
        "monitoring.dashboards.queries",
        f"Queries of {len(BOARDS)} dashboards that a real Prometheus does not answer, of {len(QUERIES)}",
        len(empty),
        unit="queries",
        goal="== 0",
        proved_on="program",
        command="pytest tests/unit/test_monitoring_dashboards.py",
    )
    assert empty == []
