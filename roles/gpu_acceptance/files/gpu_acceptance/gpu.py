"""One GPU: memory, PCIe, matrix products. Times are those between CUDA events."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from . import plain

GIB = 2**30
SIDE = 8192  # of the matrices: large enough to fill every GPU, the size that published figures use
FP8 = (8, 9)  # compute capability from which there are FP8 tensor cores
SHORTEST = 6e-3  # seconds that one timing lasts at least, so that launching costs nothing
REST = 0.05  # seconds before each timing: the power cap still holds down the clocks of a GPU that just worked
Figure = dict[str, float]


class Wrong(Exception):
    """A GPU computed or kept something else than it was given."""


def event_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Seconds of one ``work()`` on the GPU's own clock, mean of ``repeats`` without a pause."""
    begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begun.record()
    for _ in range(repeats):
        work()
    ended.record()
    torch.cuda.synchronize()
    return begun.elapsed_time(ended) / 1e3 / repeats


def measure(
    work: Callable[[], Any], amount: float, baseline: Callable[[], float], *, repeats: int, rounds: int = 3
) -> Figure:
    """``amount`` per second of ``work``, and the plain baseline: in turn, equally rested, medians of each."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    repeats = max(repeats, round(SHORTEST / event_seconds(work, 3)))
    ours, theirs = [], []
    for _ in range(rounds):
        time.sleep(REST)
        ours.append(event_seconds(work, repeats))
        time.sleep(REST)
        theirs.append(baseline())
    return {"value": amount / statistics.median(ours), "baseline": statistics.median(theirs)}


def fitting(size: int, parts: int) -> int:
    """``size``, or less where the GPU has not ``parts`` times as much free, in whole MiB."""
    free, _ = torch.cuda.mem_get_info()
    return min(size, free // parts // 2**20 * 2**20)


def memory_copy(size: int = 4 * GIB, repeats: int = 20) -> Figure:
    """Copy inside the GPU's memory, GB/s read and written."""
    size = fitting(size, 5)
    source = torch.empty(size, dtype=torch.uint8, device="cuda").fill_(1)
    target = torch.empty_like(source)
    return measure(
        lambda: target.copy_(source), 2 * size / 1e9, lambda: plain.memory_copy(size), repeats=repeats
    )


def host_copies(size: int = GIB // 2, repeats: int = 6, rounds: int = 3) -> dict[str, Figure]:
    """Copies between pinned host memory and the GPU, GB/s, one direction at a time."""
    host = torch.empty(size, dtype=torch.uint8, pin_memory=True).fill_(1)
    device = torch.empty(size, dtype=torch.uint8, device="cuda")
    up, down = lambda: device.copy_(host, non_blocking=True), lambda: host.copy_(device, non_blocking=True)
    return {
        "h2d": measure(up, size / 1e9, lambda: plain.h2d(size), repeats=repeats, rounds=rounds),
        "d2h": measure(down, size / 1e9, lambda: plain.d2h(size), repeats=repeats, rounds=rounds),
    }


def matrices() -> dict[str, Callable[[], Any]]:
    """Matrix products that this GPU has tensor cores for, each as one call; results stay where they are."""
    generator = torch.Generator(device="cuda").manual_seed(7)
    a = torch.randn(SIDE, SIDE, dtype=torch.bfloat16, device="cuda", generator=generator)
    b = torch.randn(SIDE, SIDE, dtype=torch.bfloat16, device="cuda", generator=generator)
    c = torch.empty_like(a)
    found: dict[str, Callable[[], Any]] = {"bf16": lambda: torch.mm(a, b, out=c)}
    if torch.cuda.get_device_capability() >= FP8:
        a8, b8 = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).t()
        one = torch.ones((), device="cuda")
        kind = {"out_dtype": torch.bfloat16, "use_fast_accum": True}
        found["fp8"] = lambda: torch._scaled_mm(a8, b8, one, one, **kind)
    return found


def products(repeats: int = 60, rounds: int = 7) -> dict[str, Figure]:
    """TFLOP/s of products of two matrices of 8192 by 8192."""
    flops = 2 * SIDE**3 / 1e12
    baselines = {"bf16": lambda: plain.bf16(SIDE), "fp8": lambda: plain.fp8(SIDE)}
    return {
        name: measure(work, flops, baselines[name], repeats=repeats, rounds=rounds)
        for name, work in matrices().items()
    }


def repeatable(rounds: int = 3) -> None:
    """The same product gives the same bits every time, or the GPU computes wrongly. Raises Wrong."""
    work = matrices()["bf16"]
    first = work().clone()
    for _ in range(rounds):
        if not torch.equal(work(), first):
            raise Wrong("the same matrix product gave two results")


def memory_holds(share: float = 0.9) -> int:
    """Fill ``share`` of the free memory with two patterns and read them back; bytes tried. Raises Wrong."""
    free, _ = torch.cuda.mem_get_info()
    count = int(free * share) // GIB
    for pattern in (0x55, 0xAA):
        blocks = [torch.full((GIB,), pattern, dtype=torch.uint8, device="cuda") for _ in range(count)]
        for number, block in enumerate(blocks):
            low, high = torch.aminmax(block)
            if low.item() != pattern or high.item() != pattern:
                raise Wrong(f"memory does not hold what was written to it (block {number} of {count})")
        del blocks
    torch.cuda.empty_cache()
    return count * GIB


def load(seconds: float) -> Figure:
    """BF16 products without a pause: TFLOP/s of the whole time, and of its slowest second."""
    work = matrices()["bf16"]
    flops = 2 * SIDE**3 / 1e12
    batch = max(1, round(1 / event_seconds(work, 20)))
    paces: list[float] = []
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        paces.append(flops / event_seconds(work, batch))
    return {"value": statistics.median(paces), "slowest": min(paces), "seconds": time.monotonic() - begun}
