"""The scheduler's hard rules as arithmetic, and the loss of a host, by tables."""

from typing import Any

import pytest

from bedplate.rehearse import objects, placing
from bedplate.rehearse.objects import Node, Pod, Workload

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
TOLERATES_GPU = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def node(name: str, gpus: int = 8, cpus: int = 64, memory: str = "512Gi", **labels: str) -> Node:
    allocatable = {"cpu": cpus, "memory": memory, "pods": 110} | ({"nvidia.com/gpu": gpus} if gpus else {})
    return Node(
        name,
        {"kubernetes.io/hostname": name, **labels},
        (GPU_TAINT,) if gpus else (),
        objects.amounts(allocatable),
    )


def pod(name: str, gpus: int = 0, on: str = "", priority: int = 0, **more: Any) -> Pod:
    asked = {"cpu": "4", "memory": "16Gi"} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    spec = {"containers": [{"resources": {"requests": asked}}], "tolerations": TOLERATES_GPU if gpus else []}
    spec |= more.pop("spec", {})
    workload = Workload("serving", more.pop("kind", "Deployment"), more.pop("workload", name))
    return Pod(
        "serving", name, workload, on, "Running", True, objects.requests(spec), priority, spec=spec, **more
    )


@pytest.mark.parametrize(
    ("text", "thousandths"),
    [
        ("500m", 500),
        ("2", 2000),
        (3, 3000),
        ("1.5", 1500),
        ("1k", 1_000_000),
        ("1Ki", 1_024_000),
        ("2Gi", 2 * 1024**3 * 1000),
        ("1e3", 1_000_000),
        ("5M", 5_000_000_000),
    ],
)
def test_quantities(text: str | int, thousandths: int) -> None:
    assert objects.amount(text) == thousandths


@pytest.mark.parametrize("text", ["", "1X", "GiB", "1.2.3", "-1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        objects.amount(text)


def test_requests_are_containers_and_sidecars_or_the_largest_init_container() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("1"), container("2")],
        "initContainers": [container("1", restartPolicy="Always"), container("10"), container("6")],
    }
    assert objects.requests(spec)["cpu"] == 10_000
    spec["initContainers"].pop(1)
    assert objects.requests(spec)["cpu"] == 6_000
    spec["initContainers"].pop(1)
    assert objects.requests(spec)["cpu"] == 4_000


def test_a_limit_without_a_request_counts_as_request() -> None:
    spec = {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "4"}}}]}
    assert objects.requests(spec)["nvidia.com/gpu"] == 4_000


@pytest.mark.parametrize(
    ("labels", "suffix", "expected"),
    [
        ({"pod-template-hash": "abc"}, ("ReplicaSet", "chat-abc"), ("Deployment", "chat")),
        ({}, ("StatefulSet", "r1"), ("StatefulSet", "r1")),
        ({}, ("Job", "evaluation"), ("Job", "evaluation")),
    ],
)
def test_a_pod_belongs_to_what_a_person_wrote(
    labels: dict[str, str], suffix: tuple[str, str], expected: tuple[str, str]
) -> None:
    raw = {
        "metadata": {
            "namespace": "serving",
            "name": "p",
            "labels": labels,
            "ownerReferences": [{"controller": True, "kind": suffix[0], "name": suffix[1]}],
        },
        "spec": {"containers": []},
        "status": {"phase": "Pending"},
    }
    (found,) = objects.pods([raw])
    assert (found.workload.kind, found.workload.name) == expected


@pytest.mark.parametrize(
    ("tolerations", "taints", "passes"),
    [
        ([], [], True),
        ([], [GPU_TAINT], False),
        (TOLERATES_GPU, [GPU_TAINT], True),
        ([{"operator": "Exists"}], [GPU_TAINT], True),
        ([{"key": "nvidia.com/gpu", "value": "present"}], [GPU_TAINT], True),
        ([{"key": "nvidia.com/gpu", "value": "other"}], [GPU_TAINT], False),
        ([{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}], [GPU_TAINT], False),
        ([], [{"key": "x", "effect": "PreferNoSchedule"}], True),
    ],
)
def test_tolerations(tolerations: list[dict[str, str]], taints: list[dict[str, str]], passes: bool) -> None:
    assert placing.tolerates(tolerations, taints) is passes


def affinity(key: str, operator: str, *values: str) -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}]
    return {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        }
    }


