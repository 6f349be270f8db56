"""The verdict as a person reads it on a terminal."""

from rich.console import Console
from rich.table import Table

from bedplate.acceptance.accept import Outcome
from bedplate.acceptance.figures import Figure
from bedplate.acceptance.verdict import Verdict

_MARKS = {"pass": "[green]✓[/]", "fail": "[red]✗[/]", "info": "•"}
_COLUMNS = (
    ("figure", False),
    ("where", False),
    ("measured", True),
    ("", False),
    ("plain", True),
    ("gate", True),
    ("published", True),
)
_MOST = 12  # lines of one figure before only the worst are shown


def show(outcome: Outcome, console: Console) -> None:
    """All hosts, what is wrong first."""
    for one in outcome.verdicts:
        _host(one, console)


def _host(one: Verdict, console: Console) -> None:
    word = "[green]accepted[/]" if one.accepted else "[red]not accepted[/]"
    console.print(
        f"[bold]{one.host}[/] {one.count} x {one.model}: {word}, level {one.level}, {one.seconds:.1f} s",
        highlight=False,
    )
    for complaint in one.complaints:
        mark = "[red]✗[/]" if complaint.level == "fail" else "[yellow]![/]"
        console.print(f"  {mark} ", end="")
        console.print(
            f"{complaint.where}: {complaint.what}: {complaint.value}, expected {complaint.expected}\n"
            f"      → {complaint.remedy}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if one.figures:
        console.print(_table(one))


def _table(one: Verdict) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name, right in _COLUMNS:
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for figure in _shown(one.figures):
        table.add_row(
            f"{_MARKS[figure.state]} {figure.words}{_size(figure)}",
            _where(figure),
            f"{figure.value:,.1f}",
            figure.unit,
            f"{figure.ratio - 1:+.1%}" if figure.ratio else "",
            _number(figure.gate),
            _number(figure.published),
        )
    return table


def _shown(found: tuple[Figure, ...]) -> list[Figure]:
    """Every figure; of many equal ones (56 pairs of eight GPUs) those that fail and the slowest."""
    shown: list[Figure] = []
    for name in dict.fromkeys(figure.name for figure in found):
        same = [figure for figure in found if figure.name == name]
        if len(same) > _MOST and not same[0].size:
            failing = [figure for figure in same if figure.state == "fail"][:_MOST]
            same = failing or sorted(same, key=lambda f: f.value)[:2]
        shown += same
    return shown


def _where(figure: Figure) -> str:
    return figure.where.replace("GPU ", "").replace(" to ", " → ") if figure.name == "pair" else figure.where


def _size(figure: Figure) -> str:
    mib = figure.size // 2**20
    return "" if not mib else f" {mib} MiB" if mib < 1024 else f" {mib // 1024} GiB"  # noqa: PLR2004


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}".removesuffix(".0")
