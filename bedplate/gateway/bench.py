"""What the gateway bears: pairs of runs against a bare nginx that does mutual TLS with the same cipher.

The load comes from ApacheBench (closed loop, keep-alive); an nginx that answers at once stands behind both,
so that what is compared is the way in and nothing else. The bare one has nginx's own access log, as it comes.
All of it shares this machine's cores.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bedplate.errors import BedplateError
from bedplate.gateway.lab import Lab
from bedplate.ports import free_ports

CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256"
SERVER = "localhost"  # ApacheBench says the name that it looks up
BEHIND = """pid {folder}/pid; error_log {folder}/error crit; worker_processes 1; daemon off;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000;
server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type application/json;
return 200 '{{"choices":[{{"text":"{text}"}}]}}'; }} }} }}
"""
BARE = """pid {folder}/pid; error_log {folder}/error crit; worker_processes auto; daemon off; user root;
events {{ worker_connections 16384; }}
http {{ access_log {folder}/access; keepalive_requests 1000000;
upstream api {{ server 127.0.0.1:{behind}; keepalive 64; keepalive_requests 100000; }}
server {{ listen 127.0.0.1:{port} ssl backlog=4096 reuseport; server_name localhost;
ssl_certificate {place}/certificate/chain.pem; ssl_certificate_key {place}/certificate/key.pem;
ssl_client_certificate {place}/trust.pem; ssl_crl {place}/crl.pem; ssl_verify_client on; ssl_verify_depth 2;
ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
location / {{ proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://api; }} }} }}
"""


@dataclass(frozen=True)
class Run:
    """One run of the generator: requests per second, milliseconds, and requests that went wrong."""

    per_second: float
    p50: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Result:
    """Medians over all pairs; ``ratio`` is the median of the pairs' own ratios."""

    pairs: int
    requests_per_second: float
    bare_per_second: float
    ratio: float
    p50_ms: float
    p99_ms: float
    handshakes_per_second: float
    bare_handshakes_per_second: float
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """As a program reads it."""
        return asdict(self)


def parse(text: str) -> Run:
    """Pure: the figures of ApacheBench's report. Raises BedplateError when there are none."""
    rate = re.search(r"Requests per second:\s+([\d.]+)", text)
    if not rate:
        raise BedplateError(
            f"ApacheBench gave no figures: {text.strip()[-300:]}", remedy="apt install apache2-utils"
        )
    shares = dict(re.findall(r"^\s+(50|99)%\s+(\d+)", text, re.MULTILINE))
    wrong = sum(int(n) for n in re.findall(r"(?:Failed requests|Non-2xx responses):\s+(\d+)", text))
    return Run(float(rate[1]), float(shares.get("50", 0)), float(shares.get("99", 0)), wrong)


def load(port: int, pair: Path, requests: int, clients: int, *, keep: bool) -> Run:
    """One run of ApacheBench."""
    command = ["ab", "-q", "-n", str(requests), "-c", str(clients), "-E", str(pair)]
    command += ["-f", "TLS1.2", "-Z", CIPHER, *(["-k"] if keep else [])]
    done = subprocess.run(
        [*command, f"https://{SERVER}:{port}/v1/chat"], capture_output=True, text=True, check=False
    )
    return parse(done.stdout + done.stderr)


@contextmanager
def nginx(folder: Path, text: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another nginx, with a configuration of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(text)
    process = subprocess.Popen(["nginx", "-c", str(file), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def gateway(folder: Path, behind: int, **change: Any) -> Lab:
    """The role's gateway with one client, whose limits are in force and never reached."""
    limits = {"rate": 100000, "burst": 100000, "connections": 10000}
    values = {
        "nginx_gateway_names": [SERVER],
        "nginx_gateway_groups": [{"name": "bench", "clients": ["bench-*"], **limits}],
        "nginx_gateway_upstreams": [{"name": "api", "servers": [{"address": f"127.0.0.1:{behind}"}]}],
        "nginx_gateway_routes": [{"path": "/v1/", "upstream": "api", "groups": ["bench"]}],
    }
    return Lab(folder, **{**values, **change})


def bench(folder: Path, pairs: int, requests: int, clients: int) -> Result:
    """Pairs of runs, gateway and bare nginx in turn, then new handshakes. Raises BedplateError."""
    behind, bare = free_ports(2)
    with ExitStack() as stack:
        text = BEHIND.format(folder=folder / "behind", port=behind, text="token " * 40)
        stack.enter_context(nginx(folder / "behind", text))
        lab = stack.enter_context(gateway(folder / "gateway", behind))
        words = {"folder": folder / "bare", "port": bare, "behind": behind, "place": lab.folder}
        stack.enter_context(nginx(folder / "bare", BARE.format(**words)))
        pair = lab.client("bench-1")
        load(lab.port, pair, requests // 10, clients, keep=True)
        load(bare, pair, requests // 10, clients, keep=True)
        runs = []
        for number in range(pairs):
            order = [lab.port, bare] if number % 2 == 0 else [bare, lab.port]
            seen = {port: load(port, pair, requests, clients, keep=True) for port in order}
            runs.append((seen[lab.port], seen[bare]))
        few = max(200, requests // 20)
        fresh = [load(port, pair, few, 8, keep=False) for port in (lab.port, bare)]
    return _result(runs, fresh)


def _result(runs: list[tuple[Run, Run]], fresh: list[Run]) -> Result:
    ours = [one for one, _ in runs]
    return Result(
        pairs=len(runs),
        requests_per_second=median(one.per_second for one in ours),
        bare_per_second=median(other.per_second for _, other in runs),
        ratio=median(one.per_second / other.per_second for one, other in runs),
        p50_ms=median(one.p50 for one in ours),
        p99_ms=median(one.p99 for one in ours),
        handshakes_per_second=fresh[0].per_second,
        bare_handshakes_per_second=fresh[1].per_second,
        failed=sum(one.failed for one in [*ours, fresh[0]]),
    )
