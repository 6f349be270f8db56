"""A stand-in for PyTorch on H200s: the calls that acceptance makes, on GPUs that exist only as a clock.

Work advances a clock of its own by what it would take at the speeds below, and ``time`` tells that clock; so
figures come out exact, whatever machine this runs on, and a wrong factor in the measuring program shows. A
tensor keeps one value per row. ``FAKE_GPU_FAULT=RANK:FAULT`` breaks one GPU: ``wrong`` (its products differ),
``forgets`` (its memory does), ``dies`` or ``hangs`` during products.
"""

import os
import time
from types import SimpleNamespace
from typing import Any

GIGA, TERA = 1e9, 1e12
MEMORY, HOST, PEER = 4279 * GIGA, 55 * GIGA, 395 * GIGA  # bytes a second
BF16, FP8 = 784 * TERA, 1370 * TERA  # operations a second
LAUNCH = 2e-6  # seconds that any work takes at least

__version__ = "2.11.0+fake"
version = SimpleNamespace(cuda="13.0")
uint8, float32, bfloat16, float8_e4m3fn = "uint8", "float32", "bfloat16", "float8_e4m3fn"
_BYTES = {uint8: 1, float32: 4, bfloat16: 2, float8_e4m3fn: 1}
_clock = 1000.0
_real_sleep = time.sleep
_current = 0
_products = 0


def _now() -> float:
    return _clock


def spend(seconds: float) -> None:
    """The GPU works."""
    global _clock  # noqa: PLW0603 - the one clock of this process
    _clock += seconds + LAUNCH


time.perf_counter = time.monotonic = _now


class Tensor:
    """Rows of one value each, somewhere."""

    def __init__(self, device: str, dtype: str, columns: int, rows: list[float]) -> None:
        self.device, self.dtype, self.columns, self.rows = device, dtype, columns, rows

    @property
    def bytes(self) -> int:
        return self.numel() * _BYTES[self.dtype]

    def numel(self) -> int:
        return self.columns * len(self.rows)

    def fill_(self, value: float) -> "Tensor":
        self.rows = [value] * len(self.rows)
        return self

    def copy_(self, source: "Tensor", non_blocking: bool = False) -> "Tensor":
        assert self.bytes == source.bytes
        places = {self.device, source.device}
        if "cpu" in places:
            spend(self.bytes / HOST)
        elif len(places) == 1:
            spend(2 * self.bytes / MEMORY)
        else:
            spend(self.bytes / PEER)
        self.rows = list(source.rows)
        return self

    def clone(self) -> "Tensor":
        return Tensor(self.device, self.dtype, self.columns, list(self.rows))

    def to(self, dtype: str) -> "Tensor":
        return Tensor(self.device, dtype, self.columns, list(self.rows))

    def float(self) -> "Tensor":
        return self

    def t(self) -> "Tensor":
        return self

    def item(self) -> float:
        return self.rows[0]

    def view(self, rows: int, _: int) -> "Tensor":
        values = self.rows if len(self.rows) == rows else self.rows * rows
        return Tensor(self.device, self.dtype, self.numel() // rows, values)

    def amin(self, _: int) -> "Tensor":
        return Tensor(self.device, self.dtype, 1, list(self.rows))

    amax = amin

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return mm(self, other)


def _place(device: str) -> str:
    return f"cuda:{_current}" if device == "cuda" else device


def full(
    shape: tuple[int, ...],
    value: float,
    *,
    dtype: str = float32,
    device: str = "cpu",
    pin_memory: bool = False,
) -> Tensor:
    *rows, columns = shape
    held = value + 1 if _fault() == "forgets" and value == 0xAA else value
    return Tensor(_place(device), dtype, columns, [held] * (rows[0] if rows else 1))


def empty(size: int, **where: Any) -> Tensor:
    return full((size,), 0.0, **where)


def zeros(size: int, **where: Any) -> Tensor:
    return empty(size, **where)


def ones(size: int, **where: Any) -> Tensor:
    return full((size,), 1.0, **where)


def randn(rows: int, columns: int, *, generator: Any = None, **where: Any) -> Tensor:
    return full((rows, columns), 0.5, **where)


def empty_like(other: Tensor) -> Tensor:
    return other.clone()


def tensor(values: Any, device: str = "cpu") -> Tensor:
    rows = [float(v) for v in (values if isinstance(values, list) else [values])]
    return Tensor(_place(device), float32, 1, rows)


def arange(first: int, last: int, device: str = "cpu") -> Tensor:
    return tensor(list(range(first, last)), device)


def equal(one: Tensor, other: Tensor) -> bool:
    return one.rows == other.rows


def aminmax(values: Tensor) -> tuple[Tensor, Tensor]:
    spend(values.bytes / MEMORY)
    return tensor(min(values.rows)), tensor(max(values.rows))


def mm(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    global _products  # noqa: PLW0603
    _products += 1
    if _fault() == "dies":
        os._exit(9)
    if _fault() == "hangs":
        _real_sleep(600)
    spend(2 * len(a.rows) * a.columns * b.columns / BF16)
    result = out if out is not None else a.clone()
    return result.fill_(float(_products) if _fault() == "wrong" else 1.0)


def _scaled_mm(a: Tensor, b: Tensor, *_: Tensor, out_dtype: str, use_fast_accum: bool) -> Tensor:
    spend(2 * len(a.rows) * a.columns * b.columns / FP8)
    return a.to(out_dtype)


class Generator:
    def __init__(self, device: str) -> None: ...

    def manual_seed(self, _: int) -> "Generator":
        return self


def device(kind: str, index: int) -> str:
    return f"{kind}:{index}"


class _Event:
    def __init__(self, enable_timing: bool) -> None:
        self.at = 0.0

    def record(self) -> None:
        self.at = _clock

    def elapsed_time(self, later: "_Event") -> float:
        return (later.at - self.at) * 1e3


def _set_device(index: int) -> None:
    global _current  # noqa: PLW0603
    _current = index


def _fault() -> str:
    rank, _, fault = os.environ.get("FAKE_GPU_FAULT", "").partition(":")
    return fault if rank == str(_current) else ""


cuda = SimpleNamespace(
    Event=_Event,
    synchronize=lambda *_: None,
    set_device=_set_device,
    empty_cache=lambda: None,
    mem_get_info=lambda: (130 * 2**30, 140 * 2**30),
    get_device_capability=lambda: (9, 0),
    nccl=SimpleNamespace(version=lambda: (2, 28, 9)),
)
