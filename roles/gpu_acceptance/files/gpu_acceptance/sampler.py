"""Looks at every GPU while something loads it: clocks, temperature, watts, PCIe, why clocks are low."""

from __future__ import annotations

import threading
import time
from typing import Any

import pynvml as nvml

from .facts import ask, reasons

EVERY = 0.1  # seconds between two looks
LOAD = 50  # per cent of utilisation from which a GPU counts as loaded
LOWEST = ("sm_clock", "pcie_width")
HIGHEST = ("temperature", "memory_temperature", "power", "pcie_generation")


class Sampler:
    """Use as a context around a load; ``result`` has one entry per GPU afterwards."""

    def __init__(self, count: int) -> None:
        self._handles = [ask("nvmlDeviceGetHandleByIndex", index) for index in range(count)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.result: list[dict[str, Any]] = [{"looks": 0, "loaded": 0, "reasons": {}} for _ in range(count)]

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            for handle, seen in zip(self._handles, self.result, strict=True):
                if handle is not None:
                    add(seen, look(handle))
            if self._stop.wait(EVERY):
                return


def look(handle: Any) -> dict[str, Any]:
    """One GPU right now."""
    use = ask("nvmlDeviceGetUtilizationRates", handle)
    power = ask("nvmlDeviceGetPowerUsage", handle)
    return {
        "time": time.time(),
        "load": use.gpu if use else None,
        "sm_clock": ask("nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_SM),
        "temperature": ask("nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU),
        "power": None if power is None else power / 1000,
        "pcie_generation": ask("nvmlDeviceGetCurrPcieLinkGeneration", handle),
        "pcie_width": ask("nvmlDeviceGetCurrPcieLinkWidth", handle),
        "reasons": reasons(handle),
    }


def add(seen: dict[str, Any], now: dict[str, Any]) -> None:
    """Fold in one look: extremes, and how often each reason held. Clocks count under load only."""
    seen["looks"] += 1
    loaded = (now["load"] or 0) >= LOAD
    seen["loaded"] += loaded
    for key in LOWEST:
        if now.get(key) is not None and (loaded or key != "sm_clock"):
            seen[key] = min(seen.get(key, now[key]), now[key])
    for key in HIGHEST:
        if now.get(key) is not None:
            seen[key] = max(seen.get(key, now[key]), now[key])
    for reason in now["reasons"]:
        seen["reasons"][reason] = seen["reasons"].get(reason, 0) + 1


def merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What was seen in two loads of the same GPU."""
    merged = {key: one.get(key, 0) + other.get(key, 0) for key in ("looks", "loaded")}
    for keys, choose in ((LOWEST, min), (HIGHEST, max)):
        for key in keys:
            known = [seen[key] for seen in (one, other) if key in seen]
            if known:
                merged[key] = choose(known)
    counts = {reason for seen in (one, other) for reason in seen["reasons"]}
    merged["reasons"] = {r: one["reasons"].get(r, 0) + other["reasons"].get(r, 0) for r in sorted(counts)}
    return merged
