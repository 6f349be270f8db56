"""The limits that the product promises, crossed before a real pair of Prometheus with the configuration and
the rules that are rendered for the lab, and seen at a web hook behind three real Alertmanagers; on the way
one Prometheus is restarted and one Alertmanager killed. lab-ctl1 is this machine, read by a real
node_exporter, and the gateway is probed by a real blackbox_exporter; GPUs, models and the other host are made
up. Waits are thirty times shorter."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml

from bedplate import evidence
from bedplate.inventory import Inventory
from bedplate.monitoring import render, routing, scrape
from bedplate.ports import free_port
from tests import inventory_samples as samples
from tests import monitoring_run as run
from tests.monitoring_run import Exporter, Program, Receiver, Target

GPU, CTL = "lab-gpu1", "lab-ctl1"
FIRST, GAP = "vllm:time_to_first_token_seconds_bucket", "vllm:inter_token_latency_seconds_bucket"
SEARCH = 'milvus_proxy_sq_latency_bucket{query_type="search",le='
REQUESTS = 'envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="inside"'
DISK = 'device="md127",fstype="xfs",mountpoint='
# Exporter to series to (quiet, loud).
MADE: dict[str, dict[str, tuple[float, float]]] = {
    "dcgm": {
        **{f'DCGM_FI_DEV_GPU_UTIL{{gpu="{n}"}}': (80, 96) for n in range(8)},
        **{f'DCGM_FI_DEV_GPU_TEMP{{gpu="{n}"}}': (50, 60) for n in range(8)},
        **{f'DCGM_FI_DEV_NVSWITCH_LINK_STATUS{{nvlink="{n}"}}': (2, 2) for n in range(144)},
    },
    "vllm": {
        "vllm:num_requests_waiting": (1, 12),
        f'{FIRST}{{le="2"}}': (100, 90),
        f'{FIRST}{{le="2.5"}}': (100, 100),
        f'{FIRST}{{le="+Inf"}}': (100, 100),
        f'{GAP}{{le="0.2"}}': (100, 90),
        f'{GAP}{{le="0.3"}}': (100, 100),
        f'{GAP}{{le="+Inf"}}': (100, 100),
    },
    "triton": {
        'nv_inference_request_duration_us{model="encoder"}': (1_000_000, 3_000_000),
        'nv_inference_request_success{model="encoder"}': (10, 10),
        'nv_inference_pending_request_count{model="encoder"}': (2, 11),
    },
    "milvus": {
        f'{SEARCH}"500"}}': (100, 90),
        f'{SEARCH}"1000"}}': (100, 100),
        f'{SEARCH}"+Inf"}}': (100, 100),
    },
    "gateway": {
        f'{REQUESTS},envoy_response_code_class="2"}}': (100, 97),
        f'{REQUESTS},envoy_response_code_class="5"}}': (0, 3),
    },
    "disks": {
        **{f"node_filesystem_avail_bytes{{{DISK}{tier}}}": (50, 14) for tier in ('"/srv/hot"',)},
        **{
            f"node_filesystem_avail_bytes{{{DISK}{tier}}}": (50, 50)
            for tier in ('"/srv/warm"', '"/srv/cold"')
        },
        **{
            f'node_filesystem_size_bytes{{{DISK}"/srv/{tier}"}}': (100, 100)
            for tier in ("hot", "warm", "cold")
        },
        **{f'smartctl_device{{device="disk{n}"}}': (1, 1) for n in range(9)},
        **{
            f'bedplate_md_members_{what}{{array="bedplate-{tier}"}}': (number, number)
            for tier, members in (("hot", 4), ("warm", 2), ("cold", 2))
            for what, number in (("required", members), ("missing", 0))
        },
        "bedplate_disk_health_run_seconds": (time.time(), time.time()),
    },
    "memory": {"node_memory_MemAvailable_bytes": (50, 9), "node_memory_MemTotal_bytes": (100, 100)},
    "quiet": {},
}
LOUD_FIRST = ("dcgm", "vllm", "triton", "milvus", "gateway", "disks")
NAMED = {
    "GpuBusyWithQueue": "/info",  # 85 %
    "GpuBusyHigh": "/ticket",  # 90 %
    "GpuSaturated": "/ticket",  # 95 %
    "VllmTokenGap": "/ticket",  # 200 ms
    "TritonLatency": "/ticket",  # 200 ms
    "VllmQueue": "/ticket",  # 10
    "TritonQueue": "/ticket",  # 10
    "MilvusSearchSlow": "/page",  # 500 ms
    "DiskUsed": "/ticket",  # 85 %
    "AvailabilityBurn1h": "/page",  # 99.9 %
}
AFTERWARDS = {"NodeMemoryFull": "/page"}  # 90 %, while a Prometheus starts and an Alertmanager is dead
COMMAND = "pytest tests/integration/test_monitoring_run.py"
TEXTFILE = 'smartctl_device{device="sda"} 1\nbedplate_disk_health_run_seconds %d\n'


@dataclass
class World:
    """What runs."""

    exporters: dict[str, Exporter]
    receiver: Receiver
    pair: list[Program]
    managers: list[Program]
    gateway: threading.Event  # set: it answers with errors

    def told(self) -> list[run.Told]:
        """What came, but for what is said of the machine that the test runs on, and of the watchdog."""
        ours = [t for t in self.receiver.told if t.node != CTL]
        return [t for t in ours if t.address != "/watchdog"]

    def missing(self, wanted: dict[str, str]) -> set[str]:
        """Alerts that have not come to the address that they should come to."""
        return {name for name, address in wanted.items() if name not in self.receiver.firing(address)}

    def doubled(self) -> list[str]:
        """Messages that said nothing new; the watchdog's are meant to."""
        return [message for message in self.receiver.repeated if not message.startswith("/watchdog ")]

    def taken_back(self) -> list[str]:
        """Alerts that were told as over, though nothing became better."""
        return [t.name for t in self.told() if t.status == "resolved"]


