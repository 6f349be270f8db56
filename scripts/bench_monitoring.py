#!/usr/bin/env python3
"""What watching a fleet costs: series, memory and the time of all rules, for fleets of several sizes.

    .venv/bin/python scripts/bench_monitoring.py [--hosts 8 --hosts 100 --hosts 1000] [--record lab]

A real Prometheus reads, from one address for every fifty hosts, made series of hosts with eight GPUs (every
field of dcgm-counters.csv, 144 NVLinks, nine disks, what else rules read of a host) and evaluates all rules
with the expectations of as many hosts. Other work on the machine lengthens times.
"""

import json
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bedplate import evidence
from bedplate.console import out, progress
from bedplate.inventory import Inventory
from bedplate.monitoring import catalogue, expected, metrics, render, thresholds
from bedplate.ports import free_port
from tests.monitoring_run import Program, serve, wait

GPUS, LINKS, DISKS, INTERVAL = 8, 144, 9, 30
SHOWN = 12  # rules
TOGETHER = 50  # hosts behind one address: one of a thousand is no scrape that anybody has
COMMAND = "python scripts/bench_monitoring.py --record {}"
GPU_FIELDS = tuple(c.field for c in metrics.counters() if c.kind != "label" and "NVSWITCH" not in c.field)


@dataclass(frozen=True)
class Cost:
    """Of one fleet: series in memory, resident bytes, seconds that all rules take once, one after the other,
    and that the slowest group takes (groups are evaluated side by side), the rules that take most."""

    hosts: int
    series: float
    memory: float
    rules: float
    group: float
    slowest: tuple[tuple[str, float], ...]


