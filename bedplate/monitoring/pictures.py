"""Dashboards as PNG files, drawn from a Prometheus' answers: for where there is no Grafana to look at."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen
import matplotlib.dates as mdates
from matplotlib.figure import Figure

from bedplate.monitoring import answers
from bedplate.monitoring.answers import Answered, Line, Span
from bedplate.monitoring.dashboards import grafana
from bedplate.monitoring.dashboards.grafana import Dashboard, Panel

INCHES = 0.75  # of one of the page's 24 columns
ROW_INCHES = 0.42
DPI = 80
LEGENDS, ROWS, LETTERS = 6, 8, 46
PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888")  # Tol's bright
COLOURS = {"green": "#2f855a", "yellow": "#b7791f", "orange": "#c05621", "red": "#c53030"}
INK, QUIET, FRAME = "#1a202c", "#718096", "#cbd5e0"
STEPS_1000, STEPS_1024 = ("", "k", "M", "G", "T", "P"), ("", "Ki", "Mi", "Gi", "Ti", "Pi")
SUFFIXES = {
    "watt": "W",
    "celsius": "°C",
    "ms": "ms",
    "s": "s",
    "reqps": "/s",
    "cps": "/s",
    "iops": "io/s",
    "rotmhz": "MHz",
    "decmbytes": "MB",
    "MBs": "MB/s",
    "short": "",
}
SCALED = ("percent", "percentunit", "bytes", "Bps")  # units that `written` converts
HOUR, DAY = 3600, 86400
SMALL = 0.01


def draw(board: Dashboard, panels: tuple[Answered, ...], span: Span, file: Path) -> Path:
    """One dashboard as one picture, panels where Grafana would put them."""
    places = [placed["gridPos"] for placed in grafana.placed(board.panels)]
    rows = max(place["y"] + place["h"] for place in places)
    width, height = grafana.COLUMNS * INCHES, rows * ROW_INCHES + 0.6
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    last = datetime.fromtimestamp(span.end, UTC).strftime("%Y-%m-%d %H:%M UTC")
    hours = (span.end - span.begin) / 3600
    title = f"{board.title}   ({hours:g} h until {last})"
    figure.text(0.01, 1 - 0.3 / height, title, fontsize=15, weight="bold", color=INK, va="center")
    for answered, place in zip(panels, places, strict=True):
        left, breadth = place["x"] / grafana.COLUMNS, place["w"] / grafana.COLUMNS
        top = 1 - (0.6 + place["y"] * ROW_INCHES) / height
        tall = place["h"] * ROW_INCHES / height
        _panel(figure, answered, (left, top - tall, breadth, tall), span)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    return file


def every(
    url: str, boards: tuple[Dashboard, ...], span: Span, folder: Path
) -> dict[str, tuple[Answered, ...]]:
    """A picture of each dashboard in ``folder``; returns by file name what its panels answered."""
    found = {}
    for board in boards:
        panels = answers.board(url, board, span)
        found[draw(board, panels, span, folder / f"{board.uid}.png").name] = panels
    return found


def written(value: float, unit: str) -> str:
    """Pure: a value as people read it, in Grafana's unit."""
    if math.isnan(value):
        return "no value"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit.startswith("percent"):
        return f"{value * (100 if unit == 'percentunit' else 1):.4g} %"
    if unit in ("bytes", "Bps"):
        shown = _stepped(value, 1024, STEPS_1024)
        return (shown if shown[-1] == "i" else f"{shown} ") + ("B/s" if unit == "Bps" else "B")
    if unit == "s":
        return _seconds(value)
    suffix = SUFFIXES.get(unit, "")
    return _stepped(value, 1000, STEPS_1000) + (f" {suffix}" if suffix else "")


def _seconds(value: float) -> str:
    for least, name in ((DAY, "d"), (HOUR, "h"), (1, "s")):
        if abs(value) >= least:
            return f"{value / least:.4g} {name}"
    return f"{value * 1000:.3g} ms" if value else "0 s"


def colour(panel: Panel, value: float) -> str:
    """Pure: the colour of a value by the panel's limits."""
    found = INK
    for limit, name in panel.limits:
        if limit is None or value >= limit:
            found = COLOURS.get(name, INK)
    return found


