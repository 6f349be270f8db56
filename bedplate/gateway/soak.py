"""The gateway under steady load while everything about it changes: its certificates, its configuration, the
servers behind it, and who is let in."""

import http.client
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from bedplate.console import Step
from bedplate.gateway.bench import BEHIND, SERVER, gateway, nginx
from bedplate.gateway.lab import Lab
from bedplate.ports import free_ports

RELOAD_SECONDS = 10.0
PAUSE = 0.004  # seconds between two requests of a client


@dataclass
class Counts:
    """What the clients saw. ``repeated``: an idle connection had been closed, before any byte of an answer; a
    GET is then sent again, as every HTTP client does (RFC 9112, 9.3.1)."""

    answers: Counter[str] = field(default_factory=Counter)
    repeated: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of it; ``revoked_after`` in seconds from the new list to the first refusal."""

    seconds: float
    requests: int
    errors: int
    repeated: int
    reloads: int
    revoked_after: float
    answers: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """As a program reads it."""
        return asdict(self)


class Client(threading.Thread):
    """One client that keeps its connection for as long as the gateway does."""

    def __init__(self, lab: Lab, pair: Path, counts: Counts, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.lab, self.counts, self.stop = lab, counts, stop
        self.tls = lab.context(pair)

    def run(self) -> None:
        """Ask until it is told to stop."""
        connection = self._open()
        while not self.stop.wait(PAUSE):
            fresh = connection.sock is None
            try:
                answer = self.ask(connection)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                connection.close()
                self.counts.answers["lost"] += fresh
                self.counts.repeated += not fresh
                continue
            except OSError as error:
                connection.close()
                answer = type(error).__name__
            self.counts.answers[answer] += 1

    def _open(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(SERVER, self.lab.port, context=self.tls, timeout=60)

    @staticmethod
    def ask(connection: http.client.HTTPSConnection) -> str:
        connection.request("GET", "/v1/chat")
        answer = connection.getresponse()
        answer.read()
        return str(answer.status)


@contextmanager
def asking(lab: Lab, pair: Path, clients: int) -> Iterator[Counts]:
    """Clients that ask as long as the context lasts."""
    counts, stop = Counts(), threading.Event()
    threads = [Client(lab, pair, counts, stop) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def soak(folder: Path, seconds: float, clients: int, step: Step) -> Outcome:
    """Load for ``seconds``; a reload with a new certificate every ten of them, one server gone for a while,
    and a client revoked near the end. Raises BedplateError when the gateway cannot be started or reloaded."""
    ports = free_ports(2)
    texts = [BEHIND.format(folder=folder / f"behind{n}", port=port, text="t") for n, port in enumerate(ports)]
    servers = [{"address": f"127.0.0.1:{port}"} for port in ports]
    both = [{"name": "api", "servers": servers}]
    with (
        nginx(folder / "behind0", texts[0]),
        gateway(folder / "gateway", ports[0], nginx_gateway_upstreams=both) as lab,
    ):
        pair, gone = lab.client("bench-1"), lab.client("bench-2")
        begin, reloads = time.monotonic(), 0
        with asking(lab, pair, clients) as counts:
            reloads += _phase(lab, begin + seconds / 3, step, "one server of two is gone")
            with nginx(folder / "behind1", texts[1]):
                reloads += _phase(lab, begin + seconds * 2 / 3, step, "both servers")
            refused = _revoke(lab, gone)
            reloads += 1 + _phase(lab, begin + seconds, step, "a client was revoked, a server is gone again")
        took = time.monotonic() - begin
    total = sum(counts.answers.values())
    return Outcome(
        round(took, 1),
        total,
        total - counts.answers["200"],
        counts.repeated,
        reloads,
        round(refused, 2),
        {name: number for name, number in counts.answers.items() if number},
    )


def _phase(lab: Lab, until: float, step: Step, words: str) -> int:
    """Renew and reload until a moment; how often."""
    step.say(words)
    reloads = 0
    while time.monotonic() < until:
        time.sleep(max(0.0, min(RELOAD_SECONDS, until - time.monotonic())))
        lab.renew()
        lab.reload()
        reloads += 1
    return reloads


def _revoke(lab: Lab, pair: Path) -> float:
    """Seconds from the new list to the first refusal."""
    text = pair.read_bytes().split(b"-----END PRIVATE KEY-----\n")[1]
    lab.intermediate.revoked.append(x509.load_pem_x509_certificates(text)[0].serial_number)
    context = lab.context(pair)

    def ask() -> str:
        return Client.ask(http.client.HTTPSConnection(SERVER, lab.port, context=context, timeout=60))

    begin = time.monotonic()
    lab.write_trust()
    lab.reload()
    while ask() == "200":
        time.sleep(0.01)
    return time.monotonic() - begin
