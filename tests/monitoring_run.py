"""Real Prometheus and Alertmanagers with our rules, faster: an exporter whose series a test turns
loud, and a receiver that keeps what it is told. Everything listens on 127.0.0.1."""

import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from bedplate.monitoring.model import Group
from bedplate.ports import free_port

SECONDS = {"m": 60, "h": 3600, "d": 86400}
# Times shorter. A window must outlast a restart of Prometheus, a wait one that a busy machine scrapes late.
WAITS, WINDOWS = 30, 10
PEERS = 3


def faster(group: Group) -> dict[str, Any]:
    """A group whose waits and windows are shorter, and that is evaluated as often as all others."""
    body = group.as_group()
    body.pop("interval", None)
    for rule in body["rules"]:
        rule["expr"] = re.sub(r"\[[^\]]*\]|offset \w+", lambda part: _shorter(part[0], WINDOWS), rule["expr"])
        if "for" in rule:
            rule["for"] = _shorter(rule["for"], WAITS)
    return body


def _shorter(text: str, times: int) -> str:
    return re.sub(r"(\d+)([mhd])", lambda part: f"{int(part[1]) * SECONDS[part[2]] // times}s", text)


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


def serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@dataclass(frozen=True)
class Target:
    """One that is scraped, with the labels that discovery would have given it."""

    address: str
    labels: Mapping[str, str]


@dataclass
class Exporter:
    """Series to (quiet, loud): a level, or a pace in units a second where the name is a counter's."""

    series: Mapping[str, tuple[float, float]]
    loud: bool = False
    seen: float = field(default_factory=time.monotonic)
    totals: dict[str, float] = field(default_factory=dict)

    def text(self) -> str:
        now = time.monotonic()
        passed, self.seen = now - self.seen, now
        lines = []
        for name, (quiet, loud) in self.series.items():
            value = loud if self.loud else quiet
            if re.search(r"_total|_bucket|_us\{|_success\{|_rq_xx", name):
                value = self.totals[name] = self.totals.get(name, 0.0) + value * passed
            lines.append(f"{name} {value}")
        return "\n".join([*lines, ""])

    def start(self) -> ThreadingHTTPServer:
        exporter = self

        class Handler(_Quiet):
            def do_GET(self) -> None:
                body = exporter.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                with suppress(BrokenPipeError):  # whoever asked has given up: a busy machine
                    self.wfile.write(body)

        return serve(Handler)


@dataclass(frozen=True)
class Told:
    """One alert as it came to the web hook; ``key`` is the same for the same alert of the same thing."""

    address: str
    name: str
    node: str
    status: str
    key: str


@dataclass
class Receiver:
    """What was told, in the order of arrival; ``repeated`` are messages in which nothing was new. A message
    about a group names all of it: an alert that comes again beside a new one is no second page."""

    told: list[Told] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def start(self) -> ThreadingHTTPServer:
        receiver = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                found = [
                    Told(
                        self.path,
                        a["labels"]["alertname"],
                        a["labels"].get("node", ""),
                        a["status"],
                        a["fingerprint"],
                    )
                    for a in body["alerts"]
                ]
                if set(found) <= set(receiver.told):
                    receiver.repeated.append(f"{self.path} {', '.join(told.name for told in found)}")
                receiver.told += found
                self.send_response(200)
                self.end_headers()

        return serve(Handler)

    def firing(self, address: str) -> list[str]:
        """Names of the alerts told to one address as firing, with repetitions."""
        return [told.name for told in self.told if (told.address, told.status) == (address, "firing")]


@dataclass
class Program:
    """A process that is ended with the test; ``start`` begins it again with the same arguments."""

    command: list[str]
    log: Path
    ready: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Program":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        wait(lambda: _answers(self.ready), 60, f"{self.command[0]} is not ready: {self.log}")
        return self

    def end(self, *, kill: bool = False) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def wait(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    """Until a condition holds; fails with ``complaint`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, complaint
        time.sleep(0.2)


def alertmanagers(folder: Path, config: dict[str, Any]) -> list[Program]:
    """A cluster of three, not started."""
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    cluster, found = [free_port() for _ in range(PEERS)], []
    for number, port in enumerate(cluster):
        web = f"127.0.0.1:{free_port()}"
        command = [
            "prometheus-alertmanager",
            f"--config.file={file}",
            f"--storage.path={folder / f'am{number}'}",
        ]
        command += [f"--web.listen-address={web}", f"--cluster.listen-address=127.0.0.1:{port}"]
        command += [f"--cluster.peer=127.0.0.1:{other}" for other in cluster if other != port]
        command += [
            "--cluster.peer-timeout=3s",
            "--cluster.gossip-interval=100ms",
            "--cluster.settle-timeout=2s",
        ]
        found.append(Program(command, folder / f"am{number}.log", f"http://{web}/-/ready"))
    return found


def local(
    config: dict[str, Any], places: Mapping[str, str], found: Mapping[str, Sequence[Target]]
) -> dict[str, Any]:
    """The rendered configuration with everything on this machine: ``places`` maps addresses of the
    environment to ours, ``found`` says what a job would discover. All else stays as it was rendered."""
    text = yaml.safe_dump(config)
    for address, ours in places.items():
        text = text.replace(address, ours)
    body: dict[str, Any] = yaml.safe_load(text)
    body["global"] |= {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    for job in body["scrape_configs"]:
        if job["job_name"] in found:
            for key in ("kubernetes_sd_configs", "relabel_configs", "tls_config", "authorization", "scheme"):
                job.pop(key, None)
            targets = found[job["job_name"]]
            job["static_configs"] = [{"targets": [t.address], "labels": dict(t.labels)} for t in targets]
    return body


def prometheus(folder: Path, config: dict[str, Any], web: str) -> Program:
    """Prometheus with this configuration, not started; what it knows stays in its folder."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={web}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", "--rules.alert.for-outage-tolerance=1h"]
    # Alerts that fire before the Alertmanagers are discovered are sent again after this.
    command += ["--rules.alert.for-grace-period=1s", "--rules.alert.resend-delay=5s"]
    return Program(command, folder / "prometheus.log", f"http://{web}/-/ready")
