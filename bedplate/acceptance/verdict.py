"""The verdict on one host: all complaints and all figures. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bedplate.acceptance import figures, health, observed, tools
from bedplate.acceptance.complaint import Complaint, place
from bedplate.acceptance.figures import Figure
from bedplate.acceptance.observed import Event, Host
from bedplate.acceptance.wanted import Wanted

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What is said of one host. Complaints of level fail refuse it; ``seconds`` is what measuring took,
    ``real`` whether the host has NVIDIA's kernel module loaded, so that its figures are those of GPUs."""

    host: str
    level: str
    model: str
    count: int
    complaints: tuple[Complaint, ...]
    figures: tuple[Figure, ...]
    seconds: float
    complete: bool
    real: bool = False

    @property
    def accepted(self) -> bool:
        """Nothing that fails was found, and the run came to its end."""
        return not self.failures and self.complete

    @property
    def failures(self) -> tuple[Complaint, ...]:
        """Complaints that refuse the host."""
        return tuple(c for c in self.complaints if c.level == "fail")

    def as_dict(self) -> dict[str, Any]:
        """For JSON, and for the report."""
        return {
            "host": self.host,
            "level": self.level,
            "accepted": self.accepted,
            "complete": self.complete,
            "wanted": {"model": self.model, "count": self.count},
            "seconds": self.seconds,
            "complaints": [complaint.as_dict() for complaint in self.complaints],
            "figures": [figure.as_dict() for figure in self.figures],
        }


def judge(name: str, document: Document, wanted: Wanted) -> Verdict:
    """The verdict on the document that the host wrote (``gpu_acceptance run``), or on facts alone."""
    facts = document.get("facts") or {}
    before = observed.host(facts)
    found = figures.figures(document, wanted)
    same_model = not any(c.check == "gpus.model" for c in health.judge(before, wanted))
    complaints = [
        *health.judge(_latest(document, before), wanted),
        *_failures(document),
        *_grown(before, document),
        *_loaded(document, before, wanted),
        *tools.judge(document),
        *(figures.judge(found, wanted) if same_model else ()),
    ]
    return Verdict(
        host=name,
        level=str(document.get("level", "facts")),
        model=wanted.model,
        count=wanted.count,
        complaints=tuple(complaints),
        figures=(*found, *tools.figures(document)),
        seconds=float(document.get("seconds") or 0),
        complete=bool(document.get("complete", True)),
        real=bool((facts.get("module") or {}).get("version")),
    )


def _latest(document: Document, before: Host) -> Host:
    """The state after the load where it was read, with every event of both: what load broke counts. What the
    run itself leaves behind (its processes' last moments) does not."""
    after = observed.host(document["after"]) if document.get("after") else before
    events: tuple[Event, ...] = tuple(dict.fromkeys((*before.events, *after.events)))
    busy = {gpu.index: gpu.processes for gpu in before.gpus}
    gpus = tuple(replace(gpu, processes=busy.get(gpu.index, 0)) for gpu in after.gpus)
    return replace(after, gpus=gpus, events=events, log_read=before.log_read or after.log_read)


def _failures(document: Document) -> Iterator[Complaint]:
    for failure in document.get("failures") or ():
        rank = int(failure["gpu"])
        where = place(rank) if rank >= 0 else "host"
        if failure.get("wrong"):
            remedy = "take the GPU out of service: it corrupts data silently; RMA"
            yield Complaint("compute.wrong", where, "results", str(failure["why"]), "right", remedy)
        else:
            remedy = "read workers.log on the host and dmesg"
            yield Complaint("measure.failed", where, "measuring", str(failure["why"]), "ends", remedy)
    if document.get("stopped"):
        value = f"after {document.get('rounds', 0)} rounds, {float(document.get('seconds') or 0):.0f} s"
        remedy = "run it again to its end"
        yield Complaint(
            "measure.stopped", "host", "the run was stopped", value, "runs to its end", remedy, "warn"
        )


def _grown(before: Host, document: Document) -> Iterator[Complaint]:
    """Error counters of NVLinks that grew under load."""
    if not document.get("after"):
        return
    after = {gpu.index: gpu for gpu in observed.host(document["after"]).gpus}
    for gpu in before.gpus:
        now = (
            {link.number: link.errors for link in (after[gpu.index].links or ())}
            if gpu.index in after
            else {}
        )
        grown = {link.number: now.get(link.number, 0) - link.errors for link in gpu.links or ()}
        named = [f"link {number}: {count} more" for number, count in grown.items() if count > 0]
        if named:
            remedy = "reset all GPUs of the fabric; RMA of the board if the same link comes back"
            where = place(gpu.index, gpu.bus)
            yield Complaint(
                "nvlink.errors", where, "NVLink errors under load", ", ".join(named), "none", remedy
            )


def _loaded(document: Document, before: Host, wanted: Wanted) -> Iterator[Complaint]:
    """What was seen while the GPUs were loaded: PCIe falls back and clocks are held down only then."""
    named = {c.where for c in health.judge(before, wanted) if c.check.startswith(("pcie.", "clocks."))}
    generation, lanes = int(wanted.catalogue["pcie"]["generation"]), int(wanted.catalogue["pcie"]["lanes"])
    for gpu, seen in zip(before.gpus, document.get("load") or (), strict=False):
        where = place(gpu.index, gpu.bus)
        if where in named or gpu.lost:
            continue
        yield from health.throttled(where, tuple(seen.get("reasons", {})), wanted)
        fastest, width = seen.get("pcie_generation"), seen.get("pcie_width")
        if fastest is not None and fastest < generation:
            remedy = "the link falls back under load: reseat the GPU, check riser and retimer"
            yield Complaint(
                "pcie.generation", where, "PCIe generation under load", str(fastest), str(generation), remedy
            )
        if width is not None and width < lanes:
            remedy = "the link loses lanes under load: reseat the GPU, check riser and retimer"
            yield Complaint("pcie.width", where, "PCIe lanes under load", f"x{width}", f"x{lanes}", remedy)
