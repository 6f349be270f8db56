"""A prediction beside its measurement: the row, the table, the evidence. Pure but for the record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bedplate import evidence
from bedplate.capacity.models import GIB
from bedplate.capacity_proof.prediction import Prediction

GOAL = 5.0  # percent between predicted and shown
ROUNDING = 0.05  # of scores, between two ways to compute them in BF16
COLUMNS = (
    ("model", "{model}"),
    ("batch", "{batch}"),
    ("weights", "{weights_gib:.2f}"),
    ("cache", "{cache_gib:.2f}"),
    ("overhead", "{overhead_gib:.2f}"),
    ("predicted", "{predicted_gib:.2f}"),
    ("NVML", "{nvml_gib:.2f}"),
    ("off by", "{off_percent:+.1f} %"),
    ("overhead measured", "{overhead_measured_gib:.2f}"),
    ("tensors' peak", "{peak_gib:.2f}"),
    ("CUDA context", "{cuda_context_gib:.2f}"),
)


@dataclass(frozen=True)
class Row:
    """One model and load. Sizes in GiB; ``nvml_gib`` is the most that the GPU showed, less the CUDA context;
    ``peak_gib`` the activations that PyTorch ever had allocated at once; ``overhead_measured_gib`` all that
    is neither weight nor cache: activations, what the allocator keeps between them, CUDA graphs, kernels
    loaded on the way."""

    model: str
    gpu: str
    context: int
    batch: int
    weights_gib: float
    cache_gib: float
    overhead_gib: float
    predicted_gib: float
    nvml_gib: float
    process_gib: float | None
    overhead_measured_gib: float
    peak_gib: float
    cuda_context_gib: float
    tensors_as_predicted: bool
    computed: bool
    seconds: float

    @property
    def off_percent(self) -> float:
        """Prediction against what NVML shows; positive: more was predicted than is used."""
        return 100 * (self.predicted_gib / self.nvml_gib - 1)

    @property
    def sound(self) -> bool:
        """The goal is met, with exactly the predicted tensors, and the model computed something."""
        return abs(self.off_percent) <= GOAL and self.tensors_as_predicted and self.computed


def row(predicted: Prediction, measured: Mapping[str, Any]) -> Row:
    """Hold a measurement (``Measurement`` as JSON) against its prediction."""
    tensors = measured["weights"] + measured["cache"]
    used = max(step["used"] for step in measured["steps"]) - measured["context"]
    peak = max(step["peak"] for step in measured["steps"]) - tensors
    process = measured["process"]
    return Row(
        model=predicted.model,
        gpu=predicted.gpu,
        context=predicted.context,
        batch=predicted.batch,
        weights_gib=predicted.weights / GIB,
        cache_gib=predicted.cache / GIB,
        overhead_gib=predicted.overhead / GIB,
        predicted_gib=predicted.total / GIB,
        nvml_gib=used / GIB,
        process_gib=None if process is None else process / GIB,
        overhead_measured_gib=(used - tensors) / GIB,
        peak_gib=peak / GIB,
        cuda_context_gib=measured["context"] / GIB,
        tensors_as_predicted=tensors == predicted.weights + predicted.cache,
        computed=measured["finite"] and measured["difference"] < ROUNDING,
        seconds=sum(step["seconds"] for step in measured["steps"]),
    )


def table(rows: Iterable[Row]) -> str:
    """Rows as text, sizes in GiB."""
    lines = [[title for title, _ in COLUMNS]]
    for one in rows:
        fields = vars(one) | {"off_percent": one.off_percent}
        lines.append([form.format(**fields) for _, form in COLUMNS])
    widths = [max(len(line[place]) for line in lines) for place in range(len(COLUMNS))]
    aligned = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join("  ".join(line) for line in aligned)


def record(environment: str, one: Row, command: str, machine: dict[str, str | int]) -> None:
    """Two claims: the whole prediction is near what NVML shows, and the catalogue's overhead is enough."""
    load = f"{one.batch} x {one.context:,} tokens"
    name = f"planning.capacity.{one.gpu}.{one.model}.{one.batch}x{one.context}"
    evidence.record(
        environment,
        name,
        f"Predicted memory of {one.model} with {load} is off what NVML shows by"
        f" ({one.predicted_gib:.2f} against {one.nvml_gib:.2f} GiB)",
        round(abs(one.off_percent), 2),
        unit="%",
        goal=f"<= {GOAL:g}",
        proved_on="gpu",
        command=command,
        machine=machine,
    )
    evidence.record(
        environment,
        f"{name}.overhead",
        f"Activations and CUDA graphs of {one.model} with {load}, for which the catalogue keeps"
        f" {one.overhead_gib:g} GiB",
        round(one.overhead_measured_gib, 2),
        unit="GiB",
        goal=f"<= {one.overhead_gib:g}",
        proved_on="gpu",
        command=command,
        machine=machine,
    )
