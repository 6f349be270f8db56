"""Panels as records, and Grafana's JSON of them. Only what is said here differs between panels."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = 39  # of dashboards, Grafana 10.4 and later migrate from it
COLUMNS, HEIGHT = 24, 8
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}  # the one that provisioning makes
RATE = "$__rate_interval"
Json = dict[str, Any]
Limits = tuple[tuple[float | None, str], ...]


@dataclass(frozen=True)
class Query:
    """One PromQL query and what its lines are called (`{{label}}` is replaced)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """``kind`` is Grafana's type of panel, ``unit`` its name of a unit, ``width`` in 24ths of the page;
    ``limits`` are (from which value, colour), the first from the lowest value on."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    limits: Limits = ()
    note: str = ""


@dataclass(frozen=True)
class Variable:
    """A choice at the top of the page: the values of ``label`` of ``metric``."""

    name: str
    label: str
    metric: str


@dataclass(frozen=True)
class Dashboard:
    """``uid`` is part of its address and never changes."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()


NODE = Variable("node", "node", "up")
SERVICE = Variable("service", "service", "up")


def lines(title: str, expr: str, legend: str, unit: str = "short", **more: Any) -> Panel:
    """A panel of one query."""
    return Panel(title, (Query(expr, legend),), unit, **more)


def number(title: str, expr: str, unit: str = "short", width: int = 4, limits: Limits = ()) -> Panel:
    """One number, a sixth of the page wide unless said otherwise."""
    return Panel(title, (Query(expr),), unit, kind="stat", width=width, limits=limits)


def render(board: Dashboard) -> str:
    """Pure: the dashboard as Grafana reads it from a file."""
    body = {
        "uid": board.uid,
        "title": board.title,
        "tags": ["bedplate"],
        "schemaVersion": SCHEMA,
        "editable": False,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "timezone": "browser",
        "links": [{"type": "dashboards", "tags": ["bedplate"], "asDropdown": True, "title": "Dashboards"}],
        "templating": {"list": [_variable(variable) for variable in board.variables]},
        "panels": list(placed(board.panels)),
    }
    return json.dumps(body, indent=1) + "\n"


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.label})"
    return {
        "name": variable.name,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": variable.name},
        "definition": query,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 7,
    }


def placed(panels: Sequence[Panel]) -> Iterator[Json]:
    """Panels from left to right; a row is as high as its highest panel."""
    x = y = row = 0
    for number_, panel in enumerate(panels, start=1):
        height = HEIGHT // 2 if panel.kind == "stat" else HEIGHT
        if x + panel.width > COLUMNS:
            x, y, row = 0, y + row, 0
        yield _panel(panel, number_) | {"gridPos": {"x": x, "y": y, "w": panel.width, "h": height}}
        x, row = x + panel.width, max(row, height)


def _panel(panel: Panel, number_: int) -> Json:
    steps = [{"value": value, "color": colour} for value, colour in panel.limits]
    defaults: Json = {"unit": panel.unit}
    if steps:
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
    instant = panel.kind in ("stat", "table", "bargauge")
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": DATASOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "instant": instant,
            "range": not instant,
            **({"format": "table"} if panel.kind == "table" else {}),
        }
        for place, query in enumerate(panel.queries)
    ]
    return {
        "id": number_,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.note,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": targets,
    }
