#!/usr/bin/env python3
"""How fast the rehearsal's control plane takes in a large site: 1,000 nodes of 8 GPUs, a deployment of 2,000
pods of 4 GPUs, until every pod is Ready. Default client rates of the control plane against ours, in one run.

Usage: scripts/bench_rehearsal.py [--nodes 1000] [--pods 2000] [--record ENV]

Seconds are of the wall clock, from sending the deployment until its last pod is Ready, and a busy machine
stretches them; processor seconds of the control plane's programs over the same time stand beside.
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate import evidence
from bedplate.console import progress
from bedplate.rehearse import objects, stages
from bedplate.rehearse.client import Api
from bedplate.rehearse.control_plane import ControlPlane, Tuning
from bedplate.tools import locate

GPUS_PER_NODE = 8
GOAL = 60  # seconds until Ready
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
GIB = 2**30


@dataclass(frozen=True)
class Cost:
    """Until every pod is Ready: seconds of the wall clock and of the processors, memory of all programs in
    bytes."""

    wall: float
    cpu: float
    memory: int

    def __str__(self) -> str:
        return f"{self.wall:.1f} s wall, {self.cpu:.1f} s CPU, {self.memory / GIB:.2f} GiB"


def node(index: int) -> dict[str, Any]:
    """One of many equal GPU nodes."""
    resources = {"cpu": "128", "memory": "2Ti", "pods": "110", "nvidia.com/gpu": str(GPUS_PER_NODE)}
    name = f"gpu{index:04}"
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": resources, "allocatable": resources},
    }


def deployment(pods: int, gpus: int) -> dict[str, Any]:
    """Pods that together fill every GPU."""
    labels = {"app": "model"}
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}, "requests": {"cpu": "8", "memory": "64Gi"}}
    container = {"name": "model", "image": "registry.example.internal/model:1.0", "resources": resources}
    return {
        "metadata": {"name": "model"},
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def ready_nodes(api: Api) -> int:
    """Nodes that are Ready."""
    return sum(1 for raw in api.items("/api/v1/nodes") if objects.node(raw).ready)


def ready_pods(api: Api) -> int:
    """Pods of the deployment that are Ready."""
    return int(api.get(f"{DEPLOYMENTS}/model")["status"].get("readyReplicas", 0))


def measure(tuning: Tuning, nodes: int, pods: int, label: str) -> Cost:
    """What it costs from the deployment until its last pod is Ready."""
    with tempfile.TemporaryDirectory() as folder:
        plane = ControlPlane(Path(folder) / "bench", locate.require("rehearsal"), tuning=tuning)
        with plane, progress(f"{label}: {pods} pods on {nodes} nodes", total=pods) as step:
            plane.start(stages.stages())
            plane.api.create_all("/api/v1/nodes", map(node, range(nodes)))
            while ready_nodes(plane.api) < nodes:
                time.sleep(0.5)
            begin, used = time.monotonic(), plane.processes.cpu()
            plane.api.create(DEPLOYMENTS, deployment(pods, nodes * GPUS_PER_NODE // pods))
            ready = 0
            while ready < pods:
                time.sleep(0.5)
                before, ready = ready, ready_pods(plane.api)
                step.advance(ready - before)
            wall, cpu = time.monotonic() - begin, plane.processes.cpu() - used
            return Cost(wall, cpu, sum(plane.processes.memory().values()))


def main() -> None:
    """Both measurements and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--record", metavar="ENV", help="write an evidence record for this environment")
    options = parser.parse_args()
    ours = measure(Tuning(), options.nodes, options.pods, "our client rates")
    theirs = measure(Tuning(client_qps=0), options.nodes, options.pods, "default client rates")
    gpus = options.nodes * GPUS_PER_NODE
    print(f"{options.nodes} nodes, {gpus} GPUs, {options.pods} pods until Ready")  # noqa: T201
    print(f"default {theirs}\nours    {ours}\nratio {theirs.wall / ours.wall:.1f} (wall)")  # noqa: T201
    if options.record:
        record(options, ours, theirs)


def record(options: argparse.Namespace, ours: Cost, theirs: Cost) -> None:
    """The evidence; the load of the machine stands beside what a busy one stretches."""
    what = f"{options.nodes:,} GPU nodes and {options.pods:,} pods until all are Ready"
    rows: list[tuple[str, str, float, str, str]] = [
        ("scale", f"{what}, wall clock", ours.wall, "s", f"< {GOAL}"),
        ("scale-cpu", f"{what}, processor time of the control plane", ours.cpu, "s", ""),
        ("scale-default", f"{what}, wall clock, with Kubernetes' default client rates", theirs.wall, "s", ""),
        (
            "scale-memory",
            f"Memory of the control plane with {what[: what.index(' until')]}",
            ours.memory / GIB,
            "GiB",
            "",
        ),
    ]
    for name, claim, value, unit, goal in rows:
        evidence.record(
            options.record,
            f"platform.rehearsal.{name}",
            claim,
            round(value, 2),
            unit=unit,
            goal=goal,
            proved_on="rehearsal",
            command=f"scripts/bench_rehearsal.py --nodes {options.nodes} --pods {options.pods} --record ENV",
            machine={"load": round(os.getloadavg()[0], 1)},
        )


if __name__ == "__main__":
    main()
