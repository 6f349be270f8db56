"""Objects of served models, and the programs that run inside their pods."""

import http.server
import importlib.util
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ai_platform import names, pods, sizing, vllm_objects
from ai_platform.reading import read
from ai_platform.scripts import FILES
from ai_platform.settings import Settings, VllmService
from tests.platform_samples import host, inventory, vllm

R1 = {"name": "r1", "model": "deepseek-r1", "hosts": 2, "gpus": 8, "context": 65536}


def served(**fields: Any) -> tuple[VllmService, Settings]:
    hosts = fields.pop("on", None)
    settings = read(inventory(hosts, vllm=[vllm(**fields)]))
    return settings.vllm[0], settings


def container(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["template"]["spec"]["containers"][0]


def env(spec: dict[str, Any]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(spec)["env"]}


def test_arguments_of_a_model_on_one_gpu() -> None:
    service, _ = served()
    assert vllm_objects.arguments(service, 8000) == [
        "/models/deepseek-ai/DeepSeek-R1-Distill-Qwen-7B/916b56a44061fd5cd7d6a8fb632557ed4f724f60",
        "--served-model-name",
        "chat",
        "deepseek-r1-distill-qwen-7b",
        "--port=8000",
        "--tensor-parallel-size=1",
        "--max-model-len=32768",
        "--gpu-memory-utilization=0.92",
        "--reasoning-parser=deepseek_r1",
    ]


def test_arguments_of_a_model_over_hosts() -> None:
    found = vllm_objects.arguments(served(**R1)[0], 8000)
    for flag in (
        "--tensor-parallel-size=8",
        "--pipeline-parallel-size=2",
        "--distributed-executor-backend=mp",
        "--max-model-len=65536",
        "--enable-expert-parallel",
    ):
        assert flag in found


@pytest.mark.parametrize(
    ("model", "gpus", "hosts", "failures"),
    [
        ("deepseek-r1-distill-qwen-1.5b", 1, 1, 60),
        ("deepseek-r1-distill-qwen-14b", 1, 1, 60),
        ("deepseek-r1-distill-llama-70b", 4, 1, 178),
        ("deepseek-r1", 8, 2, 747),
    ],
)
def test_start_up_probes_fit_the_load_time(model: str, gpus: int, hosts: int, failures: int) -> None:
    service, settings = served(model=model, gpus=gpus, hosts=hosts)
    found = vllm_objects.start(service, settings)
    assert found.failures == failures
    assert found.budget >= 6 * found.seconds * 0.9 or failures == sizing.PROBE_LEAST


def test_a_deployment_waits_for_its_own_start_up_probe() -> None:
    service, settings = served(model="deepseek-r1-distill-llama-70b", gpus=4)
    spec = vllm_objects.deployment(service, settings, "0")["spec"]
    probe = container(spec)["startupProbe"]
    assert probe["httpGet"] == {"path": "/health", "port": "http"}
    assert spec["progressDeadlineSeconds"] > probe["failureThreshold"] * probe["periodSeconds"] == 1780


def test_an_autoscaler_owns_the_number_of_replicas() -> None:
    service, settings = served(replicas=2, max_replicas=4)
    assert "replicas" not in vllm_objects.deployment(service, settings, "0")["spec"]
    service, settings = served(replicas=2)
    assert vllm_objects.deployment(service, settings, "0")["spec"]["replicas"] == 2


def test_a_group_of_hosts() -> None:
    service, settings = served(**R1)
    group = vllm_objects.group(service, settings, 0, "0")
    spec = group["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"]) == (2, "Parallel")
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert container(spec)["resources"]["limits"]["nvidia.com/gpu"] == "8"
    anti = spec["template"]["spec"]["affinity"]["podAntiAffinity"]
    assert (
        anti["requiredDuringSchedulingIgnoredDuringExecution"][0]["topologyKey"] == "kubernetes.io/hostname"
    )
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(spec)[probe]["exec"]["command"][-1] == "alive"
    assert env(spec)["GROUP_MASTER"] == "vllm-r1-0-0.vllm-r1-0.serving.svc"
    assert env(spec)["GROUP_NODES"] == "2"


