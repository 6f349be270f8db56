"""Dashboards as pictures: how a query is asked, a value is written, a panel is drawn."""

from pathlib import Path

import pytest

from bedplate.errors import BedplateError
from bedplate.monitoring import answers, dashboards, pictures
from bedplate.monitoring.answers import Answered, Line, Span
from bedplate.monitoring.dashboards.grafana import Dashboard, Panel, Query, lines, number

SPAN = Span(1_700_000_000, 1_700_003_600)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.5, "percentunit", "50 %"),
        (85, "percent", "85 %"),
        (1536, "bytes", "1.5 KiB"),
        (12, "Bps", "12 B/s"),
        (0.2, "s", "200 ms"),
        (90, "s", "90 s"),
        (7200, "s", "2 h"),
        (172800, "s", "2 d"),
        (81559, "decmbytes", "81.56k MB"),
        (1_200_000, "short", "1.2M"),
        (700, "watt", "700 W"),
        (float("nan"), "short", "no value"),
    ],
)
def test_a_value_is_written_as_people_read_it(value: float, unit: str, shown: str) -> None:
    assert pictures.written(value, unit) == shown


@pytest.mark.parametrize(("value", "tone"), [(0, "green"), (1, "red"), (7, "red")])
def test_a_number_has_the_colour_of_its_limit(value: float, tone: str) -> None:
    panel = number("Pages", "x", limits=((None, "green"), (1, "red")))
    assert pictures.colour(panel, value) == pictures.COLOURS[tone]


def test_a_query_is_asked_with_every_choice_at_all() -> None:
    asked = answers.chosen('rate(x{node=~"$node"}[$__rate_interval])', 15)
    assert asked == 'rate(x{node=~".*"}[240s])'
    assert answers.named(Query("x", "{{node}} GPU {{gpu}}"), {"node": "g1", "gpu": "3"}) == "g1 GPU 3"


def test_every_kind_of_panel_is_drawn_and_none_is_left_out(tmp_path: Path) -> None:
    kinds = (
        number("n", "x"),
        Panel("t", (Query("x"),), kind="table"),
        lines("l", "x", "{{a}}"),
        lines("e", "x", ""),
    )
    series = tuple(Line(f"line {n}", {"a": str(n)}, ((SPAN.begin, n), (SPAN.end, n + 1))) for n in range(9))
    panels = (*(Answered(panel, series) for panel in kinds[:3]), Answered(kinds[3], (), "parse error"))
    drawn = pictures.draw(Dashboard("made-up", "Made up", kinds), panels, SPAN, tmp_path / "made-up.png")
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert drawn.stat().st_size > 5000
    assert {panel.kind for board in dashboards.every() for panel in board.panels} == {p.kind for p in kinds}


def test_every_unit_is_known() -> None:
    used = {panel.unit for board in dashboards.every() for panel in board.panels}
    assert used <= {*pictures.SUFFIXES, *pictures.SCALED}


def test_where_no_prometheus_answers_it_is_said() -> None:
    with pytest.raises(BedplateError, match="no Prometheus answers"):
        answers.board("http://127.0.0.1:1", dashboards.every()[0], SPAN)
