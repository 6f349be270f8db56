"""What the API gateway costs: pairs of runs in turn, through it and without it, to an nginx that answers at
once like a model. Load is a closed loop over kept connections; all of it shares this machine's cores."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bedplate.api.envoy import Upstream
from bedplate.api.identity import digest
from bedplate.api.lab import Lab, running
from bedplate.gateway.bench import Run, nginx
from bedplate.ports import free_port

KEY = "of-this-run-only"
BEHIND = """pid {folder}/pid; error_log {folder}/error crit; worker_processes 1; daemon off;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000; client_max_body_size 8m;
server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type application/json;
return 200 '{answer}'; }} }} }}
"""
ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "token " * 40}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52},
}
QUESTION = {"model": "chat", "messages": [{"role": "user", "content": "word " * 200}], "max_tokens": 40}
MOST = 10**9


@dataclass(frozen=True)
class Result:
    """Medians over all pairs, milliseconds; ``added_ms`` is the difference of both medians with one client,
    so that it is the way through and not the wait for a core."""

    pairs: int
    per_second: float
    direct_per_second: float
    p50_ms: float
    p99_ms: float
    direct_p50_ms: float
    direct_p99_ms: float
    added_ms: float
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """As a program reads it."""
        return asdict(self)


def load(port: int, content: bytes, requests: int, clients: int) -> Run:
    """One run of a closed loop: each client asks again when it has its answer."""
    return asyncio.run(_load(port, content, requests, clients))


async def _load(port: int, content: bytes, requests: int, clients: int) -> Run:
    times: list[float] = []
    left, failed = iter(range(requests)), 0

    async def client() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            begun = time.perf_counter()
            writer.write(content)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            times.append(1000 * (time.perf_counter() - begun))
            failed += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    seconds = time.perf_counter() - begun
    cuts = quantiles(times, n=100)
    return Run(len(times) / seconds, cuts[49], cuts[98], failed)


def request() -> bytes:
    """What is asked again and again."""
    body = json.dumps(QUESTION).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: api", f"Authorization: Bearer {KEY}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def gateway(folder: Path, port: int) -> Iterator[Lab]:
    """One replica with one consumer, whose limits are counted and never reached."""
    limits = dict.fromkeys(("requests", "tokens", "daily_tokens", "parallel", "answer", "choices"), MOST)
    policy = {
        "models": {"chat": {"kind": "vllm", "backends": [{"name": "chat", "weight": 100}]}},
        "roles": {"all": {"models": ["chat"], "limits": limits}},
        "consumers": {"bench": {"role": "all"}},
        "groups": {},
    }
    keys = [{"id": "bench-1", "consumer": "bench", "sha256": digest(KEY)}]
    with running(Lab(folder, policy, keys, (Upstream("chat", "127.0.0.1", port),))) as lab:
        yield lab


def bench(folder: Path, pairs: int, requests: int, clients: int) -> Result:
    """Pairs of runs, through the gateway and direct in turn. Raises BedplateError."""
    body, behind = request(), free_port()
    text = BEHIND.format(folder=folder / "behind", port=behind, answer=json.dumps(ANSWER))
    with nginx(folder / "behind", text), gateway(folder / "gateway", behind) as lab:
        ours = lab.replicas[0].port
        load(ours, body, max(50, requests // 10), clients)
        runs, alone = [], []
        for number in range(pairs):
            order = [ours, behind] if number % 2 == 0 else [behind, ours]
            seen = {port: load(port, body, requests, clients) for port in order}
            runs.append((seen[ours], seen[behind]))
            few = {port: load(port, body, max(50, requests // 5), 1) for port in order}
            alone.append(few[ours].p50 - few[behind].p50)
    return _result(runs, alone)


def _result(runs: list[tuple[Run, Run]], alone: list[float]) -> Result:
    ours, direct = [one for one, _ in runs], [other for _, other in runs]
    return Result(
        pairs=len(runs),
        per_second=median(run.per_second for run in ours),
        direct_per_second=median(run.per_second for run in direct),
        p50_ms=median(run.p50 for run in ours),
        p99_ms=median(run.p99 for run in ours),
        direct_p50_ms=median(run.p50 for run in direct),
        direct_p99_ms=median(run.p99 for run in direct),
        added_ms=median(alone),
        failed=sum(run.failed for run in ours),
    )