def test_only_the_leader_of_a_group_is_addressed() -> None:
    service, settings = served(**R1)
    assert vllm_objects.service(service, 8000)["spec"]["selector"]["apps.kubernetes.io/pod-index"] == "0"
    headless = vllm_objects.headless(service, 0, 29501)["spec"]
    assert (headless["clusterIP"], headless["publishNotReadyAddresses"]) == ("None", True)
    template = vllm_objects.group(service, settings, 0, "0")["spec"]["template"]
    assert headless["selector"].items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("kind", "namespace", "host_network", "disabled", "rdma"),
    [
        ("ethernet", "serving", False, "1", None),
        ("infiniband", "serving", False, None, "1"),
        ("roce", "serving-fabric", True, None, "1"),
    ],
)
def test_ranks_find_each_other_over_the_hosts_network(
    kind: str, namespace: str, host_network: bool, disabled: str | None, rdma: str | None
) -> None:
    hosts = {f"gpu{n}": host("h100-sxm5-80gb", kind=kind) for n in (1, 2)}
    service, settings = served(**R1, on=hosts)
    group = vllm_objects.group(service, settings, 0, "0")
    assert group["metadata"]["namespace"] == namespace
    assert group["spec"]["template"]["spec"].get("hostNetwork", False) is host_network
    found = env(group["spec"])
    assert found.get("NCCL_IB_DISABLE") == disabled
    assert found["NCCL_SOCKET_IFNAME"] == ("cluster" if host_network else "eth0")
    assert container(group["spec"])["resources"]["limits"].get("rdma/hca") == rdma


def test_a_model_that_takes_part_of_a_host_prefers_shared_hosts() -> None:
    service, settings = served()
    template = vllm_objects.deployment(service, settings, "0")["spec"]["template"]
    assert template["metadata"]["labels"][pods.SHARE] == "part"
    term = template["spec"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == {pods.SHARE: "part"}
    whole, settings = served(gpus=4, on={"gpu1": host("h100-sxm5-80gb", 4)})
    template = vllm_objects.deployment(whole, settings, "0")["spec"]["template"]
    assert template["metadata"]["labels"][pods.SHARE] == "whole"
    assert "podAffinity" not in template["spec"]["affinity"]


def test_hosts_are_named_where_the_gpu_product_does_not_tell_groups_apart() -> None:
    service, _ = served()
    required = pods.on_group(service.nodes)["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"][0]["matchExpressions"][0]["key"] == names.GPU_PRODUCT
    hosts = {name: host("h100-sxm5-80gb") for name in ("gpu1", "gpu2", "gpu3")}
    groups = {"gpu_nodes": ["gpu1"], "spare": ["gpu2", "gpu3"]}
    alone = read(inventory(hosts, groups, vllm=[vllm()])).vllm[0]
    required = pods.on_group(alone.nodes)["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"][0]["matchExpressions"] == [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["gpu1"]}
    ]


def test_a_rotated_secret_restarts_pods() -> None:
    service, settings = served()
    before, after = (vllm_objects.deployment(service, settings, n)["spec"]["template"] for n in ("0", "1"))
    assert before != after
    assert env({"template": before})["VLLM_API_KEY"] == {
        "secretKeyRef": {"name": "vllm-api-key", "key": "vllm-api-key"}
    }


@pytest.mark.parametrize(("gpus", "memory", "shared"), [(1, 28, 4), (2, 56, 8), (4, 112, 16), (8, 208, 16)])
def test_memory_of_a_pod(gpus: int, memory: int, shared: int) -> None:
    service, _ = served()
    size = sizing.gpu_pod(service.nodes, gpus)
    assert (size.memory >> 30, size.shared_memory >> 30) == (memory, shared)
    assert size.cpus <= 128 - sizing.HOST_RESERVE_CPUS


