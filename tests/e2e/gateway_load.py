"""Somebody who asks a gateway of the twin without a pause, and remembers what was answered and when."""

import http.client
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.ports import free_port
from bedplate.twin.machine import VirtualMachine

TIMEOUT = 30  # seconds; an emulated machine that boots is slow to answer


@dataclass
class Load:
    """``answers`` maps the id of each answered request to the moment (monotonic seconds) of its answer."""

    name: str
    certificates: Path
    port: int = field(default_factory=free_port)
    answers: dict[str, float] = field(default_factory=dict)
    errors: int = 0

    def ask(self, stop: threading.Event) -> None:
        """Ask until ``stop``, over one connection while it lasts."""
        while not stop.is_set():
            try:
                with self._connected() as connection:
                    while not stop.is_set():
                        self._ask(connection)
            except (OSError, http.client.HTTPException):
                self.errors += 1
                stop.wait(0.5)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/health", headers={"Host": self.name})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"answered {answer.status}")
        self.answers[answer.headers["X-Request-Id"]] = time.monotonic()

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        context = ssl.create_default_context(cafile=self.certificates / "trust.pem")
        context.load_cert_chain(self.certificates / "client.pem")
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(raw, server_hostname=self.name) as secure:
                connection = http.client.HTTPConnection(self.name)
                connection.sock = secure
                yield connection

    def until(self, number: int, machine: VirtualMachine, seconds: float) -> None:
        """Ask ``machine`` until that many requests have been answered in all; raises AssertionError when
        none was answered for so long."""
        stop = threading.Event()
        asking = threading.Thread(target=self.ask, args=(stop,))
        with tunnel(machine, self.port):
            asking.start()
            seen, deadline = -1, 0.0
            while len(self.answers) < number:
                if len(self.answers) != seen:
                    seen, deadline = len(self.answers), time.monotonic() + seconds
                assert time.monotonic() < deadline, f"{seen} answers, {self.errors} errors, then silence"
                time.sleep(0.005)
            self.at_the_end(stop)
        asking.join()

    def at_the_end(self, stop: threading.Event) -> None:
        """What happens while requests still come; here they only stop."""
        stop.set()


@dataclass
class UntilPowerGoes(Load):
    """The same; at the end of each ``until`` the power of ``victim`` goes while requests are under way."""

    victim: VirtualMachine | None = None
    cuts: list[float] = field(default_factory=list)

    def at_the_end(self, stop: threading.Event) -> None:
        if self.victim is not None:
            self.victim.connection.hang_up(self.victim.name)  # so that the next line takes no time
            self.victim.power_cut()
            self.cuts.append(time.monotonic())
        stop.set()


@contextmanager
def tunnel(machine: VirtualMachine, port: int) -> Iterator[None]:
    """``port`` of this machine leads to the gateway's."""
    *command, target = machine.connection.ssh(machine.name, batch=False)
    forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:127.0.0.1:443"]
    with subprocess.Popen([*command, *forward, target], stdin=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
