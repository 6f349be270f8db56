"""GPU acceptance as the page shows it: what ``bedplate accept`` left for each host, as records. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from bedplate.acceptance.figures import WORDS
from bedplate.report import units
from bedplate.report.facts import Host, dicts
from bedplate.report.model import Collective, GpuFault, GpuFigure, GpuVerdict, State

Document = Mapping[str, Any]
RESULT, VERDICT = "gpu_acceptance", "gpu_verdict"
_ORDER = ("memory_copy", "h2d", "d2h", "pair", "bf16", "fp8", "load")
_COLLECTIVES = ("all_reduce", "all_gather", "all_to_all")


def verdicts_of(
    hosts: Iterable[Host], acceptance: Mapping[str, Mapping[str, Document]]
) -> tuple[GpuVerdict, ...]:
    """Every host of the inventory that was judged, refused ones first."""
    found = [
        _verdict(host.name, acceptance[host.name][VERDICT], acceptance[host.name].get(RESULT) or {})
        for host in hosts
        if VERDICT in acceptance.get(host.name, {})
    ]
    return tuple(sorted(found, key=lambda verdict: verdict.state != "fail"))


def _verdict(host: str, verdict: Document, result: Document) -> GpuVerdict:
    wanted = verdict.get("wanted") or {}
    figures = dicts(verdict.get("figures"))
    topology = (result.get("facts") or {}).get("topology") or ()
    pairs = (result.get("pairs") or {}).get("value") or ()
    words = f"{wanted.get('count', '')} x {units.gpu(str(wanted.get('model', '')))}"
    # what the links can do bounds all collectives alike, so their pictures share one scale
    published = max((float(f.get("published") or 0) for f in _named(figures, "all_reduce")), default=0.0)
    return GpuVerdict(
        host=host,
        state="pass" if verdict.get("accepted") else "fail",
        level=str(verdict.get("level", "")),
        summary=f"{words}, {units.duration(float(verdict.get('seconds') or 0))}",
        faults=tuple(_fault(entry) for entry in dicts(verdict.get("complaints"))),
        figures=tuple(_figure(name, same) for name in _ORDER if (same := _named(figures, name))),
        collectives=tuple(
            _collective(name, same, published) for name in _COLLECTIVES if (same := _named(figures, name))
        ),
        ways=tuple(tuple(map(str, row)) for row in topology),
        bandwidths=tuple(tuple(row) for row in pairs),
    )


def _fault(entry: Document) -> GpuFault:
    what = f"{entry.get('what')}: {entry.get('value')}, expected {entry.get('expected')}"
    state: State = "fail" if entry.get("level") == "fail" else "info"
    return GpuFault(state, str(entry.get("where")), what, str(entry.get("remedy")))


def _named(figures: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [figure for figure in figures if figure.get("name") == name]


def _figure(name: str, same: list[dict[str, Any]]) -> GpuFigure:
    values = [float(figure.get("value") or 0) for figure in same]
    states = {str(figure.get("state")) for figure in same}
    state: State = "fail" if "fail" in states else "pass" if "pass" in states else "info"
    ratios = [abs(float(figure["ratio"]) - 1) for figure in same if figure.get("ratio")]
    return GpuFigure(
        name=WORDS.get(name, name),
        unit=str(same[0].get("unit", "")),
        state=state,
        slowest=min(values),
        fastest=max(values),
        gate=float(same[0].get("gate") or 0),
        published=float(same[0].get("published") or 0),
        differs=max(ratios, default=0.0),
    )


def _collective(name: str, same: list[dict[str, Any]], published: float) -> Collective:
    points = sorted(
        (int(f.get("size") or 0), float(f.get("value") or 0), float(f.get("baseline") or 0)) for f in same
    )
    return Collective(
        name=WORDS.get(name, name),
        points=tuple(points),
        gate=max(float(f.get("gate") or 0) for f in same),
        published=published,
    )
