"""Judges what was measured: each figure beside its plain baseline, its gate, the published one. Pure."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bedplate.acceptance.complaint import Complaint
from bedplate.acceptance.wanted import Gate, Wanted

Document = Mapping[str, Any]
UNITS = {"bf16": "TFLOP/s", "fp8": "TFLOP/s", "load": "TFLOP/s"}
WORDS = {
    "memory_copy": "memory copy",
    "h2d": "host to GPU",
    "d2h": "GPU to host",
    "bf16": "BF16 products",
    "fp8": "FP8 products",
    "load": "BF16, sustained",
    "pair": "GPU to GPU",
    "all_reduce": "all-reduce",
    "all_gather": "all-gather",
    "all_to_all": "all-to-all",
}
_CAUSES = {
    "memory_copy": "look at memory clocks and ECC counts, then RMA",
    "h2d": "look at PCIe generation and lanes, IOMMU and ACS, and where the process runs (NUMA)",
    "d2h": "look at PCIe generation and lanes, IOMMU and ACS, and where the process runs (NUMA)",
    "bf16": "look at SM clocks, power limit and temperature; compare with another host",
    "fp8": "look at SM clocks, power limit and temperature; compare with another host",
    "pair": "look at NVLinks and the fabric; over PCIe, at ACS",
    "all_reduce": "look at NVLinks and the fabric, then at NCCL_DEBUG=INFO: which channels, which algorithm",
}
SPREAD = ("memory_copy", "bf16", "fp8")  # figures in which GPUs of one host are held against each other
# Bus bandwidth = bytes / seconds * factor, as nccl-tests defines it (doc/PERFORMANCE.md).
FACTORS = {"all_reduce": 2.0, "all_gather": 1.0, "all_to_all": 1.0}


@dataclass(frozen=True)
class Figure:
    """One measured figure. ``where`` is ``GPU 0``, ``GPU 0 to GPU 1`` or ``4 GPUs``, ``size`` bytes of a
    message (0: none); ``state`` is pass, fail, or info where nobody knows a gate."""

    name: str
    where: str
    value: float
    unit: str
    baseline: float | None = None
    gate: float | None = None
    seen: float | None = None
    published: float | None = None
    source: str = ""
    size: int = 0

    @property
    def ratio(self) -> float | None:
        """Figure by plain baseline."""
        return self.value / self.baseline if self.baseline else None

    @property
    def state(self) -> str:
        """Verdict of the gate."""
        return "info" if self.gate is None else "pass" if self.value >= self.gate else "fail"

    @property
    def words(self) -> str:
        """The figure's name for people."""
        return WORDS.get(self.name, self.name)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ratio": self.ratio, "state": self.state}


def figures(document: Document, wanted: Wanted) -> list[Figure]:
    """Everything that was measured, GPU by GPU, then pairs, then collectives by size."""
    found = [figure for gpu in document.get("gpus") or () for figure in _gpu(gpu, wanted)]
    found += _pairs(document.get("pairs"), wanted)
    found += [_collective(entry, document, wanted) for entry in document.get("collectives") or ()]
    return found


def judge(found: list[Figure], wanted: Wanted) -> list[Complaint]:
    """Figures below their gate, GPUs slower than their neighbours, figures that their baseline contradicts.

    Of many pairs that are too slow one complaint names all.
    """
    below = [f for f in found if f.state == "fail"]
    complaints = [_too_low(f) for f in below if f.name != "pair"]
    slow = [f for f in below if f.name == "pair"]
    if slow:
        worst = min(slow, key=lambda f: f.value)
        where = ", ".join(f.where for f in slow[:8]) + (f" and {len(slow) - 8} more" if len(slow) > 8 else "")  # noqa: PLR2004
        complaints.append(_too_low(worst, where))
    complaints += _outliers(found, wanted)
    complaints += _contradicted(found, wanted)
    return complaints


def _gpu(gpu: Document, wanted: Wanted) -> Iterator[Figure]:
    for name in ("memory_copy", "h2d", "d2h", "bf16", "fp8", "load"):
        entry = gpu.get(name)
        if isinstance(entry, Mapping):
            gate = wanted.gate(name)
            where = f"GPU {gpu['index']}"
            yield _figure(name, where, float(entry["value"]), entry.get("baseline"), gate)