def _stepped(value: float, base: int, steps: tuple[str, ...]) -> str:
    place = 0
    while abs(value) >= base and place < len(steps) - 1:
        value, place = value / base, place + 1
    if 0 < abs(value) < SMALL:
        return f"{value:.1e}"
    return f"{value:.4g}{' ' if steps[place] and steps is STEPS_1024 else ''}{steps[place]}"


def _panel(figure: Figure, answered: Answered, box: tuple[float, float, float, float], span: Span) -> None:
    left, bottom, breadth, tall = box
    pad, wide, high = 0.3, *figure.get_size_inches()
    inside = answered.panel.kind == "timeseries"
    sides = (0.75 if inside else pad) / wide, (0.95 if inside else pad / 2) / high
    head = 0.34 / high
    axes = figure.add_axes(
        (left + sides[0], bottom + sides[1], breadth - sides[0] - pad / wide, tall - sides[1] - head)
    )
    axes.set_title(answered.panel.title, fontsize=10, loc="left", color=INK, pad=4)
    for spine in axes.spines.values():
        spine.set_color(FRAME)
    kinds: Mapping[str, Callable[..., None]] = {"stat": _stat, "table": _table}
    if answered.error or not answered.lines:
        _bare(axes)
        axes.text(0.5, 0.5, answered.error or "no data", ha="center", va="center", color=QUIET, fontsize=10)
    else:
        kinds.get(answered.panel.kind, _lines)(axes, answered, span)  # type: ignore[no-untyped-call]


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])


def _stat(axes: Any, answered: Answered, _: Span) -> None:
    _bare(axes)
    value = answered.lines[0].values[-1][1]
    shown, tone = written(value, answered.panel.unit), colour(answered.panel, value)
    axes.text(0.5, 0.48, shown, ha="center", va="center", fontsize=22, weight="bold", color=tone)


def _table(axes: Any, answered: Answered, _: Span) -> None:
    """The rows with the labels that differ or say something; more than fit are counted."""
    _bare(axes)
    columns = sorted({label for line in answered.lines for label in line.labels if label != "__name__"})
    rows = [
        [line.labels.get(c, "") for c in columns] + [written(line.values[-1][1], answered.panel.unit)]
        for line in answered.lines[:ROWS]
    ]
    tall = (len(rows) + 1) / (ROWS + 2)
    box = (0.0, 1 - tall, 1.0, tall)
    made = axes.table(rows, colLabels=[*columns, "value"], bbox=box, cellLoc="left", edges="horizontal")
    made.auto_set_font_size(value=False)
    made.set_fontsize(8.5)
    if len(answered.lines) > ROWS:
        axes.text(0.01, 0.03, f"and {len(answered.lines) - ROWS} more", fontsize=8, color=QUIET)


def _lines(axes: Any, answered: Answered, span: Span) -> None:
    unit = answered.panel.unit
    for number, line in enumerate(answered.lines):
        moments = [datetime.fromtimestamp(moment, UTC) for moment, _ in line.values]
        tone = PALETTE[number % len(PALETTE)]
        axes.plot(moments, [value for _, value in line.values], color=tone, linewidth=1.2, label=_short(line))
    axes.set_xlim(datetime.fromtimestamp(span.begin, UTC), datetime.fromtimestamp(span.end, UTC))
    low, high = axes.get_ylim()
    axes.set_ylim(min(0, low) if low <= 0 or low < high / 2 else low, high)
    for limit, name in answered.panel.limits:
        if limit is not None:
            axes.axhline(limit, color=COLOURS.get(name, INK), linewidth=0.8, linestyle="--")
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))  # type: ignore[no-untyped-call]
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    axes.yaxis.set_major_formatter(lambda value, _: written(value, unit))
    axes.tick_params(labelsize=7.5, colors=QUIET, length=2)
    axes.grid(visible=True, color=FRAME, linewidth=0.4)
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > LEGENDS:
        labels[LEGENDS - 1] = f"and {len(labels) - LEGENDS + 1} more"
    columns = 3 if answered.panel.width >= grafana.COLUMNS // 2 else 2
    axes.legend(
        handles[:LEGENDS],
        labels[:LEGENDS],
        loc="upper left",
        bbox_to_anchor=(0, -0.14),
        ncols=columns,
        fontsize=7.5,
        frameon=False,
        handlelength=1.2,
        borderaxespad=0,
    )


def _short(line: Line) -> str:
    name = line.name or "value"
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
