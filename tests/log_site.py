"""A real Loki and a real collector with the rendered configurations, on files as a kubelet and role audit_log
write them. Everything listens on 127.0.0.1."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bedplate.logs import loki, pipeline
from bedplate.ports import free_port
from bedplate.tools import locate
from tests.monitoring_run import Program
from tests.platform_samples import common

DAYS = {"application": 180, "audit": 2192}
PART = 16 * 1024  # bytes after which a container runtime splits a line
ENVIRONMENT = "lab"
TRIES = 5


def stamp(moment: datetime) -> str:
    """A time as a container runtime writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def cri(text: str, moment: datetime) -> str:
    """One line as a container runtime writes it: in parts where it is long."""
    parts = [text[start : start + PART] for start in range(0, len(text), PART)] or [""]
    tags = ["P"] * (len(parts) - 1) + ["F"]
    return "".join(f"{stamp(moment)} stdout {tag} {part}\n" for tag, part in zip(tags, parts, strict=True))


@dataclass
class Pod:
    """The log of one container; every line has a later time than the one before."""

    folder: Path
    name: str
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    namespace: str = "tools"
    container: str = "main"

    @property
    def file(self) -> Path:
        place = f"{self.namespace}_{self.name}_0b5d7f2e-1111-4222-8333-000000000000"
        path = self.folder / place / self.container / "0.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def say(self, lines: Iterable[str]) -> None:
        text = ""
        for line in lines:
            self.moment += timedelta(microseconds=10)
            text += cri(line, self.moment)
        with self.file.open("a") as log:
            log.write(text)


@dataclass
class Site:
    """What runs, and where it keeps what."""

    folder: Path
    store: Program
    collector: Program
    port: int

    @property
    def pods(self) -> Path:
        return self.folder / "pods"

    @property
    def queue(self) -> Path:
        return self.folder / "state"

    @property
    def kept(self) -> Path:
        return self.folder / "loki"

    def ask(self, query: str, *, days: float = 1, limit: int = 5000) -> list[tuple[Mapping[str, str], str]]:
        """Labels and text of every line of a LogQL query over the last days."""
        end = time.time() + 60
        words = {
            "query": query,
            "start": int((end - days * 86400) * 1e9),
            "end": int(end * 1e9),
            "limit": limit,
        }
        streams = self._get("query_range", words)["data"]["result"]
        return [(stream["stream"], line) for stream in streams for _, line in stream["values"]]

    def count(self, selector: str, seconds: int = 3600) -> int:
        """How many lines a selector finds."""
        answer = self._get("query", {"query": f"sum(count_over_time({selector}[{seconds}s]))"})
        result = answer["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0

    def distinct(self, selector: str) -> int:
        """How many different lines of the last hour a selector finds, page by page."""
        start, found, words = int((time.time() - 3600) * 1e9), set[str](), {"query": selector, "limit": 5000}
        while True:
            words |= {"start": start, "end": start + 7200 * 10**9, "direction": "forward"}
            streams = self._get("query_range", words)["data"]["result"]
            values = [value for stream in streams for value in stream["values"]]
            if not values:
                return len(found)
            found |= {line for _, line in values}
            start = max(int(moment) for moment, _ in values) + 1

    def _get(self, what: str, words: Mapping[str, Any]) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/loki/api/v1/{what}?{urllib.parse.urlencode(words)}"
        request = urllib.request.Request(url, headers={"X-Scope-OrgID": pipeline.TENANT})
        for _ in range(TRIES):
            # A machine on which a query takes longer than Loki lets it is busy, not wrong.
            with (
                suppress(TimeoutError, ConnectionError),
                urllib.request.urlopen(request, timeout=60) as answer,
            ):
                body: dict[str, Any] = json.load(answer)
                return body
        raise AssertionError(f"Loki does not answer {words['query']}")


def site(folder: Path, days: Mapping[str, int] | None = None, pace: loki.Pace | None = None) -> Site:
    """Both, not started."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    stored = loki.config(
        str(folder / "loki"), port, days or DAYS, address="127.0.0.1", grpc=free_port(), pace=pace
    )
    return Site(
        folder, _store(folder, stored, port), collector(folder, "node", f"http://127.0.0.1:{port}"), port
    )


def _store(folder: Path, stored: dict[str, Any], port: int) -> Program:
    # Ready without waiting whether others join: there are none. Nothing else differs.
    lifecycler = {"min_ready_duration": "0s", "final_sleep": "0s"}
    stored["ingester"] |= {"lifecycler": lifecycler}
    file = folder / "loki.yml"
    file.write_text(yaml.safe_dump(stored))
    program = str(locate.require("logs")["loki"])
    return Program([program, f"-config.file={file}"], folder / "loki.log", f"http://127.0.0.1:{port}/ready")


def collector(folder: Path, host: str, store: str, kind: str = "loki", **more: Any) -> Program:
    """A collector as a node has it, of files below ``folder``; ``more`` is of the collector."""
    health = f"127.0.0.1:{free_port()}"
    files = (pipeline.Files("audit", (str(folder / "audit/*.jsonl"),), pipeline.AUDIT),)
    tls = more.pop("tls", {})
    records = tuple(path.replace("/var/log", str(folder)) for path in pipeline.USE_RECORDS)
    pods = {"pods": (str(folder / "pods/*/*/*.log"),), "records": records}
    plain = pods | {"files": files} if not more else {}
    made = pipeline.Collector(
        host=host,
        environment=ENVIRONMENT,
        folder=str(folder / ("state" if host == "node" else f"state-{host}")),
        health=health,
        metrics=f"127.0.0.1:{free_port()}",
        **(plain | more),
    )
    file = folder / f"collector-{host}.yml"
    text = pipeline.document(made, pipeline.Store(kind, store, tls), pipeline.redaction(common()))
    file.write_text(text)
    program = str(locate.require("logs")["otel-collector"])
    command = [program, f"--config={file}", pipeline.FEATURES]
    return Program(command, folder / f"collector-{host}.log", f"http://{health}/")
