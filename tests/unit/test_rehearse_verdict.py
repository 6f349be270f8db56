"""Sentences of the verdict, by tables."""

from typing import Any

import pytest
from test_rehearse_placing import TOLERATES_GPU, affinity, cluster, node, pod

from bedplate.rehearse import sentences, verdict
from bedplate.rehearse.objects import Node, Pod

X = sentences.TIMES
H100 = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "nvidia.com/gpu.memory": "81559"}


def hosts(count: int, gpus: int = 8, **more: Any) -> list[Node]:
    return [node(f"gpu{i}", gpus, **H100, **more) for i in range(count)]


def said(nodes: list[Node], placed: list[Pod], waiting: Pod, lacking: int = 1, there: int = 0) -> str:
    return sentences.explain(cluster(nodes, placed), waiting.workload, waiting, lacking, there)


def test_hosts_that_a_large_model_lacks() -> None:
    placed = [pod("r1-0", 8, "gpu0", workload="vllm-r1-671b"), pod("chat", 4, "gpu1")]
    text = said(hosts(2), placed, pod("r1-1", 8, workload="vllm-r1-671b"), lacking=1, there=1)
    assert text == (
        f"vllm-r1-671b wants 2 hosts {X} 8 GPUs with 80 GB; 1 such host is free, "
        "4 GPUs are free on 1 host, at most 4 on one"
    )


@pytest.mark.parametrize(
    ("nodes", "placed", "waiting", "counts", "text"),
    [
        (
            hosts(1),
            [pod("a", 8, "gpu0")],
            pod("chat", 2),
            (1, 0),
            "chat wants 2 GPUs with 80 GB; there is room for none of them, no GPU is left",
        ),
        (
            hosts(2),
            [pod("a", 7, "gpu0"), pod("b", 7, "gpu1")],
            pod("chat", 2),
            (2, 1),
            f"chat wants 3 {X} 2 GPUs with 80 GB; there is room for 1 of them, "
            "2 GPUs are free on 2 hosts, at most 1 on one",
        ),
        (
            hosts(1),
            [pod("a", 7, "gpu0")],
            pod("chat", 2),
            (1, 0),
            "chat wants 2 GPUs with 80 GB; there is room for none of them, 1 GPU is free",
        ),
        (
            hosts(1, cpus=8),
            [],
            pod(
                "chat",
                2,
                spec={"containers": [{"resources": {"requests": {"cpu": "16", "nvidia.com/gpu": "2"}}}]},
            ),
            (1, 0),
            "chat wants 2 GPUs with 80 GB; the largest host allowed has 8 CPUs, and one pod wants 16 CPUs",
        ),
        (
            hosts(1, cpus=8),
            [pod("a", 1, "gpu0"), pod("b", 1, "gpu0")],
            pod("chat", 2),
            (1, 0),
            "chat wants 2 GPUs with 80 GB; 1 host with the GPUs free, "
            "but 4 CPUs are wanted and at most 0 CPUs are free on one",
        ),
        (
            hosts(1),
            [],
            pod("web"),
            (2, 0),
            f"web wants 2 {X} (4 CPUs, 16.0 GiB); no node lets it in: it tolerates none of their taints",
        ),
        (
            hosts(1),
            [],
            pod("chat", 2, spec=affinity("nvidia.com/gpu.product", "In", "NVIDIA-H200")),
            (1, 0),
            "chat wants 2 GPUs with 80 GB; no node that lets it in has nvidia.com/gpu.product In NVIDIA-H200",
        ),
        (
            hosts(1),
            [],
            pod("chat", 2, why="0/1 nodes are available: 1 node(s) were unschedulable"),
            (1, 0),
            "chat wants 2 GPUs with 80 GB; 1 could take one by size, "
            "but: 0/1 nodes are available: 1 node(s) were unschedulable",
        ),
    ],
)
def test_why_a_pod_waits(
    nodes: list[Node], placed: list[Pod], waiting: Pod, counts: tuple[int, int], text: str
) -> None:
    assert said(nodes, placed, waiting, *counts) == text


