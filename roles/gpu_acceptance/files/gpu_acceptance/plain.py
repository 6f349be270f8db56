"""The plain baseline: the few lines that anyone would write to measure the same thing with PyTorch.

Own buffers, and the clock on the wall. Every figure of acceptance is held against one of these from the same
minute; nothing here is shared with ``gpu.py`` and ``collectives.py``, so a mistake in one shows in the ratio.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist


def wall(work: Callable[[], Any], repeats: int) -> float:
    """Seconds of one ``work()``."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / repeats


def memory_copy(size: int) -> float:
    """GB/s read and written."""
    a = torch.ones(size // 4, device="cuda")
    b = torch.zeros(size // 4, device="cuda")
    return 2 * size / wall(lambda: b.copy_(a), 20) / 1e9


def h2d(size: int) -> float:
    """GB/s from pinned memory of the host."""
    a = torch.ones(size // 4, pin_memory=True)
    b = torch.zeros(size // 4, device="cuda")
    return size / wall(lambda: b.copy_(a, non_blocking=True), 6) / 1e9


def d2h(size: int) -> float:
    """GB/s to pinned memory of the host."""
    a = torch.ones(size // 4, device="cuda")
    b = torch.zeros(size // 4, pin_memory=True)
    return size / wall(lambda: b.copy_(a, non_blocking=True), 6) / 1e9


def bf16(side: int) -> float:
    """TFLOP/s of a product of two square matrices."""
    a = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    return 2 * side**3 / wall(lambda: a @ b, 60) / 1e12


def fp8(side: int) -> float:
    """The same in FP8 (e4m3), the result in BF16."""
    a = torch.randn(side, side, device="cuda").to(torch.float8_e4m3fn)
    b = torch.randn(side, side, device="cuda").to(torch.float8_e4m3fn).t()
    s = torch.tensor(1.0, device="cuda")
    product = torch._scaled_mm
    return (
        2
        * side**3
        / wall(lambda: product(a, b, s, s, out_dtype=torch.bfloat16, use_fast_accum=True), 60)
        / 1e12
    )


def peer(one: int, other: int, size: int) -> float:
    """GB/s from one GPU to another."""
    a = torch.ones(size // 4, device=f"cuda:{one}")
    b = torch.zeros(size // 4, device=f"cuda:{other}")

    def copy() -> None:
        b.copy_(a)

    def finished() -> None:
        torch.cuda.synchronize(one)
        torch.cuda.synchronize(other)

    copy()
    finished()
    begun = time.perf_counter()
    for _ in range(6):
        copy()
    finished()
    return size * 6 / (time.perf_counter() - begun) / 1e9


def collective(operation: str, size: int, repeats: int) -> float:
    """Seconds of one collective over ``size`` bytes, on this rank."""
    count = dist.get_world_size()
    words = size // 4 // count * count
    if operation == "all_reduce":
        x = torch.zeros(words, device="cuda")
        return wall(lambda: dist.all_reduce(x), repeats)
    x = torch.zeros(words // count if operation == "all_gather" else words, device="cuda")
    y = torch.zeros(words, device="cuda")
    if operation == "all_gather":
        return wall(lambda: dist.all_gather_into_tensor(y, x), repeats)
    return wall(lambda: dist.all_to_all_single(y, x), repeats)