@pytest.mark.parametrize(
    ("spec", "selected"),
    [
        ({}, True),
        ({"nodeSelector": {"gpu": "h100"}}, True),
        ({"nodeSelector": {"gpu": "h200"}}, False),
        (affinity("gpu", "In", "h100", "h200"), True),
        (affinity("gpu", "NotIn", "h100"), False),
        (affinity("gpu", "Exists"), True),
        (affinity("rack", "Exists"), False),
        (affinity("rack", "DoesNotExist"), True),
        (affinity("gpu-memory", "Gt", "80000"), True),
        (affinity("gpu-memory", "Lt", "80000"), False),
    ],
)
def test_node_selection(spec: dict[str, Any], selected: bool) -> None:
    assert placing.selects(spec, node("n", gpu="h100", **{"gpu-memory": "81559"})) is selected


def cluster(nodes: list[Node], pods: list[Pod]) -> placing.Cluster:
    return placing.Cluster.of(nodes, pods)


def names(pods: tuple[Pod, ...]) -> list[str]:
    return [pod.name for pod in pods]


def test_pods_of_a_lost_host_move_to_where_fewest_gpus_are_left() -> None:
    state = cluster([node("a"), node("b"), node("c")], [pod("x", 2, "a"), pod("y", 4, "b")])
    lost = placing.loss(state, "a")
    assert (names(lost.moved), lost.waiting) == (["x"], ())
    rest = state.without("a")
    assert placing._choose(rest, pod("x", 2)) == "b"


def test_the_more_important_pod_gets_the_room() -> None:
    pods = [
        pod("batch", 4, "a", priority=1),
        pod("chat", 4, "a", priority=9),
        pod("other", 4, "b", priority=9),
    ]
    lost = placing.loss(cluster([node("a"), node("b")], pods), "a")
    assert (names(lost.moved), names(lost.waiting)) == (["chat"], ["batch"])


def test_interactive_pushes_batch_away_and_batch_never_pushes() -> None:
    nodes = [node("a"), node("b")]
    away = placing.loss(
        cluster(nodes, [pod("chat", 8, "a", priority=9), pod("batch", 8, "b", priority=1)]), "a"
    )
    assert (names(away.moved), names(away.pushed), names(away.waiting)) == (["chat"], ["batch"], ["batch"])
    meek = pod("chat", 8, "a", priority=9, preempts=False)
    stays = placing.loss(cluster(nodes, [meek, pod("batch", 8, "b", priority=1)]), "a")
    assert (names(stays.pushed), names(stays.waiting)) == ([], ["chat"])


def test_only_as_many_are_pushed_away_as_needed_and_the_least_important() -> None:
    others = [pod("b1", 4, "b", priority=1), pod("b2", 2, "b", priority=2), pod("b3", 2, "b", priority=2)]
    lost = placing.loss(cluster([node("a"), node("b")], [pod("chat", 4, "a", priority=9), *others]), "a")
    assert names(lost.pushed) == ["b1"]


def test_daemons_go_with_their_host() -> None:
    pods = [pod("exporter", 0, "a", kind="DaemonSet")]
    assert placing.losses(cluster([node("a"), node("b")], pods)) == []


def test_pods_that_repel_each_other_do_not_share_a_host() -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "r1"}}}
    apart = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    pods = [pod(f"r1-{i}", 4, on, spec=apart, labels={"app": "r1"}) for i, on in enumerate("ab")]
    assert names(placing.loss(cluster([node("a"), node("b")], pods), "a").waiting) == ["r1-0"]
    assert names(placing.loss(cluster([node("a"), node("b"), node("c")], pods), "a").moved) == ["r1-0"]


def test_a_volume_on_the_host_keeps_its_pod_there() -> None:
    pods = [pod("db", 0, "a", claims=("data",))]
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["a"]}]}]
    state = placing.Cluster.of([node("a", 0), node("b", 0)], pods, {("serving", "data"): terms})
    assert names(placing.loss(state, "a").waiting) == ["db"]


def test_hosts_that_are_alike_are_simulated_once() -> None:
    pods = [pod(f"p{i}", 8, f"n{i}", workload="chat") for i in range(50)]
    (lost,) = placing.losses(cluster([node(f"n{i}") for i in range(50)], pods))
    assert len(lost.alike) == 50


def test_hosts_that_run_the_same_beside_different_room_are_told_apart() -> None:
    pods = [pod("p0", 4, "n0", workload="chat"), pod("p1", 4, "n1", workload="chat"), pod("q", 1, "n1")]
    assert len(placing.losses(cluster([node("n0"), node("n1")], pods))) == 2


def test_a_simulation_leaves_the_cluster_as_it_was() -> None:
    state = cluster(
        [node("a"), node("b")], [pod("chat", 8, "a", priority=9), pod("batch", 8, "b", priority=1)]
    )
    before = {name: dict(free) for name, free in state.free.items()}
    placing.losses(state)
    assert state.free == before
    assert [p.name for p in state.placed["b"]] == ["batch"]
