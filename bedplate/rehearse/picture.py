"""Nodes and their GPUs as a picture: rows of cells, as text for a terminal and as SVG for a page. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from rich.text import Text

from bedplate.rehearse.objects import THOUSAND, Node, Pod
from bedplate.rehearse.verdict import Verdict

# Okabe and Ito's palette, which people with any colour vision can tell apart; then darker shades of it.
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#8C6D1F",
    "#004B75",
    "#00573F",
)
FREE = ""
CELL, GAP, LEFT, LINE = 18, 4, 190, 26


@dataclass(frozen=True)
class Row:
    """Nodes that look alike: a cell per GPU (or MIG device) with the workload on it, empty where free."""

    nodes: tuple[str, ...]
    zone: str
    cells: tuple[str, ...]
    others: int

    @property
    def label(self) -> str:
        """The first node, and how many are like it."""
        more = len(self.nodes) - 1
        return f"{self.nodes[0]} +{more}" if more else self.nodes[0]


def rows(verdict: Verdict, fold: int = 24) -> list[Row]:
    """A row per node that has GPUs; above ``fold`` nodes, those that look alike share a row."""
    single = [
        _row(node, verdict.cluster.placed[node.name])
        for node in verdict.cluster.nodes.values()
        if any(r.startswith("nvidia.com/") for r in node.allocatable)
    ]
    if len(single) <= fold:
        return single
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in single:
        alike.setdefault(row.cells, []).append(row)
    return [
        Row(tuple(r.nodes[0] for r in same), same[0].zone, same[0].cells, same[0].others)
        for same in alike.values()
    ]


def colours(drawn: Sequence[Row]) -> dict[str, str]:
    """A colour per workload, in order of appearance."""
    names = dict.fromkeys(cell for row in drawn for cell in row.cells if cell)
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def text(drawn: Sequence[Row]) -> Text:
    """The picture for a terminal; letters tell workloads apart where there is no colour."""
    palette = colours(drawn)
    letters = {name: _letter(index) for index, name in enumerate(palette)}
    width = max((len(row.label) for row in drawn), default=0)
    picture = Text()
    for row in drawn:
        picture.append(f"{row.label:{width}}  ")
        for cell in row.cells:
            picture.append(f"{letters[cell]} " if cell else "\N{MIDDLE DOT} ", style=palette.get(cell, "dim"))
        picture.append(f" {row.others} without GPUs\n" if row.others else "\n", style="dim")
    for name, letter in letters.items():
        picture.append(f"{letter} {name}   ", style=palette[name])
    return picture


def data(drawn: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON; ``from_data`` reads them back."""
    return [asdict(row) for row in drawn]


def from_data(entries: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows from JSON."""
    return [Row(tuple(e["nodes"]), e["zone"], tuple(e["cells"]), e["others"]) for e in entries]


def svg(drawn: Sequence[Row]) -> str:
    """The picture for a page: it takes the page's own text colour, and every cell says what it is."""
    palette = colours(drawn)
    columns = max((len(row.cells) for row in drawn), default=0)
    legend_top = len(drawn) * LINE + 14
    width = max(LEFT + columns * (CELL + GAP), 480)
    height = legend_top + len(palette) * LINE
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="inherit" font-size="13" '
        'role="img" aria-label="GPUs of every node and what runs on them">'
    ]
    for index, row in enumerate(drawn):
        parts += _svg_row(row, index * LINE, palette)
    for index, (name, colour) in enumerate(palette.items()):
        top = legend_top + index * LINE
        parts.append(f'<rect x="0" y="{top}" width="{CELL}" height="{CELL}" rx="3" fill="{colour}"/>')
        parts.append(f'<text x="{CELL + 8}" y="{top + 14}" fill="currentColor">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def _svg_row(row: Row, top: int, palette: Mapping[str, str]) -> list[str]:
    parts = [f'<text x="0" y="{top + 14}" fill="currentColor">{escape(row.label)}</text>']
    for index, cell in enumerate(row.cells):
        fill = (
            f'fill="{palette[cell]}"' if cell else 'fill="none" stroke="currentColor" stroke-opacity="0.35"'
        )
        title = f"{row.label}, GPU {index}: {cell or 'free'}"
        left = LEFT + index * (CELL + GAP)
        box = f'x="{left}" y="{top}" width="{CELL}" height="{CELL}" rx="3"'
        parts.append(f"<rect {box} {fill}><title>{escape(title)}</title></rect>")
    return parts


def _row(node: Node, pods: Sequence[Pod]) -> Row:
    """Cells of one node. Which GPU a pod gets is kubelet's choice; here they are filled in order."""
    devices = {r: n // THOUSAND for r, n in node.allocatable.items() if r.startswith("nvidia.com/")}
    cells: list[str] = []
    for resource, count in devices.items():
        used = [
            pod.workload.name
            for pod in sorted(pods, key=lambda pod: (pod.workload.name, pod.name))
            for _ in range(pod.requests.get(resource, 0) // THOUSAND)
        ]
        cells += [*used, *[FREE] * (count - len(used))]
    others = sum(
        1 for pod in pods if not pod.daemon and not any(r.startswith("nvidia.com/") for r in pod.requests)
    )
    return Row((node.name,), node.labels.get("topology.kubernetes.io/zone", ""), tuple(cells), others)


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else chr(ord("a") + index % 26)  # noqa: PLR2004 - the alphabet