def raw_node(name: str, gpus: int) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name} | H100},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
        },
    }


def raw_pod(name: str, gpus: int, on: str = "", policy: str = "PreemptLowerPriority") -> dict[str, Any]:
    status: dict[str, Any] = {"phase": "Running" if on else "Pending"}
    if not on:
        why = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
        status["conditions"] = [why]
    return {
        "metadata": {"namespace": "serving", "name": name},
        "spec": {
            "nodeName": on,
            "preemptionPolicy": policy,
            "tolerations": TOLERATES_GPU,
            "containers": [{"resources": {"requests": {"nvidia.com/gpu": str(gpus)}}}],
        },
        "status": status,
    }


def judged(pods: list[dict[str, Any]], **more: Any) -> verdict.Verdict:
    parts: dict[str, Any] = {"volumes": [], "controllers": [], "events": []} | more
    return verdict.judge(verdict.Snapshot([raw_node("n", 8)], pods, **parts), {"n": "gpu_nodes"})


@pytest.mark.parametrize(
    ("pods", "fits"),
    [
        ([raw_pod("a", 8, "n")], True),
        ([raw_pod("a", 8, "n"), raw_pod("b", 1)], False),
        ([raw_pod("a", 8, "n"), raw_pod("batch", 1, policy="Never")], True),
    ],
)
def test_it_fits_when_nothing_waits_but_what_may(pods: list[dict[str, Any]], fits: bool) -> None:
    assert judged(pods).fits is fits


def test_a_pod_that_is_over_holds_nothing() -> None:
    over = raw_pod("job", 8, "n")
    over["status"]["phase"] = "Succeeded"
    assert judged([over]).headroom[0].gpus_free == 8


def test_headroom() -> None:
    (entry,) = judged([raw_pod("a", 3, "n")]).headroom
    assert (entry.group, entry.gpus, entry.gpus_free, entry.whole, entry.largest) == ("gpu_nodes", 8, 5, 0, 5)


def controller(kind: str, wanted: int, there: int, **status: Any) -> dict[str, Any]:
    size = {"parallelism": wanted} if kind == "Job" else {"replicas": wanted}
    have = {"active": there} if kind == "Job" else {"replicas": there}
    return {
        "kind": kind,
        "metadata": {"namespace": "serving", "name": "chat"},
        "spec": size,
        "status": have | status,
    }


def event(kind: str) -> dict[str, Any]:
    about = {"kind": kind, "namespace": "serving", "name": "chat"}
    return {"reason": "FailedCreate", "message": "exceeded quota", "involvedObject": about}


@pytest.mark.parametrize(
    ("raw", "events", "lacking"),
    [
        (controller("Deployment", 2, 2), [], None),
        (
            controller(
                "Deployment",
                2,
                0,
                conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}],
            ),
            [],
            2,
        ),
        (controller("StatefulSet", 2, 1), [event("StatefulSet")], 1),
        (controller("StatefulSet", 2, 2), [event("StatefulSet")], None),
        (controller("StatefulSet", 2, 1), [event("Deployment")], None),
        (controller("Job", 3, 0), [event("Job")], 3),
        (controller("Job", 3, 0) | {"spec": {"parallelism": 3, "suspend": True}}, [event("Job")], None),
    ],
)
def test_pods_that_were_not_even_created(
    raw: dict[str, Any], events: list[dict[str, Any]], lacking: int | None
) -> None:
    told = judged([], controllers=[raw], events=events)
    assert [(r.pods, r.message) for r in told.refused] == ([(lacking, "exceeded quota")] if lacking else [])
    assert told.fits is (lacking is None)


def test_jobs_that_a_schedule_made_are_told_from_those_of_the_platform() -> None:
    nightly = controller("Job", 1, 0)
    nightly["metadata"] |= {"ownerReferences": [{"kind": "CronJob", "name": "postgresql"}]}
    assert [str(w) for w in verdict.scheduled([nightly])] == [nightly["metadata"]["name"]]
    assert not verdict.scheduled([controller("Job", 1, 0), controller("StatefulSet", 1, 0)])
