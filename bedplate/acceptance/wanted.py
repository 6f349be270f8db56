"""What is expected of a host: its inventory, its GPU model, and the thresholds. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bedplate.errors import BadInput, Finding

Vars = Mapping[str, Any]


@dataclass(frozen=True)
class Gate:
    """Thresholds of one figure: ``gate`` (less fails), ``seen`` on real GPUs, ``published`` by the vendor."""

    gate: float
    seen: float | None
    published: float | None
    source: str


@dataclass(frozen=True)
class Wanted:
    """Expectations of one host. ``catalogue`` is its model's row of catalogue_gpus; ``serials``, ``driver``,
    ``toolkits`` and ``nccl`` are empty where the inventory does not say, ``policy`` are the variables of role
    gpu_policy without their prefix."""

    model: str
    count: int
    catalogue: Vars
    limits: Vars
    figures: Vars
    xids: Mapping[int, Vars]
    driver: str = ""
    policy: Vars = field(default_factory=dict)
    serials: tuple[str, ...] = ()
    toolkits: tuple[str, ...] = ()
    nccl: str = ""

    @property
    def product(self) -> str:
        """The driver's name of the model."""
        return str(self.catalogue["product"]).replace("-", " ")

    @property
    def linked(self) -> bool:
        """Whether NVLinks join all GPUs of the host: on boards they do, cards need a bridge."""
        return self.count > 1 and bool(self.catalogue["boards"]) and self.links > 0

    @property
    def links(self) -> int:
        """NVLinks of one GPU."""
        return int(self.catalogue["nvlink"]["links"])

    @property
    def fabric(self) -> bool:
        """Whether the host's GPUs meet in NVSwitches, so that a fabric manager must have joined them."""
        return self.count in self.catalogue["fabric_boards"]

    def power_limit(self, gpu: int) -> float:
        """Watts that the policy sets for a GPU; 0 where the board's default holds."""
        return float(self._policy(gpu, "power_limit") or 0)

    def ecc(self, gpu: int) -> bool:
        """Whether a GPU shall have ECC on."""
        return self._policy(gpu, "ecc") is not False

    def _policy(self, gpu: int, name: str) -> Any:
        """What the policy says of one GPU: the last override that names it and the setting wins."""
        said = self.policy.get(name)
        for override in self.policy.get("overrides") or ():
            if gpu in override.get("gpus", ()) and override.get(name) is not None:
                said = override[name]
        return said

    def gate(self, figure: str) -> Gate | None:
        """Thresholds of one figure, None where nobody knows any."""
        row = self.figures.get(figure)
        return _gate(row) if isinstance(row, Mapping) else None

    def all_reduce(self, nvls: bool, size: int) -> Gate | None:
        """Thresholds of all-reduce over this number of GPUs for messages of ``size`` bytes."""
        rows = [
            row
            for row in self.figures.get("all_reduce", ())
            if row["gpus"] == self.count and row.get("nvls", nvls) == nvls and size >= row["bytes"]
        ]
        return _gate(max(rows, key=lambda row: row["bytes"])) if rows else None


def _gate(row: Vars) -> Gate:
    return Gate(float(row["gate"]), row.get("seen"), row.get("published"), str(row["source"]))


def wanted(
    hardware: Vars,
    catalogue: Vars,
    acceptance: Vars,
    driver: str = "",
    policy: Vars | None = None,
    *,
    toolkits: Sequence[str] = (),
    nccl: str | Mapping[str, str] = "",
) -> Wanted:
    """Expectations of a host with ``hardware_gpus``. Raises BadInput for a model that nobody knows.

    ``toolkits`` and ``nccl`` are version_cuda and version_nccl; a host has NCCL for its first toolkit.
    """
    model = str(hardware["model"])
    if model not in catalogue:
        known = ", ".join(sorted(catalogue))
        raise BadInput(
            Finding(
                "hardware.yml", "hardware_gpus.model", model, "no such GPU model", f"write one of {known}"
            )
        )
    return Wanted(
        model=model,
        count=int(hardware["count"]),
        catalogue=catalogue[model],
        limits=acceptance["limits"],
        figures=acceptance["figures"].get(model, {}),
        xids={int(code): row for code, row in acceptance["xids"].items()},
        driver=driver,
        policy=policy or {},
        serials=tuple(map(str, hardware.get("serials", ()))),
        toolkits=tuple(toolkits),
        nccl=nccl if isinstance(nccl, str) else _of_first(nccl, toolkits),
    )


def _of_first(versions: Mapping[str, str], toolkits: Sequence[str]) -> str:
    """The version for the CUDA major version of the first toolkit."""
    return str(versions.get(toolkits[0].partition(".")[0], "")) if toolkits else ""
