"""One process per GPU: reads one request a line, does it, answers in one line. Ends when its parent does."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch

from . import collectives, gpu, pci

PR_SET_PDEATHSIG = 1


def settle(rank: int, bus: str) -> dict[str, Any]:
    """Take the GPU, run near it, and say what software this is."""
    cpus = pci.local_cpus(bus)
    if cpus:
        os.sched_setaffinity(0, cpus & os.sched_getaffinity(0) or os.sched_getaffinity(0))
    torch.cuda.set_device(rank)
    torch.zeros(1, device="cuda")
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "cpus": len(os.sched_getaffinity(0))}


def released(work: Callable[..., Any]) -> Callable[..., Any]:
    """``work`` whose buffers go back to the GPU afterwards."""

    def call(**arguments: Any) -> Any:
        try:
            return work(**arguments)
        finally:
            torch.cuda.empty_cache()

    return call


REQUESTS: dict[str, Callable[..., Any]] = {
    "settle": settle,
    "memory_copy": released(gpu.memory_copy),
    "host_copies": released(gpu.host_copies),
    "products": released(gpu.products),
    "repeatable": released(gpu.repeatable),
    "memory_holds": released(gpu.memory_holds),
    "load": released(gpu.load),
    "pairs": released(collectives.pairs),
    "join": collectives.join,
    "collective": released(collectives.collective),
}


def main() -> None:
    """Serve requests until standard input ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print does not mix with answers
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(answer(request)) + "\n")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What came out, or why nothing did."""
    try:
        return {"result": REQUESTS[request["do"]](**request.get("with", {}))}
    except gpu.Wrong as wrong:
        return {"wrong": str(wrong)}
    except Exception as error:  # whatever a GPU does to its process is a result here
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"[:500]}


if __name__ == "__main__":
    main()
