"""All GPUs of the host together: copies between every two of them, and NCCL's collectives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from . import plain
from .gpu import GIB, Figure, Wrong, event_seconds, measure

WORD = 4  # bytes of a float32


def pairs(count: int, size: int = GIB, repeats: int = 6, rounds: int = 3) -> dict[str, Any]:
    """GB/s of copies from every GPU (row) to every other (column), and of the plain baseline."""
    buffers = [torch.empty(size, dtype=torch.uint8, device=f"cuda:{n}") for n in range(count)]
    targets = [torch.empty_like(buffer) for buffer in buffers]
    empty: list[list[float | None]] = [[None] * count for _ in range(count)]
    value, baseline = empty, [list(row) for row in empty]
    for one in range(count):
        torch.cuda.set_device(one)
        for other in range(count):
            if one != other:
                figure = pair(buffers[one], targets[other], (one, other), repeats, rounds)
                value[one][other], baseline[one][other] = figure["value"], figure["baseline"]
    torch.cuda.set_device(0)
    return {"bytes": size, "value": value, "baseline": baseline}


def pair(source: Any, target: Any, devices: tuple[int, int], repeats: int, rounds: int) -> Figure:
    """One direction between two GPUs."""
    size = source.numel()
    work = lambda: target.copy_(source, non_blocking=True)  # noqa: E731
    return measure(work, size / 1e9, lambda: plain.peer(*devices, size), repeats=repeats, rounds=rounds)


def join(rank: int, count: int, port: int) -> dict[str, Any]:
    """Make the process group of all GPUs of this host; NCCL's version and the seconds it took."""
    begun = time.perf_counter()
    dist.init_process_group(
        "nccl",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=count,
        device_id=torch.device("cuda", rank),
    )
    dist.barrier()
    return {"version": ".".join(map(str, torch.cuda.nccl.version())), "seconds": time.perf_counter() - begun}


def collective(operation: str, size: int, repeats: int) -> dict[str, float]:
    """Seconds of one collective over ``size`` bytes on this rank, and of its plain baseline.

    Bytes are those of the whole result, as nccl-tests counts them.
    """
    work = prepared(operation, size)
    for _ in range(3):
        work()
    dist.barrier()
    # more of what is short; all ranks must agree, so from the size and not from a clock
    repeats = max(repeats, min(60, int(192 * 2**20 / size)))
    ours, theirs = [], []
    for _ in range(3):
        ours.append(event_seconds(work, repeats))
        dist.barrier()
        theirs.append(plain.collective(operation, size, repeats))
        dist.barrier()
    return {"seconds": sorted(ours)[1], "baseline": sorted(theirs)[1]}


def prepared(operation: str, size: int) -> Callable[[], Any]:
    """A collective over ``size`` bytes, as a call; its result is checked once before it is timed."""
    count, rank = dist.get_world_size(), dist.get_rank()
    words = size // WORD // count * count
    if operation == "all_reduce":
        check_all_reduce(min(words, 2**20), count, rank)
        buffer = torch.zeros(words, device="cuda")
        return lambda: dist.all_reduce(buffer)
    result = torch.empty(words, device="cuda")
    if operation == "all_gather":
        part = torch.full((words // count,), float(rank + 1), device="cuda")
        dist.all_gather_into_tensor(result, part)
        expect(result.view(count, -1), torch.arange(1, count + 1, device="cuda"), operation)
        return lambda: dist.all_gather_into_tensor(result, part)
    given = torch.full((words,), float(rank + 1), device="cuda")
    dist.all_to_all_single(result, given)
    expect(result.view(count, -1), torch.arange(1, count + 1, device="cuda"), operation)
    return lambda: dist.all_to_all_single(result, given)


def check_all_reduce(words: int, count: int, rank: int) -> None:
    """The sum of 1 to n, in every word."""
    buffer = torch.full((1, words), float(rank + 1), device="cuda")
    dist.all_reduce(buffer)
    expect(buffer, torch.tensor([count * (count + 1) // 2], device="cuda"), "all_reduce")


def expect(rows: Any, values: Any, operation: str) -> None:
    """Every word of row n is ``values[n]``. Raises Wrong."""
    low, high = rows.amin(1), rows.amax(1)
    if not (torch.equal(low, values.float()) and torch.equal(high, values.float())):
        raise Wrong(f"{operation} gave a wrong result")
