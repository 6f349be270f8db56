"""One model on one GPU: allocate, prefill, decode, and read after every step what NVML shows.

Runs as a process of its own (``python3 -m bedplate.capacity_proof.measure``), so that the CUDA context and
the allocator of one model leave nothing to the next. Prints one JSON document.
"""

import argparse
import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import pynvml
import torch

from bedplate.capacity.models import Model
from bedplate.capacity_proof import catalogue
from bedplate.capacity_proof.decoder import Decoder, attention_kernel, own_difference, sample

# What `vllm serve` starts with on a GPU of 70 GiB or more (its engine/arg_utils.py): it profiles a forward
# pass of this many tokens and a sampler of this many rows, and captures decode graphs of these sizes.
CHUNK = 8192
ROWS = 1024
GRAPHS = (1, 2, 4, *range(8, 256, 8), *range(256, 513, 16))
DEVICE = "cuda:0"


@dataclass(frozen=True)
class Step:
    """Bytes after a step: ``used`` by NVML above what was used before this process met the GPU, ``reserved``
    and ``peak`` (ever allocated at once) by PyTorch's allocator."""

    name: str
    used: int
    reserved: int
    peak: int
    seconds: float


@dataclass(frozen=True)
class Measurement:
    """All steps of one model. ``context`` is what a tiny model of the same kind leaves used without a tensor:
    the CUDA context, its kernels and library handles; ``difference`` is that model's own (own_difference)."""

    model: str
    context: int
    weights: int
    cache: int
    steps: tuple[Step, ...]
    process: int | None
    words: int
    finite: bool
    difference: float
    torch: str


class Watch:
    """NVML's figures of one GPU, counted from when it was made, and the steps read so far."""

    def __init__(self, index: int) -> None:
        pynvml.nvmlInit()
        self._handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        self._before = self._now()
        self._since = time.monotonic()
        self.steps: list[Step] = []

    def used(self) -> int:
        """Bytes used on the GPU since then, by whomever: this process should be alone on it."""
        torch.cuda.synchronize()
        return self._now() - self._before

    def read(self, name: str) -> Step:
        """Note the state after a step."""
        used, now = self.used(), time.monotonic()
        reserved, peak = torch.cuda.memory_reserved(), torch.cuda.max_memory_allocated()
        self.steps.append(Step(name, used, reserved, peak, round(now - self._since, 2)))
        self._since = now
        return self.steps[-1]

    def process(self) -> int | None:
        """What NVML counts for this process; None where a container hides process numbers."""
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        return next((one.usedGpuMemory for one in processes if one.pid == os.getpid()), None)

    def _now(self) -> int:
        return int(pynvml.nvmlDeviceGetMemoryInfo(self._handle).used)


def measure(model: Model, gpu: int, context: int, batch: int, prefilled: int) -> Measurement:
    """Run one model; ``prefilled`` sequences are filled in chunks, then all of them decode one token."""
    watch = Watch(gpu)
    base, difference = _warm_up(model, watch)
    decoder = Decoder(model, DEVICE)
    watch.read("weights")
    decoder.reserve(context, batch)
    watch.read("cache")
    with attention_kernel(DEVICE):
        graphs = _capture(decoder, batch, context - 1)
        watch.read("graphs")
        words = _prefill(decoder, context - 1, prefilled)
        watch.read("prefill")
        graph, scores = graphs[0]
        graph.replay()
        words += sample(scores).numel()
        watch.read("decode")
    return Measurement(
        model=model.id,
        context=base,
        weights=_bytes(list(decoder.weights.values())),
        cache=_bytes(decoder.cache),
        steps=tuple(watch.steps),
        process=watch.process(),
        words=words,
        finite=bool(torch.isfinite(scores).all()),
        difference=difference,
        torch=torch.__version__,
    )


def _warm_up(model: Model, watch: Watch) -> tuple[int, float]:
    """Run a tiny model of this kind. Bytes used when all its tensors are gone, and its own difference."""
    tiny = Decoder(replace(model, layers=2, hidden=256, intermediate=512, vocabulary=512), DEVICE)
    tiny.reserve(64, 1)
    with attention_kernel(DEVICE):
        difference = own_difference(tiny, torch.randint(512, (64,), device=DEVICE))
        sample(_capture(tiny, 1, 63)[0][1])
    del tiny
    gc.collect()
    torch.cuda.empty_cache()
    used = watch.read("context").used - torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    return used, difference


def _prefill(decoder: Decoder, tokens: int, sequences: int) -> int:
    """Fill ``tokens`` of each sequence; draw words from as many rows as vLLM's sampler may get at once."""
    words = 0
    for sequence in range(sequences):
        ids = torch.randint(decoder.model.vocabulary, (tokens,), device=DEVICE)
        for start in range(0, tokens, CHUNK):
            hidden = decoder.prefill(ids[start : start + CHUNK], sequence, start)
            words += sample(decoder.logits(hidden[-ROWS:])).numel()
    return words


def _capture(decoder: Decoder, batch: int, position: int) -> list[tuple[Any, torch.Tensor]]:
    """Decode steps as CUDA graphs in one pool, as vLLM keeps them: the whole batch first, then smaller ones,
    each with the scores that it writes."""
    ids = torch.randint(decoder.model.vocabulary, (batch,), device=DEVICE)
    side, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
    kept = []
    for size in sorted({batch, *(size for size in GRAPHS if size < batch)}, reverse=True):
        with torch.cuda.stream(side):
            decoder.decode(ids[:size], position)  # libraries choose their kernels before the capture
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=side):
            scores = decoder.decode(ids[:size], position)
        kept.append((graph, scores))
    return kept


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    for name in ("gpu", "context", "batch", "prefilled"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    model = catalogue.models()[given.model]
    with torch.inference_mode():
        found = measure(model, given.gpu, given.context, given.batch, given.prefilled)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main()
