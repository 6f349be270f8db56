"""Where pods land, and who gives way, decided by the real scheduler on production's nodes."""

from collections import Counter
from typing import Any

import pytest
from platforms import Object, Platform, eventually, pod, proved

from ai_platform.reading import read

pytestmark = pytest.mark.rehearsal
TEST = "test_platform_scheduling.py"
PER_HOST = 8
FILLER = "filler"


def pods(platform: Platform, namespace: str, **labels: str) -> list[Object]:
    query = ",".join(f"{key}%3D{value}" for key, value in labels.items())
    return platform.api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={query}")


def gpus(body: Object) -> int:
    limits = [c.get("resources", {}).get("limits", {}) for c in body["spec"]["containers"]]
    return sum(int(limit.get("nvidia.com/gpu", 0)) for limit in limits)


def taken(platform: Platform) -> Counter[str]:
    """GPUs in use per node."""
    used: Counter[str] = Counter()
    for body in platform.api.items("/api/v1/pods"):
        if body["spec"].get("nodeName") and body["status"]["phase"] in ("Pending", "Running"):
            used[body["spec"]["nodeName"]] += gpus(body)
    return used


def test_r1_has_two_whole_hosts(platform: Platform) -> None:
    ranks = pods(platform, "serving", **{"app.kubernetes.io%2Finstance": "r1"})
    hosts = {body["spec"]["nodeName"] for body in ranks}
    assert (len(ranks), len(hosts)) == (2, 2)
    assert all(body["status"]["phase"] == "Running" for body in ranks)
    used = taken(platform)
    alone = all(used[host] == PER_HOST for host in hosts) and all(gpus(body) == PER_HOST for body in ranks)
    proved("scheduling.r1", "R1-671B has two hosts of eight GPUs to itself", alone, TEST, goal="== 1")
    assert alone


def test_models_that_take_part_of_a_host_share_hosts(platform: Platform) -> None:
    """No more hosts than their GPUs need, and one for the spread of replicas."""
    ranks = {
        b["spec"]["nodeName"] for b in pods(platform, "serving", **{"app.kubernetes.io%2Finstance": "r1"})
    }
    used = {n: c for n, c in taken(platform).items() if c and n not in ranks}
    needed = -(-sum(used.values()) // PER_HOST)
    proved(
        "scheduling.packed",
        f"Hosts that models of a part of a host are spread over; their GPUs fill {needed}",
        len(used),
        TEST,
        unit="hosts",
        goal=f"<= {needed + 1}",
    )
    assert len(used) <= needed + 1


def filler(platform: Platform, count: int) -> Object:
    """Batch work of one GPU a pod that does not end by itself."""
    template = pod(platform.registry, priorityClassName="batch", restartPolicy="Never")
    spec: dict[str, Any] = template["spec"]
    spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "1"
    spec["containers"][0]["resources"]["requests"] = {"cpu": "100m", "memory": "128Mi"}
    labels = template["metadata"]["labels"] | {"app": FILLER}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": FILLER, "namespace": "batch"},
        "spec": {
            "parallelism": count,
            "completions": count,
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
            },
            "template": {
                "metadata": {"labels": labels, "annotations": {"bedplate.io/run-seconds": "1000000"}},
                "spec": spec,
            },
        },
    }


def phases(platform: Platform) -> Counter[str]:
    return Counter(body["status"]["phase"] for body in pods(platform, "batch", app=FILLER))


def meant(platform: Platform) -> int:
    """GPUs of everything that is served, at its least."""
    settings = read(platform.session.inventory)
    models = sum(service.replicas * service.layout.gpus for service in settings.vllm)
    return models + sum(service.replicas * service.gpus for service in settings.triton)


JOBS = "/apis/batch/v1/namespaces/batch/jobs"
SCALE = "/apis/apps/v1/namespaces/serving/deployments/vllm-classify/scale"


def _works(pod: dict[str, Any]) -> bool:
    """A pod that was preempted stays visible, as failed or ending, until its Job has counted it."""
    return "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") in ("Running", "Pending")


def test_batch_work_gives_way_to_an_interactive_pod(platform: Platform) -> None:
    """An analyst fills every free GPU; a served model then gets one more replica, on a GPU that batch
    work had."""
    total, served = PER_HOST * 8, meant(platform)
    assert eventually(lambda: sum(taken(platform).values()) == served, 60)
    free = total - served
    platform.people["analyst"].create(JOBS, filler(platform, free + 2))
    try:
        assert eventually(lambda: sum(taken(platform).values()) == total)
        assert eventually(lambda: phases(platform) == {"Running": free, "Pending": 2})
        before = {p["metadata"]["uid"] for p in pods(platform, "batch", app=FILLER)}
        _scale(platform, 3)
        assert eventually(lambda: _running(platform, "classify") == 3)
        left = {p["metadata"]["uid"] for p in pods(platform, "batch", app=FILLER) if _works(p)}
        events = platform.api.items("/api/v1/namespaces/batch/events?fieldSelector=reason%3DPreempted")
        proved(
            "scheduling.preemption",
            "Batch pods that give their GPU to one more interactive pod when all GPUs are taken",
            len(before - left),
            TEST,
            unit="pods",
            goal="== 1",
        )
        assert len(before - left) == 1
        assert events
        assert sum(taken(platform).values()) == total
    finally:
        _scale(platform, 2)
        platform.api.delete(f"{JOBS}/{FILLER}?propagationPolicy=Background")
        assert eventually(lambda: not pods(platform, "batch", app=FILLER))


def _running(platform: Platform, instance: str) -> int:
    found = pods(platform, "serving", **{"app.kubernetes.io%2Finstance": instance})
    return sum(body["status"]["phase"] == "Running" for body in found)


def _scale(platform: Platform, replicas: int) -> None:
    """As a person with the admin role would, through the scale subresource."""
    body = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "vllm-classify", "namespace": "serving"},
        "spec": {"replicas": replicas},
    }
    platform.people["admin"].apply(SCALE, body)


def test_batch_work_never_pushes_anyone_away(platform: Platform) -> None:
    """Batch work waits while every GPU is taken by models, whatever it asks for."""
    classes = {
        c["metadata"]["name"]: c for c in platform.api.items("/apis/scheduling.k8s.io/v1/priorityclasses")
    }
    assert classes["batch"]["preemptionPolicy"] == "Never"
    assert classes["batch"]["value"] < classes["interactive"]["value"] < 1_000_000_000
