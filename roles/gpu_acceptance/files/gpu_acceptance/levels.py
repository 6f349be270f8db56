"""What each level measures, in which order, and what is written down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import facts, sampler, tools
from .crew import Crew, Failed, free_port

Document = dict[str, Any]
MIB, GIB = 2**20, 2**30
SIZES = tuple(MIB << shift for shift in range(13))  # 1 MiB to 4 GiB
START, STEP, LONG = 180.0, 120.0, 600.0  # seconds after which a silent GPU counts as failed
ENVIRONMENT = ("NCCL_", "CUDA_", "TORCH_", "NVSHMEM_", "NVIDIA_")


@dataclass(frozen=True)
class Level:
    """``sizes`` of collectives and ``pcie`` of host copies are in bytes, ``load`` is seconds of
    products without a pause, ``memory`` the share of free memory that is written and read back, ``tools`` the
    level of dcgmi diag (0: not asked), ``rounds`` how often one copy between devices and its baseline take
    turns, ``until`` seconds of rounds in all (0: one round)."""

    name: str
    sizes: tuple[int, ...]
    operations: tuple[str, ...]
    repeats: int = 20
    pcie: int = 512 * MIB
    rounds: int = 3
    load: float = 0.0
    memory: float = 0.0
    tools: int = 0
    until: float = 0.0


QUICK = Level("quick", (16 * MIB, GIB), ("all_reduce",), repeats=10, pcie=256 * MIB, rounds=1)
STANDARD = Level(
    "standard", SIZES, ("all_reduce", "all_gather", "all_to_all"), load=45.0, memory=0.9, tools=2
)
BURN_IN = Level("burn-in", (GIB,), ("all_reduce", "all_to_all"), load=60.0, memory=0.9, until=86400.0)
LEVELS = {level.name: level for level in (QUICK, STANDARD, BURN_IN)}


class Run:
    """One run on this host. ``document`` always holds what is known so far; ``say`` is told every step."""

    def __init__(
        self, level: Level, log: Path, say: Callable[[str], None], keep: Callable[[Document], None]
    ) -> None:
        self.level, self._log, self._say, self._keep = level, log, say, keep
        self._begun = time.monotonic()
        self.document: Document = {
            "version": 1,
            "level": level.name,
            "begun": datetime.now(UTC).isoformat(timespec="seconds"),
            "complete": False,
            "rounds": 0,
            "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(ENVIRONMENT)},
            "gpus": [],
            "pairs": None,
            "collectives": [],
            "load": [],
            "failures": [],
            "tools": {},
            "timings": {},
        }

    def all(self) -> Document:
        """Facts, measurements, facts again."""
        self._step("facts", self._facts)
        count = len(self.document["facts"]["gpus"])
        healthy = count and not any(gpu["lost"] for gpu in self.document["facts"]["gpus"])
        if healthy:
            self._measure(count)
        self._step("tools", lambda: self.document.update(tools=tools.run(self.level.tools, count)))
        self._step("facts after", lambda: self.document.update(after=facts.read()))
        self.document["complete"] = True
        return self.finish()

    def finish(self) -> Document:
        """Write down how long it took."""
        self.document["seconds"] = round(time.monotonic() - self._begun, 2)
        self._keep(self.document)
        return self.document

    def _facts(self) -> None:
        self.document["facts"] = facts.read()

    def _measure(self, count: int) -> None:
        self.document["gpus"] = [{"index": index} for index in range(count)]
        self.document["load"] = [{"looks": 0, "loaded": 0, "reasons": {}} for _ in range(count)]
        try:
            with Crew(count, self._log) as crew:
                self._step("start", lambda: self._start(crew, count))
                self._rounds(crew, count)
        except Failed as failed:
            self._failed(failed)

    def _start(self, crew: Crew, count: int) -> None:
        buses = [gpu["bus"] for gpu in self.document["facts"]["gpus"]]
        each = {rank: {"rank": rank, "bus": bus} for rank, bus in enumerate(buses)}
        self.document["software"] = crew.everyone("settle", START, each)[0]
        if count > 1:
            ranks = {rank: {"rank": rank} for rank in range(count)}
            self.document["nccl"] = crew.everyone("join", START, ranks, count=count, port=free_port())[0]

    def _rounds(self, crew: Crew, count: int) -> None:
        deadline = time.monotonic() + self.level.until
        while True:
            self._round(crew, count)
            self.document["rounds"] += 1
            self.finish()
            if time.monotonic() >= deadline:
                return

    def _round(self, crew: Crew, count: int) -> None:
        level = self.level
        self._step("memory", lambda: self._each(crew, "memory_copy", "memory_copy"))
        for rank in range(count):
            self._step("pcie", lambda rank=rank: self._pcie(crew, rank))
        self._step("products", lambda: self._each(crew, "products"))
        self._step("repeatable", lambda: self._try(crew, "repeatable", LONG))
        if level.load:
            self._step(
                "load", lambda: self._each(crew, "load", "load", level.load + LONG, seconds=level.load)
            )
        if level.memory:
            self._step("memory holds", lambda: self._try(crew, "memory_holds", LONG, share=level.memory))
        if count > 1:
            self._step("pairs", lambda: self._pairs(crew, count))
            for operation in level.operations:
                self._step(operation, lambda operation=operation: self._collectives(crew, operation, count))

    def _each(self, crew: Crew, do: str, name: str = "", timeout: float = STEP, **arguments: Any) -> None:
        """The same on all GPUs at once, watched."""
        for rank, result in enumerate(self._watched(crew, lambda: crew.everyone(do, timeout, **arguments))):
            for key, figure in {name: result}.items() if name else result.items():
                self._note(self.document["gpus"][rank], key, figure)

    def _pcie(self, crew: Crew, rank: int) -> None:
        """One GPU after another: several may share a path to the processor."""
        for key, figure in self._watched(
            crew, lambda: crew.one(rank, "host_copies", STEP, size=self.level.pcie, rounds=self.level.rounds)
        ).items():
            self._note(self.document["gpus"][rank], key, figure)

    def _try(self, crew: Crew, do: str, timeout: float, **arguments: Any) -> None:
        """A check that has no figure."""
        results = self._watched(crew, lambda: crew.everyone(do, timeout, **arguments))
        for rank, result in enumerate(results):
            if result is not None:
                self.document["gpus"][rank][do] = result

    def _pairs(self, crew: Crew, count: int) -> None:
        found = self._watched(crew, lambda: crew.one(0, "pairs", LONG, count=count, rounds=self.level.rounds))
        known = self.document["pairs"]
        if known is None:
            self.document["pairs"] = found
            return
        for one, row in enumerate(found["value"]):
            for other, value in enumerate(row):
                if value is not None and value < known["value"][one][other]:
                    known["value"][one][other] = value
                    known["baseline"][one][other] = found["baseline"][one][other]

    def _collectives(self, crew: Crew, operation: str, count: int) -> None:
        free = min(gpu["memory_mib"] for gpu in self.document["facts"]["gpus"]) * MIB
        for size in (size for size in self.level.sizes if size * 6 <= free):
            arguments = {"operation": operation, "size": size, "repeats": self.level.repeats}
            found = self._watched(
                crew, lambda arguments=arguments: crew.everyone("collective", STEP, **arguments)
            )
            entry = {
                "operation": operation,
                "bytes": size,
                "gpus": count,
                "seconds": max(one["seconds"] for one in found),
                "baseline_seconds": max(one["baseline"] for one in found),
            }
            same = [
                e for e in self.document["collectives"] if (e["operation"], e["bytes"]) == (operation, size)
            ]
            if not same:
                self.document["collectives"].append(entry)
            elif entry["seconds"] > same[0]["seconds"]:
                same[0].update(entry)

    def _watched(self, crew: Crew, work: Callable[[], Any]) -> Any:
        with sampler.Sampler(crew.count) as watch:
            result = work()
        self.document["load"] = [
            sampler.merge(*both) for both in zip(self.document["load"], watch.result, strict=True)
        ]
        return result

    @staticmethod
    def _note(gpu: Document, key: str, figure: Document) -> None:
        """Of several rounds the worst stays."""
        if key not in gpu or figure["value"] < gpu[key]["value"]:
            gpu[key] = figure

    def _failed(self, failed: Failed) -> None:
        entry = {"gpu": failed.rank, "why": failed.why, "wrong": failed.wrong}
        if entry not in self.document["failures"]:
            self.document["failures"].append(entry)

    def _step(self, name: str, work: Callable[[], Any]) -> None:
        self._say(name)
        begun = time.monotonic()
        try:
            work()
        except Failed as failed:  # this GPU is named, and the rest is measured
            self._failed(failed)
            if failed.dead:
                raise
        took = time.monotonic() - begun
        self.document["timings"][name] = round(self.document["timings"].get(name, 0.0) + took, 3)


def chosen(name: str, burn_in: float | None = None, load: float | None = None) -> Level:
    """A level, with the times that the inventory gives instead of its own."""
    level = LEVELS[name]
    if burn_in is not None and level.until:
        level = replace(level, until=burn_in)
    if load is not None and level.load:
        level = replace(level, load=load)
    return level