def gateway(broken: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if broken.is_set() else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    return Handler


def real_exporters(folder: Path) -> dict[str, tuple[str, Program]]:
    """node_exporter of this machine, and blackbox_exporter with the rendered modules."""
    (folder / "disks.prom").write_text(TEXTFILE % time.time())
    (folder / "blackbox.yml").write_text(scrape.blackbox_document())
    own = {
        "node": [f"--collector.textfile.directory={folder}"],
        "blackbox": [f"--config.file={folder / 'blackbox.yml'}"],
    }
    found = {}
    for name, arguments in own.items():
        web = f"127.0.0.1:{free_port()}"
        command = [f"prometheus-{name}-exporter", f"--web.listen-address={web}", *arguments]
        found[name] = (web, Program(command, folder / f"{name}.log", f"http://{web}/"))
    return found


def discovered(at: dict[str, str]) -> dict[str, list[Target]]:
    """What the jobs that ask the API would find: the pods of the lab's models, and two components' own."""
    placed = {"node": GPU, "namespace": "serving"}
    pods = [("vllm", "chat", "chat-0"), ("quiet", "chat", "chat-1"), ("quiet", "reasoning", "reasoning-0")]
    return {
        "dcgm": [Target(at["dcgm"], {"node": GPU})],
        "vllm": [Target(at[e], placed | {"service": service, "pod": pod}) for e, service, pod in pods],
        "triton": [Target(at["triton"], placed | {"service": "search", "pod": "search-0"})],
        "pods": [Target(at[job], {"job": job, "namespace": "data"}) for job in ("milvus", "gateway")],
        "kubelet": [Target(at["quiet"], {"node": GPU})],
        "kube-state-metrics": [Target(at["quiet"], {})],
        "etcd": [Target(at["quiet"], {"node": CTL})],
    }


def environment(hooks: int, probed: int) -> Inventory:
    """The lab, with somebody who is told, and a gateway that is probed."""
    names = ("page", "ticket", "info", "watchdog")
    told = {name: [f"http://127.0.0.1:{hooks}/{name}"] for name in names}
    lab = samples.on("all", "monitoring_receivers", to=told)(samples.base("lab"))
    return samples.on("all", "monitoring_probe_gateways", to=[f"http://127.0.0.1:{probed}/"])(lab)


def configuration(
    lab: Inventory, at: dict[str, str], managers: list[str], pair: list[str], blackbox: str
) -> dict[str, object]:
    """The lab's rendered scrape configuration with every address on this machine."""
    rendered = scrape.config(lab)
    shared, hosts = lab.shared, lab.hosts
    places = {
        f"{scrape.address(GPU, hosts[GPU])}:{shared['port_node_exporter']}": at["disks"],
        f"{scrape.address(CTL, hosts[CTL])}:{shared['port_node_exporter']}": at["real"],
        f"{scrape.BLACKBOX}.{scrape.NAMESPACE}.svc:{shared['port_blackbox_exporter']}": blackbox,
        f"{scrape.RULES}/": "rules/",
        **dict(zip(scrape.alertmanagers(shared), managers, strict=True)),
        **dict(zip(scrape.members(scrape.PROMETHEUS, 2, shared["port_prometheus"]), pair, strict=True)),
    }
    body = run.local(rendered, places, discovered(at))
    [node] = [job for job in body["scrape_configs"] if job["job_name"] == "node"]
    node["static_configs"].append({"targets": [at["memory"]], "labels": {"node": GPU}})
    [probes] = [job for job in body["scrape_configs"] if job["job_name"] == "blackbox"]
    probes["static_configs"] = [e for e in probes["static_configs"] if e["labels"]["scope"] == "gateway"]
    return body


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("run")
    exporters, receiver, broken = {n: Exporter(s) for n, s in MADE.items()}, Receiver(), threading.Event()
    servers = {name: exporter.start() for name, exporter in exporters.items()}
    sink, probed = receiver.start(), run.serve(gateway(broken))
    lab = environment(sink.server_port, probed.server_port)
    real = real_exporters(folder)
    at = {n: f"127.0.0.1:{server.server_port}" for n, server in servers.items()} | {"real": real["node"][0]}
    routes = routing.config(lab)
    for route in routes["route"]["routes"]:
        route |= {"group_wait": "2s", "group_interval": "3s"}
    managers = run.alertmanagers(folder, routes)
    web = [f"127.0.0.1:{free_port()}" for _ in range(scrape.PAIR)]
    ready = [m.ready.removeprefix("http://").removesuffix("/-/ready") for m in managers]
    config = configuration(lab, at, ready, web, real["blackbox"][0])
    pair = [run.prometheus(folder / f"prometheus-{n}", config, address) for n, address in enumerate(web)]
    for number in range(scrape.PAIR):
        rules = folder / f"prometheus-{number}/rules"
        rules.mkdir()
        for group in render.groups(lab):
            (rules / f"{group.name}.yml").write_text(yaml.safe_dump({"groups": [run.faster(group)]}))
    programs = [real["node"][1], real["blackbox"][1], *managers, *pair]
    started = []
    try:
        for program in programs:
            started.append(program.start())
        yield World(exporters, receiver, pair, managers, broken)
    finally:
        for program in reversed(started):
            program.end()
        for server in (*servers.values(), sink, probed):
            server.shutdown()


def proved(name: str, claim: str, value: int, unit: str, goal: str) -> None:
    evidence.record(
        "lab",
        f"monitoring.run.{name}",
        claim,
        value,
        unit=unit,
        goal=goal,
        proved_on="program",
        command=COMMAND,
    )


def test_limits_are_seen_at_the_web_hook_once(world: World) -> None:
    run.wait(lambda: "Watchdog" in world.receiver.firing("/watchdog"), 90, "the watchdog did not come")
    time.sleep(25)  # a quiet quarter of an hour and more: everything that the inventory expects is there
    assert world.told() == []

    for name in LOUD_FIRST:
        world.exporters[name].loud = True
    world.gateway.set()
    run.wait(lambda: not world.missing(NAMED), 240, f"not told of {NAMED}, only {world.receiver.told}")

    world.pair[0].end()
    world.managers[0].end(kill=True)
    world.exporters["memory"].loud = True
    world.pair[0].start()
    run.wait(lambda: not world.missing(AFTERWARDS), 120, "a page was lost while one of each was away")
    run.wait(
        lambda: "AlertmanagerMissing" in world.receiver.firing("/page"),
        90,
        "nobody missed the dead Alertmanager",
    )
    time.sleep(15)  # long enough for a resolved or a second page to come
    wanted = NAMED | AFTERWARDS
    seen = len(wanted) - len(world.missing(wanted))
    proved(
        "limits",
        f"Promised limits that were crossed and seen at a web hook, of {len(wanted)}",
        seen,
        "limits",
        f"== {len(wanted)}",
    )
    wrong = world.doubled() + world.taken_back()
    proved(
        "doubled",
        "Alerts told twice or taken back: a Prometheus of two restarts, an Alertmanager of three is killed",
        len(wrong),
        "alerts",
        "== 0",
    )
    assert wrong == []
    assert {t.name for t in world.told() if t.name not in wanted} <= ALSO


# What a loud world is also told of: the broken gateway's probes, its other levels of burning, slow models.
ALSO = {"AlertmanagerMissing", "AvailabilityBurn6h", "ProbeFails", "VllmFirstTokenSlow"}
ALSO |= {"AvailabilityBurn1d", "AvailabilityBurn3d", "DiskFillsSoon"}
