"""The last rehearsal as the page shows it: the document of ``bedplate.rehearse.result`` as records. Pure."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from bedplate.report import units
from bedplate.report.facts import Host, dicts
from bedplate.report.model import Failover, GpuHost, Headroom, Occupant, Placed, Rehearsal, State, Waiting

FITS = "fits"
Document = Mapping[str, Any]
_STEPS = {
    "control_plane": "control plane serves",
    "nodes": "hosts are nodes",
    "first_up": "first pulumi up",
    "preview": "preview, nothing to change",
    "second_up": "second pulumi up",
    "refresh": "refresh, no drift",
    "destroy": "destroy",
}


def rehearsal_of(document: Document | None) -> Rehearsal | None:
    """None where no rehearsal was run."""
    if not document:
        return None
    placements = dicts(document.get("placements"))
    seconds = document.get("seconds") or {}
    return Rehearsal(
        state="pass" if document.get("verdict") == FITS else "fail",
        summary=_summary(document, placements),
        time=units.moment(document.get("time", "")),
        scale=float(document.get("scale") or 1),
        legend=_legend(document),
        placed=_placed(placements),
        waiting=_waiting(document),
        headroom=tuple(_headroom(entry) for entry in dicts(document.get("headroom"))),
        failovers=tuple(_failover(entry) for entry in dicts(document.get("losses"))),
        timings=tuple((_STEPS.get(k, str(k)), units.duration(float(v))) for k, v in seconds.items()),
    )


def gpu_hosts_of(hosts: Iterable[Host], document: Document | None) -> tuple[GpuHost, ...]:
    """Every host with GPUs, and who got them."""
    cells = _cells(document or {})
    index = {occupant.workload: occupant.index for occupant in _legend(document or {})}
    return tuple(_gpu_host(host, cells.get(host.name), index) for host in hosts if host.gpu_count)


def _gpu_host(host: Host, cells: list[str] | None, index: Mapping[str, int]) -> GpuHost:
    if cells is None:
        return GpuHost(host, (), host.gpu_count)
    taken = sorted((cell for cell in cells if cell), key=lambda name: index.get(name, 0))
    occupants = tuple(Occupant(name, len(list(same)), index.get(name, 0)) for name, same in groupby(taken))
    return GpuHost(host, occupants, len(cells) - len(taken))


def _cells(document: Document) -> dict[str, list[str]]:
    """By node, one workload (or nothing) per GPU or MIG device."""
    rows = dicts(document.get("picture"))
    return {str(n): [str(c) for c in row.get("cells", ())] for row in rows for n in row.get("nodes", ())}


def _legend(document: Document) -> tuple[Occupant, ...]:
    """Workloads in order of appearance with the GPUs that they hold."""
    counted: dict[str, int] = {}
    for cells in _cells(document).values():
        for cell in filter(None, cells):
            counted[cell] = counted.get(cell, 0) + 1
    return tuple(Occupant(name, gpus, index) for index, (name, gpus) in enumerate(counted.items()))


def _summary(document: Document, placements: list[dict[str, Any]]) -> str:
    if document.get("verdict") == FITS:
        nodes = units.count(len(dicts(document.get("nodes"))), "node")
        gpus = units.count(sum(p.get("gpus") or 0 for p in placements), "GPU")
        return f"It fits: {units.count(len(placements), 'pod')} placed on {nodes}, {gpus} in use."
    why = [str(line) for line in document.get("why") or ()]
    word = str(document.get("verdict") or "no verdict").capitalize()
    return f"{word}: {units.some(why, 2) or 'no reason given'}."


def _placed(placements: list[dict[str, Any]]) -> tuple[Placed, ...]:
    """One line per workload, the largest first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in placements:
        groups.setdefault((str(entry.get("namespace")), str(entry.get("workload"))), []).append(entry)
    found = [_workload(namespace, name, pods) for (namespace, name), pods in groups.items()]
    return tuple(sorted(found, key=lambda w: (-w.gpus, -w.pods, w.name)))


def _workload(namespace: str, name: str, pods: list[dict[str, Any]]) -> Placed:
    nodes = sorted({str(pod.get("node")) for pod in pods})
    start = max((float(pod.get("start_seconds") or 0) for pod in pods), default=0.0)
    return Placed(
        name=name,
        namespace=namespace,
        pods=len(pods),
        gpus=sum(pod.get("gpus") or 0 for pod in pods),
        nodes=units.some(nodes, 4),
        ready=units.duration(start) if start else "",
    )


def _waiting(document: Document) -> tuple[Waiting, ...]:
    refused = [
        Waiting(str(entry.get("workload")), f"refused: {entry.get('message')}", may_wait=False)
        for entry in dicts(document.get("refused"))
    ]
    waiting = [
        Waiting(str(e.get("workload")), str(e.get("sentence")), may_wait=bool(e.get("may_wait")))
        for e in dicts(document.get("waiting"))
    ]
    return tuple(refused + sorted(waiting, key=lambda w: w.may_wait))


def _headroom(entry: Mapping[str, Any]) -> Headroom:
    return Headroom(
        group=str(entry.get("group", "")),
        nodes=int(entry.get("nodes") or 0),
        gpus=int(entry.get("gpus") or 0),
        free=int(entry.get("gpus_free") or 0),
        whole=int(entry.get("whole") or 0),
        cpus=float(entry.get("cpus_free") or 0),
        memory=int(entry.get("memory_free") or 0),
    )


def _failover(entry: Mapping[str, Any]) -> Failover:
    alike = len(entry.get("alike") or ()) - 1
    state: State = "info" if entry.get("waiting") else "pass"
    return Failover(
        host=f"{entry.get('node')}" + (f", or one of {alike:,} like it" if alike > 0 else ""),
        state=state,
        moves=_counted(entry.get("moved")),
        pushed=_counted(entry.get("pushed")),
        waits=_counted(entry.get("waiting")),
    )


def _counted(pods: object) -> str:
    found = pods if isinstance(pods, dict) else {}
    return units.some([name if n == 1 else f"{n} of {name}" for name, n in found.items()], 6) or "nothing"
