"""The result of a rehearsal for a person: picture, tables, sentences."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bedplate.rehearse import picture, placing
from bedplate.rehearse.objects import Pod
from bedplate.rehearse.result import DOES_NOT_FIT, FITS, Result
from bedplate.rehearse.verdict import Verdict

GIB = 1024**3
MOST_ROWS = 40
_STYLE = {FITS: "bold green", DOES_NOT_FIT: "bold red"}


def show(result: Result, console: Console) -> None:
    """Print everything, the verdict last."""
    drawn = picture.rows(result.verdict)
    parts: list[RenderableType] = [picture.text(drawn), Text()] if drawn else []
    parts += [_workloads(result.verdict), _headroom(result.verdict)]
    if result.verdict.losses:
        parts.append(_losses(result.verdict))
    console.print(Group(*parts))
    for line in result.why:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    times = ", ".join(f"{name.replace('_', ' ')} {value:g} s" for name, value in result.seconds.items())
    console.print(
        f"[{_STYLE.get(result.word, 'bold red')}]{result.environment} {result.word}[/] ({times})",
        highlight=False,
    )


def _workloads(verdict: Verdict) -> Table:
    table = _table("workload", "namespace", "pods", "GPUs", "ready after", "nodes")
    everywhere = [pod for pod in verdict.pods if pod.daemon]
    others = [pod for pod in verdict.pods if not pod.daemon]
    for workload, pods in list(placing.workloads(others).items())[:MOST_ROWS]:
        placed = [pod for pod in pods if pod.node]
        start = max((pod.start_seconds or 0 for pod in pods), default=0)
        count = f"{len(placed)} of {len(pods)}" if len(placed) < len(pods) else str(len(pods))
        gpus = str(sum(pod.gpus for pod in placed) or "")
        table.add_row(workload.name, workload.namespace, count, gpus, _duration(start), _nodes(placed))
    if everywhere:
        table.add_row(
            f"{len(placing.workloads(everywhere))} daemon sets", "", str(len(everywhere)), "", "", ""
        )
    return table


def _headroom(verdict: Verdict) -> Table:
    table = _table(
        "group", "nodes", "GPUs free", "whole hosts free", "most on one", "CPUs free", "memory free"
    )
    for entry in verdict.headroom:
        gpus = (
            (f"{entry.gpus_free} of {entry.gpus}", str(entry.whole), str(entry.largest))
            if entry.gpus
            else ("", "", "")
        )
        memory = f"{entry.memory_free // GIB} GiB"
        table.add_row(entry.group, str(entry.nodes), *gpus, f"{entry.cpus_free:g}", memory)
    return table


def _losses(verdict: Verdict) -> Table:
    table = _table("if this host is lost", "pods that move", "that are pushed away", "that wait")
    for loss in verdict.losses[:MOST_ROWS]:
        more = len(loss.alike) - 1
        name = f"{loss.node} (or one of {more} like it)" if more else loss.node
        table.add_row(name, _counted(loss.moved), _counted(loss.pushed), _counted(loss.waiting))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _nodes(pods: Iterable[Pod], most: int = 4) -> str:
    counted = Counter(pod.node for pod in pods)
    names = [f"{node} ({count})" if count > 1 else node for node, count in counted.items()]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _counted(pods: Iterable[Pod]) -> str:
    counted = Counter(pod.workload.name for pod in pods)
    return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in counted.items())


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s" if seconds else ""  # noqa: PLR2004
