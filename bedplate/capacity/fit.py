"""Does a model fit its GPUs? All sizes in bytes per GPU unless a name says otherwise.

budget = memory x utilisation - weights / (TP x PP) - weights that every rank holds whole - activations and
graphs
tokens = budget / (bytes of cache per token and GPU); a model fits when one sequence of the wanted context
does.
Pipeline stages are sized by the largest one: layers divided by PP, rounded up.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bedplate.capacity.models import BYTES_PER_VALUE, GIB, MIB, Gpu, Model


@dataclass(frozen=True)
class Layout:
    """How a model is spread: tensor parallel inside a host, pipeline parallel over hosts."""

    tensor: int
    pipeline: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline

    def __str__(self) -> str:
        hosts = "1 host" if self.pipeline == 1 else f"{self.pipeline} hosts"
        gpus = "1 GPU" if self.tensor == 1 else f"{self.tensor} GPUs"
        return f"{hosts} x {gpus}"


@dataclass(frozen=True)
class Fit:
    """Where the memory of one GPU goes. ``left`` is for the cache and is negative when weights alone are
    too big; ``tokens`` is how many tokens the cache of the whole replica holds."""

    usable: int
    weights: int
    replicated: int
    overhead: int
    left: int
    kv_per_token: int
    tokens: int

    def missing(self, context: int) -> int:
        """Bytes per GPU that lack for one sequence of ``context`` tokens; 0 when it fits."""
        return max(0, context * self.kv_per_token - self.left)

    def sequences(self, context: int) -> float:
        """How many sequences of ``context`` tokens are served at once."""
        return self.tokens / context


def kv_bytes_per_token(model: Model, layout: Layout, kv_dtype: str = "bfloat16") -> int:
    """Cache per token on one GPU. Latent attention is whole on every rank; heads are divided up to
    ``kv_heads``."""
    layers = math.ceil(model.layers / layout.pipeline)
    value = BYTES_PER_VALUE[kv_dtype]
    if model.latent_width:
        return layers * model.latent_width * value
    heads = math.ceil(model.kv_heads / min(layout.tensor, model.kv_heads))
    return 2 * layers * heads * model.head_dim * value


def fit(model: Model, gpu: Gpu, layout: Layout, utilisation: float, kv_dtype: str = "bfloat16") -> Fit:
    """The arithmetic for one GPU of one replica; ``utilisation`` is vLLM's --gpu-memory-utilization."""
    usable = int(gpu.memory_mib * MIB * utilisation)
    weights = math.ceil(model.weight_bytes / layout.gpus)
    replicated = int(model.replicated_gib * GIB / layout.pipeline)
    overhead = int(model.overhead_gib * GIB)
    left = usable - weights - replicated - overhead
    per_token = kv_bytes_per_token(model, layout, kv_dtype)
    return Fit(usable, weights, replicated, overhead, left, per_token, max(0, left // per_token))


def layout_problem(model: Model, layout: Layout, gpus_per_host: int) -> str:
    """Why this layout cannot work whatever the memory, as a clause; empty when it can."""
    if layout.tensor > gpus_per_host:
        return f"one host has {gpus_per_host} GPUs and tensor parallelism does not leave a host"
    if not _divides(model, layout.tensor):
        allowed = ", ".join(str(t) for t in _tensor_sizes(model, gpus_per_host))
        return f"{layout.tensor} GPUs do not divide the attention heads of {model.id} evenly ({allowed} do)"
    if layout.pipeline > model.layers:
        return f"{layout.pipeline} pipeline stages are more than the {model.layers} layers of {model.id}"
    return ""


def nearest_fit(
    model: Model, gpu: Gpu, context: int, utilisation: float, *, gpus_per_host: int, hosts: int
) -> Layout | None:
    """The layout with the fewest GPUs that holds one sequence of ``context``; None when ``hosts`` are too
    few."""
    for layout in _layouts(model, gpus_per_host, hosts):
        if not fit(model, gpu, layout, utilisation).missing(context):
            return layout
    return None


def load_seconds(model: Model, bytes_per_second: int) -> int:
    """From container start to the first answer: the checkpoint is read, then compiled and warmed up."""
    return math.ceil(model.checkpoint_bytes / bytes_per_second) + model.warm_up_seconds


def _tensor_sizes(model: Model, gpus_per_host: int) -> list[int]:
    return [size for size in range(1, gpus_per_host + 1) if _divides(model, size)]


def _divides(model: Model, tensor: int) -> bool:
    """Ranks share attention heads and feed-forward layers evenly; key/value heads are shared evenly too, or
    copied evenly (vLLM asserts all of it)."""
    kv_heads = model.kv_heads or tensor
    shared = model.heads % tensor == 0 and model.intermediate % tensor == 0
    return shared and (kv_heads % tensor == 0 or tensor % kv_heads == 0)


def _layouts(model: Model, gpus_per_host: int, hosts: int) -> Iterator[Layout]:
    """By rising number of GPUs; inside one host any size that divides the heads, over hosts whole hosts
    only."""
    yield from (Layout(size) for size in _tensor_sizes(model, gpus_per_host))
    if _divides(model, gpus_per_host):
        yield from (Layout(gpus_per_host, stages) for stages in range(2, min(hosts, model.layers) + 1))
