"""Nodes and their GPUs as a picture: rows of cells, drawn as text here and on the report's page. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
    """The rows as JSON."""
    return [asdict(row) for row in drawn]


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