def fleet(hosts: int) -> Inventory:
    """An inventory of hosts as `exposition` shows them."""
    gpu = {"fabric_boards": [GPUS], "nvlink": {"links": LINKS // GPUS}}
    values = {
        "hardware_gpus": {"model": "gpu", "count": GPUS},
        "hardware_disks": [{}] * DISKS,
        "storage_tiers": [{"name": "hot", "mount": "/srv/hot", "count": DISKS - 1, "raid": 5}],
        "catalogue_gpus": {"gpu": gpu},
    }
    names = tuple(f"gpu{number}" for number in range(hosts))
    return Inventory("bench", Path("bench"), dict.fromkeys(names, values), {"all": names})


def exposition(hosts: Iterable[int]) -> Iterator[str]:
    """The text of these hosts' exporters, all well."""
    known = metrics.known()
    plain = [name for name, metric in known.items() if metric.exporter == "node" and not metric.labels]
    disks = [
        name for name, metric in known.items() if metric.exporter == "node" and "device" in metric.labels
    ]
    for number in hosts:
        node = f'node="gpu{number}"'
        yield from (f'up{{job="{job}",{node}}} 1' for job in ("node", "dcgm"))
        for gpu in range(GPUS):
            labels = f'{node},gpu="{gpu}",UUID="GPU-{number}-{gpu}",modelName="NVIDIA H100"'
            yield from (f"{field}{{{labels}}} {'3' if 'MANAGER' in field else '0'}" for field in GPU_FIELDS)
        for link in range(LINKS):
            yield f'DCGM_FI_DEV_NVSWITCH_LINK_STATUS{{{node},nvlink="{link}"}} 2'
        yield from (f"{name}{{{node}}} 1" for name in plain)
        for disk in range(DISKS):
            labels = f'{node},device="nvme{disk}n1",mountpoint="/srv/hot",fstype="xfs"'
            yield from (f"{name}{{{labels}}} 1" for name in disks)
        yield f'bedplate_md_members_required{{{node},array="bedplate-hot"}} {DISKS - 1}'
        yield f'bedplate_md_members_missing{{{node},array="bedplate-hot"}} 0'


def exporter(hosts: int) -> tuple[ThreadingHTTPServer, list[str]]:
    """Serves the texts, and says at which paths."""
    starts = range(0, hosts, TOGETHER)
    bodies = {
        f"/{start}": ("\n".join(exposition(range(start, min(start + TOGETHER, hosts)))) + "\n").encode()
        for start in starts
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(bodies[self.path])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    return serve(Handler), list(bodies)


def measure(hosts: int, folder: Path) -> Cost:
    """Run Prometheus over the fleet until every group of rules was evaluated over a full window."""
    shared = thresholds.written(yaml.safe_load(thresholds.FILE.read_text()))
    groups = [*render.parts(expected.group(fleet(hosts))), *catalogue.groups(shared)]
    rules = yaml.dump({"groups": [group.as_group() for group in groups]}, Dumper=yaml.CSafeDumper)
    (folder / "rules.yml").write_text(rules)
    source, pages = exporter(hosts)
    address = f"127.0.0.1:{source.server_port}"
    web = f"127.0.0.1:{free_port()}"
    pace = {
        "scrape_interval": f"{INTERVAL}s",
        "scrape_timeout": f"{INTERVAL}s",
        "evaluation_interval": f"{INTERVAL}s",
    }
    jobs = [
        {
            "job_name": "fleet",
            "honor_labels": True,
            "static_configs": [
                {"targets": [address], "labels": {"__metrics_path__": page}} for page in pages
            ],
        },
        {"job_name": "prometheus", "static_configs": [{"targets": [web]}]},
    ]
    config = {"global": pace, "rule_files": [str(folder / "rules.yml")], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={web}"]
    command.append(f"--storage.tsdb.path={folder / 'data'}")
    program = Program(command, folder / "log", f"http://{web}/-/ready").start()
    try:
        seen = "count(DCGM_FI_DEV_GPU_TEMP)"
        wait(
            lambda: ask(web, seen) == hosts * GPUS, 20 * INTERVAL, f"the fleet was not read: {folder / 'log'}"
        )
        time.sleep(2 * INTERVAL)
        own = 'job="prometheus"'
        return Cost(
            hosts,
            series=ask(web, f"prometheus_tsdb_head_series{{{own}}}"),
            memory=ask(web, f"process_resident_memory_bytes{{{own}}}"),
            rules=ask(web, f"sum(prometheus_rule_group_last_duration_seconds{{{own}}})"),
            group=ask(web, f"max(prometheus_rule_group_last_duration_seconds{{{own}}})"),
            slowest=slowest(web),
        )
    finally:
        program.end()
        source.shutdown()


def slowest(web: str) -> tuple[tuple[str, float], ...]:
    """Names and seconds of the rules that cost most."""
    with urllib.request.urlopen(f"http://{web}/api/v1/rules", timeout=60) as answer:
        groups = json.load(answer)["data"]["groups"]
    found = [(rule["name"], float(rule["evaluationTime"])) for group in groups for rule in group["rules"]]
    return tuple(sorted(found, key=lambda one: -one[1])[:SHOWN])


def ask(web: str, query: str) -> float:
    """The value of a query of one line; 0 when it has none."""
    url = f"http://{web}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        found = json.load(answer)["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def main(
    hosts: Annotated[
        list[int] | None, typer.Option(help="sizes of fleets; may be given several times")
    ] = None,
    record: Annotated[str, typer.Option(help="environment whose evidence is written; empty: none")] = "",
) -> None:
    """Measure every size, print a table."""
    for size in hosts or [8, 100, 1000]:
        with tempfile.TemporaryDirectory() as folder, progress(f"watch {size} hosts"):
            cost = measure(size, Path(folder))
        out.print(
            f"{size:>5} hosts  {cost.series:>9,.0f} series  {cost.memory / 2**20:>7,.0f} MiB  "
            f"{cost.rules:>6.2f} s for all rules, {cost.group:.2f} s for the slowest group, "
            f"every {INTERVAL} s"
        )
        for name, seconds in cost.slowest:
            out.print(f"{'':12} {seconds:>8.3f} s {name}")
        if record:
            _record(record, cost)


def _record(environment: str, cost: Cost) -> None:
    late = f"< {INTERVAL}"  # a group that takes longer misses its next turn
    figures = (
        (
            "series",
            "Series that Prometheus holds of a fleet of {} hosts with eight GPUs",
            cost.series,
            "series",
            "",
        ),
        ("memory", "Memory of Prometheus for {} hosts", cost.memory / 2**20, "MiB", ""),
        ("rules", "One evaluation of all rules for {} hosts, one after the other", cost.rules, "s", ""),
        (
            "group",
            "The slowest group of rules for {} hosts; they run beside each other",
            cost.group,
            "s",
            late,
        ),
    )
    for name, claim, value, unit, goal in figures:
        evidence.record(
            environment,
            f"monitoring.cost.{name}-{cost.hosts}",
            claim.format(f"{cost.hosts:,}"),
            round(value, 2),
            unit=unit,
            goal=goal,
            proved_on="program",
            command=COMMAND.format(environment),
        )


if __name__ == "__main__":
    typer.run(main)
