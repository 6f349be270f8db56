"""GPUs for tests: the recording of a real H100, and a stand-in that remembers what was set."""

import copy
from pathlib import Path
from typing import Any

from gpu_policy.converge import Memory, converge

from tests.fakes.nvidia_smi import FRESH, StandIn

RECORDED = (Path(__file__).parent / "unit" / "recorded" / "nvidia-smi-h100.xml").read_text()
LAYOUTS = {"sevenths": {"devices": {"1g.10gb": 7}}, "mixed": {"devices": {"3g.40gb": 1, "1g.10gb": 2}}}
SEVENTHS = ("1g.10gb",) * 7


def stand_in(count: int = 1, *, reset_for_mig: bool = False, **fields: Any) -> StandIn:
    """GPUs as after a boot, with ``fields`` changed."""
    state = [copy.deepcopy(FRESH) | copy.deepcopy(fields) for _ in range(count)]
    return StandIn(RECORDED, state, reset_for_mig=reset_for_mig)


def run(smi: StandIn, said: dict[str, Any], *, consent: bool = False, memory: Memory | None = None) -> Any:
    """Converge as the module does."""
    return converge({"layouts": LAYOUTS, **said}, smi, memory or Memory(None), consent=consent)


def done(smi: StandIn, said: dict[str, Any], **more: Any) -> list[str]:
    """Only what was done, without the GPU's name."""
    return [str(action).partition(": ")[2] for action in run(smi, said, **more).done]
