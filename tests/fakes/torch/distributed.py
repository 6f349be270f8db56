"""A stand-in for torch.distributed with NCCL over NVLink: every rank knows what the others would send."""

import torch

BUS = 322e9  # bytes a second of bus bandwidth, as nccl-tests counts it
_group: dict[str, int] = {}


def init_process_group(backend: str, *, init_method: str, rank: int, world_size: int, device_id: str) -> None:
    assert backend == "nccl"
    _group.update(rank=rank, world_size=world_size)


def get_world_size() -> int:
    return _group["world_size"]


def get_rank() -> int:
    return _group["rank"]


def barrier() -> None: ...


def _work(size: int, passes: int) -> None:
    count = get_world_size()
    torch.spend(passes * (count - 1) / count * size / BUS)


def all_reduce(values: torch.Tensor) -> None:
    """Every rank gives its number, counted from one."""
    _work(values.bytes, 2)
    count = get_world_size()
    if any(values.rows):
        values.fill_(float(sum(range(1, count + 1))))


def all_gather_into_tensor(result: torch.Tensor, part: torch.Tensor) -> None:
    assert result.numel() == part.numel() * get_world_size()
    _work(result.bytes, 1)
    _of_all(result)


def all_to_all_single(result: torch.Tensor, given: torch.Tensor) -> None:
    assert result.numel() == given.numel()
    _work(result.bytes, 1)
    _of_all(result)


def _of_all(result: torch.Tensor) -> None:
    count = get_world_size()
    result.columns, result.rows = result.numel() // count, [float(n + 1) for n in range(count)]
