"""Records of the catalogue: models and GPUs, as ``inventories/_common`` holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MIB = 2**20
GIB = 2**30
BYTES_PER_VALUE = {"bfloat16": 2, "fp8": 1}  # of one value in the key/value cache


@dataclass(frozen=True)
class Gpu:
    """One GPU model. ``memory_mib`` is what nvidia-smi reports, ``compute`` its compute capability."""

    id: str
    product: str
    memory_mib: int
    compute: tuple[int, int]


@dataclass(frozen=True)
class Model:
    """One model. ``kv_heads`` and ``head_dim`` (grouped-query attention) or ``latent_width`` is set;
    ``hidden``, ``vocabulary`` and ``attention_bias`` are set where every tensor's shape is known (shapes)."""

    id: str
    repository: str
    revision: str
    parameters: int
    weight_bytes: int
    checkpoint_bytes: int
    dtype: str
    layers: int
    heads: int
    intermediate: int
    max_context: int
    overhead_gib: float
    warm_up_seconds: int
    min_compute: tuple[int, int]
    hidden: int = 0
    vocabulary: int = 0
    attention_bias: bool = False
    kv_heads: int = 0
    head_dim: int = 0
    latent_width: int = 0
    replicated_gib: float = 0.0
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def models(catalogue: Mapping[str, Mapping[str, Any]]) -> dict[str, Model]:
    """``catalogue_models`` as records by id."""
    return {
        id: _model(id, dict(catalogue.get(entry.get("like", ""), {}), **entry))
        for id, entry in catalogue.items()
    }


def _model(id: str, fields: dict[str, Any]) -> Model:
    fields.pop("like", None)
    fields["min_compute"] = compute_capability(fields["min_compute"])
    fields["arguments"] = tuple(fields.get("arguments", ()))
    return Model(id=id, **fields)


def gpus(catalogue: Mapping[str, Mapping[str, Any]]) -> dict[str, Gpu]:
    """``catalogue_gpus`` as records by id; keys that only other programs need are passed over."""
    return {
        id: Gpu(id, entry["product"], entry["memory_mib"], compute_capability(entry["compute"]))
        for id, entry in catalogue.items()
    }


def compute_capability(text: Any) -> tuple[int, int]:
    """``8.9`` (text or number) as (8, 9)."""
    major, _, minor = str(text).partition(".")
    return int(major), int(minor or 0)
