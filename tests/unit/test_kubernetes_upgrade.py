"""How a cluster comes to another version: over thousands of clusters, cut off at every step."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kubernetes_upgrade import (
    MARK,
    Cluster,
    Node,
    Step,
    Version,
    course,
    next_step,
    read,
    refusals,
    version,
    waits_for,
)

OLD, NEW = (1, 36, 3), (1, 37, 0)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """One version for the API servers; kubelets as old as they may be, some closed by somebody."""
    count = draw(st.sampled_from([1, 3, 5]))
    servers = [Node(f"c{n}", OLD, OLD) for n in range(count)]
    kubelets = draw(st.lists(st.sampled_from([(1, 34, 9), (1, 35, 1), OLD]), max_size=6))
    workers = [Node(f"w{n}", one) for n, one in enumerate(kubelets)]
    nodes = [replace(node, closed=draw(st.booleans())) for node in servers + workers]
    if draw(st.booleans()):  # cut off on the way to the version before
        nodes[-1] = replace(nodes[-1], closed=False, drained=True)
    return Cluster(OLD, tuple(draw(st.permutations(nodes))))


def put(cluster: Cluster, host: str, **values: Any) -> Cluster:
    return replace(cluster, nodes=tuple(replace(n, **values) if n.name == host else n for n in cluster.nodes))


def done(cluster: Cluster, step: Step, halfway: bool) -> Cluster:
    """What a step leaves, and what it leaves when the run is cut off in it."""
    if step.verb == "apply":
        cluster = put(cluster, step.host, server=NEW)
        return cluster if halfway else replace(cluster, version=NEW)
    if step.verb == "node":
        return cluster if halfway else put(cluster, step.host, server=NEW)
    if step.verb == "drain":  # the mark is made first, then pods leave
        return put(cluster, step.host, drained=True)
    if step.verb == "kubelet":
        return (
            put(cluster, step.host, ready=False)
            if halfway
            else put(cluster, step.host, kubelet=NEW, ready=True)
        )
    return cluster if halfway else put(cluster, step.host, drained=False)


def sound(cluster: Cluster) -> None:
    """The promises, which hold after every step and half step."""
    servers = [node.server for node in cluster.servers if node.server]
    assert max(servers)[1] - min(servers)[1] <= 1, "API servers differ by one minor version at most"
    assert all(node.kubelet <= min(servers) for node in cluster.nodes), (
        "no kubelet is newer than an API server"
    )
    down = [node.name for node in cluster.nodes if node.drained or not node.ready]
    assert len(down) <= 1, "one node at a time"
    ready = [node for node in cluster.servers if node.ready]
    assert len(ready) >= len(cluster.servers) - 1 and (
        len(ready) > len(cluster.servers) // 2 or len(servers) == 1
    )


@settings(max_examples=400, deadline=None)
@given(clusters(), st.data())
def test_a_run_that_is_cut_off_anywhere_arrives(cluster: Cluster, data: st.DataObject) -> None:
    before = {node.name: node.closed for node in cluster.nodes}
    cuts = 0
    for _ in range(8 * len(cluster.nodes) + 8):
        assert refusals(NEW, cluster) == []
        step = next_step(NEW, cluster)
        if step is None:
            break
        halfway = cuts < 6 and data.draw(st.booleans())
        cuts += halfway
        cluster = done(cluster, step, halfway)
        sound(cluster)
    assert next_step(NEW, cluster) is None and cluster.version == NEW
    assert all(node.kubelet == NEW and node.server in (None, NEW) for node in cluster.nodes)
    assert not any(node.drained for node in cluster.nodes)
    assert {node.name: node.closed for node in cluster.nodes} == before, "what others closed stays closed"


@settings(max_examples=200, deadline=None)
@given(clusters(), st.data())
def test_nothing_begins_while_another_node_is_down(cluster: Cluster, data: st.DataObject) -> None:
    others = [node.name for node in cluster.nodes if not node.drained]
    assume(others)
    ill = data.draw(st.sampled_from(others))
    (said,) = refusals(NEW, put(cluster, ill, ready=False))
    assert said.startswith(f"{ill} is not ready") and "playbooks/remove_node.yml" in said


def test_the_course_is_the_whole_way_in_order() -> None:
    assert [f"{step.verb} {step.host}" for step in course(NEW, put(THREE, "w", drained=True))] == [
        *("apply a", "node b", "kubelet w", "uncordon w"),
        *(f"{verb} {host}" for host in "ab" for verb in ("drain", "kubelet", "uncordon")),
    ]
    assert course(OLD, THREE) == []


def test_an_api_server_that_was_cut_off_half_way_is_finished() -> None:
    cut = put(THREE, "a", waits=("kube-apiserver-a",), server=NEW)
    assert refusals(NEW, cut) == [] and next_step(NEW, cut) == Step("a", "apply")


THREE = Cluster(OLD, (Node("a", OLD, OLD), Node("b", OLD, OLD), Node("w", OLD)))


@pytest.mark.parametrize(
    ("target", "cluster", "says"),
    [
        (NEW, THREE, ""),
        ((1, 36, 4), THREE, ""),
        (OLD, THREE, ""),
        (OLD, put(THREE, "w", ready=False), ""),  # nothing is to be done, so nothing is in the way
        (
            (1, 36, 2),
            THREE,
            "version_kubernetes = 1.36.2: the cluster has 1.36.3 already, and never goes back",
        ),
        (
            (1, 38, 0),
            THREE,
            "version_kubernetes = 1.38.0: the cluster has 1.36.3; go one minor version at a time",
        ),
        ((2, 0, 0), THREE, "one minor version at a time, to 1.37 first"),
        (
            NEW,
            put(THREE, "w", kubelet=(1, 33, 0)),
            "kubelet of w has 1.33.0, and may be 3 minor versions behind",
        ),
        (OLD, put(THREE, "a", server=NEW), "the cluster has 1.37.0 already"),
        (NEW, put(THREE, "w", waits=("kube-proxy-x",)), "w: kube-proxy-x not ready"),
        (NEW, put(put(THREE, "a", drained=True, ready=False), "b", ready=False), "b is not ready"),
        (NEW, Cluster(OLD, (Node("w", OLD),)), "no API server is seen"),
    ],
)
def test_refusals(target: Version, cluster: Cluster, says: str) -> None:
    said = refusals(target, cluster)
    assert (says in said[0]) if says else said == []


@pytest.mark.parametrize(
    ("verb", "change", "says"),
    [
        ("apply", {"server": OLD}, "the API server of a is 1.36.3"),
        ("node", {"server": NEW, "ready": False}, "a is not ready"),
        ("kubelet", {"server": NEW}, "kubelet of a is 1.36.3"),
        ("kubelet", {"kubelet": NEW, "waits": ("kube-proxy-x",)}, "a: kube-proxy-x is not ready"),
        ("kubelet", {"kubelet": NEW}, ""),
    ],
)
def test_the_next_host_waits(verb: Any, change: dict[str, Any], says: str) -> None:
    said = waits_for(NEW, put(THREE, "a", **change), Step("a", verb))
    assert (says in said[0]) if says else said == []
    assert waits_for(NEW, THREE, Step("z", verb)) == ["z is no node"]


def test_what_the_cluster_says_is_read() -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    status = {"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.36.3"}}
    nodes = [
        {
            "metadata": {"name": "w", "annotations": {MARK: "drained"}},
            "spec": {"unschedulable": True},
            "status": status,
        },
        {"metadata": {"name": "a"}, "spec": {"unschedulable": True}, "status": status},
    ]
    server = {
        "metadata": {"name": "kube-apiserver-a", "labels": {"component": "kube-apiserver"}},
        "spec": {
            "nodeName": "a",
            "containers": [{"image": "registry.k8s.io/kube-apiserver:v1.37.0@sha256:ab"}],
        },
        "status": {"conditions": conditions},
    }
    proxy = {
        "metadata": {"name": "kube-proxy-x", "ownerReferences": [{"kind": "DaemonSet"}]},
        "spec": {"nodeName": "w"},
        "status": {},
    }
    other = {"metadata": {"name": "coredns", "ownerReferences": [{"kind": "ReplicaSet"}]}} | {
        "spec": {"nodeName": "w"},
        "status": {},
    }
    found = read("clusterName: lab\nkubernetesVersion: v1.36.3\n", nodes, [server, proxy, other], ["a", "w"])
    assert found == Cluster(
        OLD,
        (
            Node("a", OLD, NEW, closed=True),
            Node("w", OLD, drained=True, waits=("kube-proxy-x",)),
        ),
    )
    with pytest.raises(ValueError, match="names no version"):
        read("clusterName: lab\n", [], [], [])
    with pytest.raises(ValueError, match="no version like"):
        version("latest")