def _pairs(entry: Document | None, wanted: Wanted) -> Iterator[Figure]:
    gate = wanted.gate("pair") if wanted.linked else None
    for one, row in enumerate((entry or {}).get("value", ())):
        for other, value in enumerate(row):
            if value is not None:
                baseline = (entry or {})["baseline"][one][other]
                yield _figure("pair", f"GPU {one} to GPU {other}", value, baseline, gate)


def _collective(entry: Document, document: Document, wanted: Wanted) -> Figure:
    name, size, gpus = str(entry["operation"]), int(entry["bytes"]), int(entry["gpus"])
    most = max((int(e["bytes"]) for e in document["collectives"] if e["operation"] == name), default=size)
    gate = wanted.all_reduce(nvls(document), size) if name == "all_reduce" and size == most else None
    work = size * FACTORS[name] * (gpus - 1) / gpus / 1e9
    return _figure(
        name, f"{gpus} GPUs", work / entry["seconds"], work / entry["baseline_seconds"], gate, size=size
    )


def nvls(document: Document) -> bool:
    """Whether NCCL was free to use NVLink SHARP."""
    return str((document.get("environment") or {}).get("NCCL_NVLS_ENABLE", "")) != "0"


def _figure(
    name: str, where: str, value: float, baseline: float | None, gate: Gate | None, *, size: int = 0
) -> Figure:
    return Figure(
        name=name,
        where=where,
        value=value,
        unit=UNITS.get(name, "GB/s"),
        baseline=baseline,
        gate=gate.gate if gate else None,
        seen=gate.seen if gate else None,
        published=gate.published if gate else None,
        source=gate.source if gate else "",
        size=size,
    )


def _too_low(figure: Figure, where: str = "") -> Complaint:
    return Complaint(
        f"figure.{figure.name}",
        where or figure.where,
        figure.words,
        f"{figure.value:.0f} {figure.unit}",
        f"at least {figure.gate:g} {figure.unit} ({figure.source})",
        _CAUSES.get(figure.name, _CAUSES["bf16"]),
    )


def _outliers(found: list[Figure], wanted: Wanted) -> Iterator[Complaint]:
    """GPUs that are slower than the median of their host, though not below the gate."""
    for name, spread in [*((n, "gpu_spread") for n in SPREAD), ("pair", "pair_spread")]:
        same = [f for f in found if f.name == name]
        if len(same) < 3:  # noqa: PLR2004 - of two nobody can say which is the odd one
            continue
        share = float(wanted.limits[spread])
        middle = statistics.median(f.value for f in same)
        for figure in same:
            if figure.value < middle * (1 - share) and figure.state != "fail":
                expected = f"within {share:.0%} of the host's median, {middle:.0f} {figure.unit}"
                value = f"{figure.value:.0f} {figure.unit}"
                remedy = _CAUSES.get(name, _CAUSES["bf16"])
                yield Complaint(f"spread.{name}", figure.where, figure.words, value, expected, remedy)


def _contradicted(found: list[Figure], wanted: Wanted) -> Iterator[Complaint]:
    share = float(wanted.limits["baseline"])
    odd = [f for f in found if judged_by_baseline(f) and abs((f.ratio or 1) - 1) > share]
    if odd:
        worst = max(odd, key=lambda f: abs((f.ratio or 1) - 1))
        value = f"{worst.value:.1f} {worst.unit} against {worst.baseline:.1f} ({len(odd)} figures differ)"
        remedy = "run it again on an idle host; if it stays, one of the two measures something else"
        what = f"{worst.words}{f' of {worst.size} bytes' if worst.size else ''} and its plain baseline"
        yield Complaint("figure.baseline", worst.where, what, value, f"within {share:.0%}", remedy, "warn")


def judged_by_baseline(figure: Figure) -> bool:
    """Whether the baseline measures the same: below 16 MiB a collective costs mostly its launch."""
    return figure.baseline is not None and not 0 < figure.size < 2**24
