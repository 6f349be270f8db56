"""A real Prometheus over made series: every series that we know, with labels as the exporters write them."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from bedplate.monitoring import metrics
from bedplate.monitoring.metrics import Metric
from bedplate.ports import free_port

BEGIN, STEP, STEPS = 1_700_000_000, 60, 60
END = BEGIN + STEP * STEPS
MEMORY = Path("/dev/shm")
SCRAPED = {
    "job": lambda metric: metric.exporter,
    "node": lambda metric: "gpu1",
    "instance": lambda metric: "gpu1:9100",
    "namespace": lambda metric: "backup" if metric.name.startswith("kube_cronjob") else "serving",
    "pod": lambda metric: "chat-0",
    "service": lambda metric: "chat",
    "scope": lambda metric: "gateway",
}
# What a label says where the queries ask for it; any other label has the value "x".
VALUES: Mapping[str, Sequence[str]] = {
    "gpu": ("0", "1"),
    "le": ("0.1", "1", "500", "+Inf"),
    "code": ("ok", "not_authenticated", "rate_limit_exceeded", "no_counters"),
    "envoy_response_code_class": ("2", "5"),
    "envoy_http_conn_manager_prefix": ("inside",),
    "finished_reason": ("stop", "error"),
    "mode": ("idle", "user"),
    "phase": ("rtt", "resolve"),
    "query_type": ("search", "query"),
    "msg_type": ("timetick",),
    "cronjob": ("postgres", "restore-postgres"),
    "temperature_type": ("current",),
    "fstype": ("xfs",),
    "mountpoint": ("/srv/hot",),
    "array": ("bedplate-hot",),
    "tier": ("hot",),
    "device": ("sda", "sdb"),
    "alertstate": ("firing",),
    "severity": ("page", "ticket"),
    "sli": ("requests", "probes"),
}
JOBS = ("node", "dcgm", "vllm", "triton", "gate", "alertmanager")


def exposition(extra: Mapping[str, frozenset[str]]) -> str:
    """OpenMetrics text of one hour: every known metric, and our own records (``extra``: name to labels)."""
    ours = [Metric(name, "rules", labels, "") for name, labels in extra.items()]
    lines = []
    for metric in [*metrics.known().values(), *ours]:
        lines.append(f"# TYPE {metric.name} unknown")
        for labels in _label_sets(metric):
            text = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
            lines += [
                f"{metric.name}{{{text}}} {_value(metric.name, labels, step)} {BEGIN + STEP * step}"
                for step in range(STEPS + 1)
            ]
    return "\n".join([*lines, "# EOF", ""])


def _label_sets(metric: Metric) -> Iterator[dict[str, str]]:
    own = {name: VALUES.get(name, ("x",)) for name in metric.labels}
    shared = {name: (value(metric),) for name, value in SCRAPED.items() if metric.exporter != "rules"}
    if metric.name == "up":
        shared["job"] = JOBS
    choices = shared | {name: values for name, values in own.items() if name not in shared}
    if (
        metric.exporter == "rules"
    ):  # series of a rule have the labels of the rule, with the values of the scrape
        choices = {name: VALUES.get(name) or (_scraped(name, metric),) for name in metric.labels}
    for values in product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def _scraped(name: str, metric: Metric) -> str:
    if name == "job":
        return "node"
    return SCRAPED[name](metric) if name in SCRAPED else "x"


def _value(name: str, labels: Mapping[str, str], step: int) -> float:
    """Rising, so that rates are not zero; where a query asks for a value, that value."""
    fixed = {
        "up": 1,
        "DCGM_FI_DEV_NVSWITCH_LINK_STATUS": 2,
        "node_infiniband_state_id": 4,
        "bedplate_disk_verdict": 3,
    }
    if name in fixed:
        return fixed[name]
    if name.endswith(("_time", "_created", "run_seconds", "unix_seconds", "cert_expiry")):
        return BEGIN
    return (step + 1) * (VALUES["le"].index(labels["le"]) + 1 if "le" in labels else 1)


@contextmanager
def server(folder: Path, text: str) -> Iterator[str]:
    """Base URL of a Prometheus on 127.0.0.1 that has the samples of ``text``; ended with the block."""
    source = folder / "samples.txt"
    source.write_text(text)
    scratch = {"TMPDIR": str(MEMORY)} if os.access(MEMORY, os.W_OK) else {}
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data")]
    subprocess.run(blocks, check=True, capture_output=True, env=os.environ | scratch)
    config = folder / "prometheus.yml"
    config.write_text("{}\n")
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(f"http://{address}/-/ready", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder / "data", ignore_errors=True)


def ask(url: str, query: str, at: int | None = END) -> dict[str, Any]:
    """Prometheus' answer to an instant query at the end of the samples, or now."""
    arguments = urllib.parse.urlencode({"query": query} | ({} if at is None else {"time": at}))
    request = urllib.request.Request(f"{url}/api/v1/query?{arguments}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"Prometheus did not become ready:\n{log.read_text()[-2000:]}")
