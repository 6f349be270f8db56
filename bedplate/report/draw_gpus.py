"""Pictures of GPU acceptance: who is linked to whom and how fast, each figure against what is promised."""

from markupsafe import Markup

from bedplate.report import units
from bedplate.report.model import Collective, GpuFigure, GpuVerdict
from bedplate.report.svg import drawing, element, rect, text

CELL, HEAD = 46, 40  # a cell of the matrix, and the row and column of its names
_LABEL, _TRACK, _ROW = 130, 280, 30  # a bar: its name, its length, its height with the space around
_COLUMN, _TALL = 21, 120  # a column of a collective
_LABELS = 7  # more columns than that have a label at every second one
FAINTEST, STRONGEST = 0.10, 0.75  # opacity of the slowest and the fastest pair
SMALL = 1024


def matrix(view: GpuVerdict) -> Markup:
    """Every two GPUs: how they are linked, GB/s from row to column below it, darker where faster."""
    count = max(len(view.ways), len(view.bandwidths))
    measured = [value for row in view.bandwidths for value in row if value is not None]
    most = max(measured, default=0.0)
    parts = [
        text(HEAD + (n + 0.5) * CELL, 26, f"GPU {n}", "tick", text_anchor="middle") for n in range(count)
    ]
    for one in range(count):
        y = HEAD + one * CELL
        parts.append(text(HEAD - 6, y + CELL / 2 + 4, f"GPU {one}", "tick", text_anchor="end"))
        for other in range(count):
            if one != other:
                parts.append(_cell(view, one, other, most))
    side = HEAD + count * CELL + 2
    return drawing(side, side, f"how the GPUs of {view.host} are linked", parts, "m")


def _cell(view: GpuVerdict, one: int, other: int, most: float) -> Markup:
    way = view.ways[one][other] if one < len(view.ways) else ""
    value = view.bandwidths[one][other] if one < len(view.bandwidths) else None
    x, y, middle = HEAD + other * CELL, HEAD + one * CELL, CELL / 2
    share = (value or 0) / most if most else 0.0
    figure = units.number(round(value)) if value is not None else ""
    speed = f", {figure} GB/s" if figure else ""
    return element(
        "g",
        element("title", f"GPU {one} to GPU {other}: {way or 'unknown'}{speed}"),
        rect(
            x + 1,
            y + 1,
            CELL - 2,
            CELL - 2,
            "way" if way.startswith("NV") else "way slow",
            rx=4,
            fill_opacity=round(FAINTEST + (STRONGEST - FAINTEST) * share**2, 2),
        ),
        text(x + middle, y + (middle + 4 if not figure else middle - 2), way, "kind", text_anchor="middle"),
        text(x + middle, y + middle + 13, figure, "figure", text_anchor="middle") if figure else "",
    )


def bars(figures: tuple[GpuFigure, ...]) -> Markup:
    """One bar per figure: the slowest GPU, paler up to the fastest, the gate as a line across, the published
    figure as the whole length."""
    parts = [_bar(figure, index * _ROW) for index, figure in enumerate(figures)]
    width = _LABEL + _TRACK + 190
    return drawing(width, len(figures) * _ROW, "figures against gate and published figure", parts, "b")


def _bar(figure: GpuFigure, y: float) -> Markup:
    whole = max(figure.published, figure.fastest, figure.gate) or 1.0
    slow, fast, gate = (_TRACK * value / whole for value in (figure.slowest, figure.fastest, figure.gate))
    words = span(figure)
    promised = f" of {units.number(figure.published)}" if figure.published else ""
    return element(
        "g",
        element("title", f"{figure.name}: {words} {figure.unit}{promised}, gate {units.number(figure.gate)}"),
        text(0, y + 18, figure.name, "name"),
        rect(_LABEL, y + 8, _TRACK, 12, "rest", rx=3),
        rect(_LABEL, y + 8, fast, 12, f"reach s-{figure.state}", rx=3),
        rect(_LABEL, y + 8, slow, 12, f"s-{figure.state}", rx=3),
        rect(_LABEL + gate - 1, y + 4, 2, 20, "gate") if figure.gate else "",
        text(_LABEL + _TRACK + 10, y + 18, f"{words}{promised} {figure.unit}", "tick"),
    )


def span(figure: GpuFigure) -> str:
    """``757``, or ``752 to 761`` where GPUs differ in what is shown."""
    slow, fast = units.number(round(figure.slowest)), units.number(round(figure.fastest))
    return slow if slow == fast else f"{slow} to {fast}"


def columns(view: Collective) -> Markup:
    """Bus bandwidth by size of the message, the plain baseline as a line across each column."""
    most = max([view.published, view.gate, *(value for _, value, _ in view.points)]) or 1.0
    left, top = 34, 8
    width = left + len(view.points) * _COLUMN + 8
    every = 1 if len(view.points) <= _LABELS else 2
    parts = []
    for line in (most, most / 2):
        y = top + _TALL * (1 - line / most)
        parts.append(text(left - 5, y + 4, units.number(round(line)), "tick", text_anchor="end"))
        parts.append(element("path", d=f"M{left} {y:g}h{width - left - 8}", class_="rail"))
    for index, (size, value, plain) in enumerate(view.points):
        x, height = left + index * _COLUMN + 2, _TALL * value / most
        parts.append(
            element(
                "g",
                element(
                    "title",
                    f"{size_of(size)}: {value:.1f} GB/s, plain baseline {plain:.1f} GB/s",
                ),
                rect(x, top + _TALL - height, _COLUMN - 5, height, "s-info", rx=2),
                rect(x - 1, top + _TALL * (1 - plain / most) - 0.8, _COLUMN - 3, 1.6, "gate")
                if plain
                else "",
                text(x + (_COLUMN - 5) / 2, top + _TALL + 13, size_of(size), "small", text_anchor="middle")
                if index % every == 0
                else "",
            )
        )
    return drawing(width, _TALL + top + 20, f"{view.name}: bus bandwidth by size", parts, "c")


def size_of(count: int) -> str:
    """Bytes as people name messages: ``1M``, ``4G``."""
    mebibytes = count // 2**20
    return f"{mebibytes}M" if mebibytes < SMALL else f"{mebibytes // SMALL}G"
