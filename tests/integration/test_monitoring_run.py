"""The limits that the product promises, crossed before a real Prometheus and two real Alertmanagers, and seen
at a web hook; Prometheus is restarted and an Alertmanager killed on the way. Waits are sixty times less."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bedplate import evidence
from bedplate.monitoring import catalogue, routing, thresholds
from tests import inventory_samples as samples
from tests import monitoring_run as run

H, M = 'node="gpu1",namespace="serving"', 'service="chat",namespace="serving",pod="chat-0",node="gpu1"'
T = 'service="search",model="encoder",namespace="serving"'
FIRST, GAP = "vllm:time_to_first_token_seconds_bucket", "vllm:inter_token_latency_seconds_bucket"
SEARCH = "milvus_proxy_sq_latency_bucket"
# Series to (quiet, loud).
SERIES = {
    f'DCGM_FI_DEV_GPU_UTIL{{{H},gpu="0"}}': (80, 96),
    f"vllm:num_requests_waiting{{{M}}}": (1, 12),
    f'{FIRST}{{{M},le="2"}}': (100, 90),
    f'{FIRST}{{{M},le="2.5"}}': (100, 100),
    f'{FIRST}{{{M},le="+Inf"}}': (100, 100),
    f'{GAP}{{{M},le="0.2"}}': (100, 90),
    f'{GAP}{{{M},le="0.3"}}': (100, 100),
    f'{GAP}{{{M},le="+Inf"}}': (100, 100),
    f"nv_inference_request_duration_us{{{T}}}": (1_000_000, 3_000_000),
    f"nv_inference_request_success{{{T}}}": (10, 10),
    f"nv_inference_pending_request_count{{{T}}}": (2, 11),
    f'{SEARCH}{{namespace="data",query_type="search",le="500"}}': (100, 90),
    f'{SEARCH}{{namespace="data",query_type="search",le="1000"}}': (100, 100),
    f'{SEARCH}{{namespace="data",query_type="search",le="+Inf"}}': (100, 100),
    f"node_memory_MemAvailable_bytes{{{H}}}": (50, 9),
    f"node_memory_MemTotal_bytes{{{H}}}": (100, 100),
    f'node_filesystem_avail_bytes{{{H},mountpoint="/srv/hot",fstype="xfs"}}': (50, 14),
    f'node_filesystem_size_bytes{{{H},mountpoint="/srv/hot",fstype="xfs"}}': (100, 100),
    'apisix_http_status{code="200",route="chat"}': (100, 97),
    'apisix_http_status{code="503",route="chat"}': (0, 3),  # well below the limit of one route
}
NAMED = {
    "GpuBusyWithQueue": "/info",  # 85 %
    "GpuBusyHigh": "/ticket",  # 90 %
    "GpuSaturated": "/ticket",  # 95 %
    "VllmTokenGap": "/ticket",  # 200 ms
    "TritonLatency": "/ticket",  # 200 ms
    "VllmQueue": "/ticket",  # 10
    "TritonQueue": "/ticket",  # 10
    "NodeMemoryFull": "/page",  # 90 %
    "MilvusSearchSlow": "/page",  # 500 ms
    "DiskUsed": "/ticket",  # 85 %
    "AvailabilityBurn1h": "/page",  # 99.9 %
}
COMMAND = "pytest tests/integration/test_monitoring_run.py"


@dataclass
class World:
    """What runs."""

    exporter: run.Exporter
    receiver: run.Receiver
    prometheus: run.Program
    peers: list[run.Program]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("run")
    values = yaml.safe_load(thresholds.FILE.read_text()) | {"monitoring_alertmanagers": run.PEERS}
    groups = [run.faster(group) for group in catalogue.groups(thresholds.written(values))]
    exporter, receiver = run.Exporter(SERIES), run.Receiver()
    source, sink = exporter.start(), receiver.start()
    hooks = {
        name: [f"http://127.0.0.1:{sink.server_port}/{name}"]
        for name in ("page", "ticket", "info", "watchdog")
    }
    config = routing.config(samples.on("all", "monitoring_receivers", to=hooks)(samples.base("lab")))
    for route in config["route"]["routes"]:
        route |= {"group_wait": "2s", "group_interval": "3s"}
    peers = [peer.start() for peer in run.alertmanagers(folder, config)]
    prometheus = run.prometheus(folder, groups, source.server_port, peers).start()
    yield World(exporter, receiver, prometheus, peers)
    for program in (prometheus, *peers):
        program.end()
    for server in (source, sink):
        server.shutdown()


def told(world: World) -> set[str]:
    """Named alerts that have come to the address that they should come to."""
    return {name for name, address in NAMED.items() if name in world.receiver.firing(address)}


def doubled(world: World) -> list[str]:
    """Alerts that one address was told of as firing more than once; the watchdog is meant to be."""
    counted = Counter(line for line in world.receiver.told if line[3] == "firing" and line[0] != "/watchdog")
    return [f"{path} {name}/{severity}" for (path, name, severity, _), times in counted.items() if times > 1]


def taken_back(world: World) -> list[str]:
    """Alerts that were told as over, though nothing became better."""
    return [name for _, name, _, status in world.receiver.told if status == "resolved"]


def test_limits_are_seen_at_the_web_hook_once(world: World) -> None:
    run.wait(lambda: "Watchdog" in world.receiver.firing("/watchdog"), 60, "the watchdog did not come")
    time.sleep(15)  # a quiet quarter of an hour
    assert {name for _, name, _, _ in world.receiver.told} == {"Watchdog"}, world.receiver.told

    world.exporter.loud = True
    run.wait(lambda: told(world) == set(NAMED), 180, f"not told: {set(NAMED)}, only {world.receiver.told}")
    evidence.record(
        "lab",
        "monitoring.run.limits",
        f"Promised limits that were crossed and seen at a web hook, of {len(NAMED)}",
        len(told(world)),
        unit="limits",
        goal=f"== {len(NAMED)}",
        proved_on="program",
        command=COMMAND,
    )

    world.prometheus.end()
    world.prometheus.start()
    time.sleep(12)  # long enough for a resolved or a second page to come
    assert taken_back(world) == []
    assert doubled(world) == []

    world.peers[0].end(kill=True)
    run.wait(
        lambda: "AlertmanagerMissing" in world.receiver.firing("/page"),
        90,
        "nobody missed the dead Alertmanager",
    )
    evidence.record(
        "lab",
        "monitoring.run.doubled",
        "Alerts told twice or taken back while Prometheus restarts and an Alertmanager is killed",
        len(doubled(world)) + len(taken_back(world)),
        unit="alerts",
        goal="== 0",
        proved_on="program",
        command=COMMAND,
    )
    assert doubled(world) == []
    assert taken_back(world) == []
