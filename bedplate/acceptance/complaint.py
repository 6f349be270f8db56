"""One thing wrong with a host's GPUs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["fail", "warn"]


@dataclass(frozen=True)
class Complaint:
    """``check`` names the rule, ``where`` the GPU (``GPU 3``), pair or host; ``value`` is what was found."""

    check: str
    where: str
    what: str
    value: str
    expected: str
    remedy: str
    level: Level = "fail"

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.value}, expected {self.expected}. {self.remedy}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def place(index: int, bus: str = "") -> str:
    """A GPU as people look for it."""
    return f"GPU {index} ({bus})" if bus else f"GPU {index}"


def several(indexes: Iterable[int]) -> str:
    """``GPU 1``, ``GPUs 1, 2 and 5``, ``GPUs 0 to 7``."""
    numbers = sorted(indexes)
    if len(numbers) == 1:
        return f"GPU {numbers[0]}"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):  # noqa: PLR2004
        return f"GPUs {numbers[0]} to {numbers[-1]}"
    return f"GPUs {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
