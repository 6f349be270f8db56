"""Follows the proxy's log: puts accounts right, judges canaries, writes the records of what was used."""

import asyncio
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bedplate.api import routing, usage
from bedplate.api.accounts import Accounts
from bedplate.api.gate import OWN, Gate
from bedplate.api.policy import Served
from bedplate.api.routing import Outcome
from bedplate.api.usage import Line
from bedplate.api.valkey import Away, Failed

PAUSE = 0.02  # seconds between two looks
FULL = 64 * 2**20  # bytes of log after which another is begun


class Ledger:
    """Reads the log from where it was read to last; that place is beside it, so that a restart of this
    program neither loses nor repeats more than what it was doing."""

    def __init__(self, log: Path, gate: Gate, accounts: Accounts, write: Callable[[str], None]) -> None:
        self._log, self._place = log, log.with_suffix(".read")
        self._gate, self._accounts, self._write = gate, accounts, write
        self._partial = b""

    async def run(self, admin: str) -> None:
        """Until it is cancelled. ``admin`` is the proxy's own address, which is told to begin another log."""
        offset = int(self._place.read_text()) if self._place.exists() else 0
        while True:
            content = self._read(offset)
            for text in content.decode(errors="replace").splitlines():
                await self._one(text)
            if content:
                offset += len(content)
                self._place.write_text(str(offset))
            elif offset > FULL:
                offset = await self._another(admin, offset)
            await asyncio.sleep(0 if content else PAUSE)

    def _read(self, offset: int) -> bytes:
        """Whole lines from ``offset`` on."""
        if not self._log.exists():
            return b""
        with self._log.open("rb") as file:
            file.seek(offset)
            content = file.read(2**20)
        return content[: content.rfind(b"\n") + 1]

    async def _one(self, text: str) -> None:
        try:
            line = usage.read(text)
        except (ValueError, KeyError):
            return
        refusal = self._gate.refusals.pop(line.request, None)
        self._write(json.dumps(usage.record(line, refusal), separators=(",", ":")))
        if refusal or not line.who:
            return
        try:
            await self._accounts.settle(line.who, line.request, line.used)
            await self._judge(line)
        except (Away, Failed):
            self._gate.counters.unsettled += 1  # it stays taken until its window ends

    async def _judge(self, line: Line) -> None:
        served = self._gate.policy.models.get(line.model)
        if served is None or line.backend == OWN or not line.counts:
            return
        if not any(backend.canary for backend in served.backends):
            return
        name, keep = f"{served.name}/{line.backend}", served.guard.seconds
        first = line.first_byte or 0.0
        await self._accounts.outcome(name, failed=line.failed, first_byte=first, keep=keep)
        for backend in served.backends:
            if backend.canary and backend.name not in self._gate.withdrawn:
                await self._guard(served, backend.name)

    async def _guard(self, served: Served, canary: str) -> None:
        seconds = served.guard.seconds
        own = await self._accounts.outcomes(f"{served.name}/{canary}", seconds)
        names = [b.name for b in served.backends if not b.canary]
        rest = [await self._accounts.outcomes(f"{served.name}/{name}", seconds) for name in names]
        why = routing.verdict(served.guard, own, together(rest))
        if why:
            self._gate.withdrawn[canary] = why
            if await self._accounts.withdraw(canary, why):
                self._write(
                    json.dumps(
                        {"source": "api", "event": "canary withdrawn", "backend": canary, "reason": why}
                    )
                )

    async def _another(self, admin: str, offset: int) -> int:
        """Begin another log: the old one is renamed, the proxy opens a new one, and what it wrote in between
        is still read."""
        old = self._log.with_suffix(".old")
        self._log.rename(old)
        request = urllib.request.Request(f"{admin}/reopen_logs", method="POST")  # noqa: S310 - loopback
        await asyncio.to_thread(urllib.request.urlopen, request, timeout=5)
        await asyncio.sleep(1)
        with old.open("rb") as file:
            file.seek(offset)
            for text in file.read().decode(errors="replace").splitlines():
                await self._one(text)
        old.unlink()
        self._place.write_text("0")
        return 0


def together(outcomes: list[Outcome]) -> Outcome:
    """Several back ends as one."""
    bins: dict[int, int] = {}
    for number, count in (pair for outcome in outcomes for pair in outcome.bins):
        bins[number] = bins.get(number, 0) + count
    total, failed = sum(o.total for o in outcomes), sum(o.failed for o in outcomes)
    return Outcome(total, failed, tuple(sorted(bins.items())))
