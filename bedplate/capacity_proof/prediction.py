"""What the arithmetic says before anything is allocated. Pure."""

from dataclasses import dataclass

from bedplate.capacity.fit import Layout, fit
from bedplate.capacity.models import GIB, Gpu, Model

ALONE = Layout(1)
UTILISATION = 0.92  # vLLM's own --gpu-memory-utilization


@dataclass(frozen=True)
class Prediction:
    """Bytes that ``batch`` sequences of ``context`` tokens take on one GPU by bedplate.capacity.fit."""

    model: str
    gpu: str
    context: int
    batch: int
    weights: int
    cache: int
    overhead: int

    @property
    def total(self) -> int:
        """All of it, without the CUDA context, which no part of the arithmetic holds."""
        return self.weights + self.cache + self.overhead


class DoesNotFit(Exception):
    """The arithmetic's own verdict is no."""


def predict(
    model: Model, gpu: Gpu, context: int, batch: int = 0, utilisation: float = UTILISATION
) -> Prediction:
    """The prediction for ``batch`` sequences, or for as many as the arithmetic says fit when it is 0.

    Raises DoesNotFit with the bytes that lack.
    """
    found = fit(model, gpu, ALONE, utilisation)
    batch = batch or max(1, int(found.sequences(context)))
    lacking = found.missing(context * batch)
    if lacking:
        raise DoesNotFit(f"{batch} x {context} tokens lack {lacking / GIB:.1f} GiB on {gpu.id}")
    return Prediction(
        model=model.id,
        gpu=gpu.id,
        context=context,
        batch=batch,
        weights=found.weights + found.replicated,
        cache=context * batch * found.kv_per_token,
        overhead=found.overhead,
    )
