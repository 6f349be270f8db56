"""What a Prometheus says to the queries of a dashboard, as Grafana would ask them."""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedplate.errors import BedplateError
from bedplate.monitoring.dashboards.grafana import Dashboard, Panel, Query

POINTS = 240  # of one line, as many as a panel of Grafana's shows about
LEAST_RATE = 240  # seconds: four scrapes of a minute, as Grafana's $__rate_interval
TIMEOUT = 60
INSTANT = ("stat", "table")


@dataclass(frozen=True)
class Line:
    """One series of an answer: its name in the legend, its labels, and (seconds since 1970, value) pairs."""

    name: str
    labels: Mapping[str, str]
    values: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Answered:
    """A panel with what its queries answered; ``error`` is what Prometheus said instead."""

    panel: Panel
    lines: tuple[Line, ...]
    error: str = ""


@dataclass(frozen=True)
class Span:
    """From when until when, in seconds since 1970."""

    begin: float
    end: float

    @property
    def step(self) -> int:
        """Seconds between two points of a line."""
        return max(1, round((self.end - self.begin) / POINTS))

    @classmethod
    def until(cls, end: float | None, hours: float) -> "Span":
        """The hours before ``end`` (now where it is left out)."""
        last = end or time.time()
        return cls(last - hours * 3600, last)


def board(url: str, asked: Dashboard, span: Span) -> tuple[Answered, ...]:
    """Every panel of a dashboard. Raises BedplateError where no Prometheus answers."""
    return tuple(_panel(url, panel, span) for panel in asked.panels)


def chosen(expr: str, step: int) -> str:
    """A query with every choice at All and Grafana's interval filled in."""
    window = max(LEAST_RATE, 4 * step)
    return re.sub(r"\$(?!__)\w+\b", ".*", expr.replace("$__rate_interval", f"{window}s"))


def named(query: Query, labels: Mapping[str, str]) -> str:
    """What a line is called in the legend."""
    if query.legend:
        return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), query.legend)
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__")


def _panel(url: str, panel: Panel, span: Span) -> Answered:
    found: list[Line] = []
    for query in panel.queries:
        expr = chosen(query.expr, span.step)
        if panel.kind in INSTANT:
            body = _ask(f"{url}/api/v1/query", {"query": expr, "time": span.end})
        else:
            words = {"query": expr, "start": span.begin, "end": span.end, "step": span.step}
            body = _ask(f"{url}/api/v1/query_range", words)
        if body["status"] != "success":
            return Answered(panel, (), str(body.get("error", "no answer")))
        found += [_line(query, series) for series in body["data"]["result"]]
    return Answered(panel, tuple(found))


def _line(query: Query, series: Mapping[str, Any]) -> Line:
    values = series["values"] if "values" in series else [series["value"]]
    pairs = tuple((float(moment), float(value)) for moment, value in values)
    return Line(named(query, series["metric"]), series["metric"], pairs)


def _ask(url: str, words: Mapping[str, Any]) -> dict[str, Any]:
    try:
        # The address is the operator's own.
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(words)}", timeout=TIMEOUT) as answer:  # noqa: S310
            return dict(json.load(answer))
    except urllib.error.HTTPError as refused:
        return dict(json.load(refused))
    except OSError as error:
        raise BedplateError(
            f"no Prometheus answers at {url}: {error}", remedy="name the address of one that runs"
        ) from error