# ---- programs inside pods, run for real


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), FILES / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def server(answers: dict[str, Any]) -> Iterator[int]:
    """A server on 127.0.0.1: path to (status, body) or to a function that returns them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path, (404, ""))
            status, body = answer() if callable(answer) else answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield running.server_address[1]
    finally:
        running.shutdown()
        running.server_close()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{{engine="0",model_name="chat"}} {running}
vllm:num_requests_waiting{{engine="0",model_name="chat"}} {waiting}
vllm:num_requests_waiting_by_reason{{engine="0",reason="capacity"}} 99.0
vllm:num_preemptions_total{{engine="0",model_name="chat"}} 7.0
"""


@pytest.mark.parametrize(
    ("running", "waiting", "busy"), [(0, 0, 0), (3, 0, 3), (0, 2, 2), ("1.5e+01", 4, 19)]
)
def test_drain_reads_vllms_metrics(running: Any, waiting: Any, busy: float) -> None:
    assert program("drain.py").busy(METRICS.format(running=running, waiting=waiting)) == busy


def test_drain_waits_until_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    drain = program("drain.py")
    monkeypatch.setattr(drain, "FORGET_SECONDS", 0)
    left = iter([2, 1, 0])
    asked: list[float] = []

    def metrics() -> tuple[int, str]:
        asked.append(time.monotonic())
        return 200, METRICS.format(running=next(left), waiting=0)

    with server({"/metrics": metrics}) as port:
        drain.main(str(port), "30")
    assert len(asked) == 3


def test_drain_ends_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    drain = program("drain.py")
    monkeypatch.setattr(drain, "FORGET_SECONDS", 0)
    with server({"/metrics": (200, METRICS.format(running=5, waiting=0))}) as port:
        begin = time.monotonic()
        drain.main(str(port), "1.5")
    assert 1.5 <= time.monotonic() - begin < 5


def test_drain_ends_when_the_server_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    drain = program("drain.py")
    monkeypatch.setattr(drain, "FORGET_SECONDS", 0)
    begin = time.monotonic()
    drain.main(str(closed_port()), "30")
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(("rank", "headless"), [(0, False), (1, True), (3, True)])
def test_ranks_of_a_group(rank: int, headless: bool) -> None:
    command = program("group.py").arguments(
        rank, 4, "vllm-r1-0-0.vllm-r1-0", "29501", ["/models/r1", "--port=8000"]
    )
    assert command[:4] == ["vllm", "serve", "/models/r1", "--port=8000"]
    assert f"--node-rank={rank}" in command
    assert "--nnodes=4" in command
    assert ("--headless" in command) is headless


def test_the_leader_is_alive_while_it_answers() -> None:
    alive = program("group.py").alive
    with server({"/health": (200, "")}) as port:
        assert alive(0, str(port), "unused", "1")
    with server({"/health": (503, "")}) as port:
        assert not alive(0, str(port), "unused", "1")
    assert not alive(0, str(closed_port()), "unused", "1")


def test_a_worker_is_alive_while_it_reaches_the_leader() -> None:
    alive = program("group.py").alive
    with server({}) as port:
        assert alive(1, "1", "127.0.0.1", str(port))
    assert not alive(1, "1", "127.0.0.1", str(closed_port()))
    assert not alive(1, "1", "no-such-host.invalid", "1")


def test_a_changed_program_has_a_new_name() -> None:
    first = vllm_objects.programs("serving")
    assert first["immutable"] is True
    assert set(first["data"]) == {"drain.py", "group.py"}
    assert Path(FILES / "drain.py").read_text() == first["data"]["drain.py"]


def test_an_image_is_pinned_by_digest_where_the_environment_gives_one() -> None:
    digest = "sha256:" + "ab" * 32
    settings = read(inventory(vllm=[vllm()], image_digests={"vllm": digest}))
    image = container(vllm_objects.deployment(settings.vllm[0], settings, "0")["spec"])["image"]
    assert image.startswith("registry.example.internal/vllm/vllm-openai:")
    assert image.endswith(f"@{digest}")
    assert "vllm" not in settings.images.by_tag
    assert "triton" in settings.images.by_tag
