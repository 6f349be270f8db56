"""A real cluster on two virtual machines: made by the roles from a bundle, with real pods.

The order matters: what is shown later stands on what came before.
"""

import base64
import json
from functools import partial

import cluster as lab
import pytest
from cluster import MASTER, PATIENCE, WORKER, Cluster, Made

record = partial(lab.record, "tests/e2e/test_kubernetes.py")
TASKS_GOAL = 40
SECRET = "written-down-nowhere-8d41"

pytestmark = [pytest.mark.twin, pytest.mark.long]


@pytest.fixture(scope="module")
def cluster(kubernetes: Made) -> Cluster:
    return kubernetes.cluster


def test_every_node_is_ready_and_every_pod_runs(cluster: Cluster) -> None:
    def settled() -> bool:
        pods = cluster.get("pods --namespace=kube-system")
        nodes = lab.ready(cluster.get("nodes"))
        return sorted(nodes) == [MASTER, WORKER] and len(pods) >= 10 and len(lab.ready(pods)) == len(pods)

    lab.eventually(settled, PATIENCE)
    pods = cluster.get("pods --namespace=kube-system")
    missing = len(pods) - len(lab.ready(pods))
    record(cluster, "pods", "Pods of the cluster's own that are not ready", missing, goal="== 0")


OUTSIDE = """
import socket, sys
def reached(place):
    host, port = place.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 4).close()
    except OSError:
        return False
    return True
print(*[place for place in sys.argv[1:] if reached(place)])
"""


def test_its_machines_reach_the_mirror_and_nothing_else(cluster: Cluster) -> None:
    mirror = cluster.words["site_mirror"].removeprefix("http://") + ":80"
    elsewhere = ("10.14.0.1:22", "10.14.0.2:80", "1.1.1.1:443", "8.8.8.8:53", "registry.k8s.io:443")
    for host in (MASTER, WORKER):
        reached = cluster.python(OUTSIDE, mirror, *elsewhere, host=host).split()
        assert reached == [mirror]
    claim = "Addresses besides the mirror that the machines reached, of five that were tried"
    record(cluster, "offline.reached", claim, 0, goal="== 0")


def test_nodes_are_labelled_and_tainted_as_the_inventory_says(cluster: Cluster) -> None:
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")}
    assert nodes[WORKER]["metadata"]["labels"]["topology.kubernetes.io/zone"] == "r1"
    assert nodes[WORKER]["spec"].get("taints", []) == []
    assert [t["key"] for t in nodes[MASTER]["spec"]["taints"]] == ["node-role.kubernetes.io/control-plane"]


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Cluster:
    """A server on the worker behind a Service, and clients: one on each node, one of them a stranger."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    cluster.apply(
        lab.on(WORKER, lab.pod("server", "serve", "it-is-me")),
        lab.on(MASTER, lab.pod("friend", "wait", access="granted")),
        lab.on(WORKER, lab.pod("stranger", "wait")),
        service,
    )
    lab.eventually(lambda: len(lab.ready(cluster.get("pods"))) == 3, PATIENCE)
    return cluster


URL = "http://web.default.svc.cluster.local"


def test_a_pod_reaches_a_service_on_another_machine_by_its_name(pods: Cluster) -> None:
    lab.eventually(lambda: pods.fetch("friend", URL).out.strip() == "it-is-me", 180)
    assert pods.fetch("stranger", URL).out.strip() == "it-is-me"
    record(pods, "service", "A pod reaches a Service on another machine by its DNS name", 1, goal="== 1")


def test_a_default_deny_policy_is_enforced(pods: Cluster) -> None:
    allow = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "only-friends"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "server"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"access": "granted"}}}]}],
        },
    }
    pods.apply(allow)
    lab.eventually(lambda: pods.fetch("stranger", URL).code != 0, 120)
    assert pods.fetch("friend", URL).out.strip() == "it-is-me"
    assert pods.fetch("stranger", URL).code != 0
    record(
        pods,
        "policy",
        "A pod that a NetworkPolicy does not name gets no answer, the others do",
        1,
        goal="== 1",
    )


def test_a_secret_is_encrypted_in_etcd_and_its_reading_is_on_record(cluster: Cluster) -> None:
    cluster.kubectl(
        f"create secret generic kept --from-literal=word={SECRET} --dry-run=client -o json "
        "| kubectl --kubeconfig=/etc/kubernetes/admin.conf apply --validate=false -f -"
    )
    said = cluster.kubectl("get secret kept --output=json").out
    assert "word" in json.loads(said)["data"]
    stored = cluster.run(
        "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt "
        "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt "
        "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key "
        "get /registry/secrets/default/kept --print-value-only | base64 -w0"
    ).out
    raw = base64.b64decode(stored)
    assert raw.startswith(b"k8s:enc:secretbox:v1:key1:")
    assert SECRET.encode() not in raw
    found = cluster.run(f"grep -c {SECRET} -r /var/lib/etcd", check=False)
    record(cluster, "secret", "Files of etcd that hold a Secret's value", int(found.code == 0), goal="== 0")
    assert found.code == 1
    lines = cluster.run('grep \'"name":"kept"\' /var/log/kubernetes/audit.log').out.splitlines()
    events = [json.loads(line) for line in lines]
    reads = [e for e in events if e["verb"] == "get" and e["objectRef"]["resource"] == "secrets"]
    assert reads and all(e["user"]["username"] == "kubernetes-admin" for e in reads)
    assert not any(SECRET in line for line in lines)
    record(
        cluster,
        "audit",
        "A Secret that was read has its line in the audit log, without its value",
        1,
        goal="== 1",
    )


def test_nobody_is_served_without_credentials(cluster: Cluster) -> None:
    python = (
        "python3 -c \"import ssl,http.client as h; c=h.HTTPSConnection('127.0.0.1',6443,"
        "context=ssl._create_unverified_context()); c.request('GET','PATH'); print(c.getresponse().status)\""
    )
    answers = {
        path: int(cluster.run(python.replace("PATH", path)).out)
        for path in ("/livez", "/api", "/version", "/api/v1/namespaces/kube-public/configmaps/cluster-info")
    }
    refused = [path for path, status in answers.items() if status == 401]
    record(
        cluster,
        "anonymous",
        "Paths beyond health that are served without credentials",
        3 - len(refused),
        goal="== 0",
    )
    assert answers.pop("/livez") == 200
    assert set(answers.values()) == {401}, answers


def test_snapshots_are_made_checked_and_the_oldest_go(cluster: Cluster) -> None:
    folder = "/var/lib/bedplate/etcd-snapshots"
    cluster.run(
        f"mkdir -p {folder}; for n in 1 2 3 4 5 6 7 8; do touch {folder}/etcd-2020010${{n}}T000000Z.db; done"
    )
    cluster.run("systemctl start etcd-snapshot.service")
    names = cluster.run(f"ls {folder}/*.db").out.split()
    assert len(names) == 7 and not names[-1].endswith("T000000Z.db")
    status = json.loads(cluster.run(f"cat {names[-1]}.json").out)
    record(cluster, "snapshot", "Keys in last night's snapshot of etcd", status["totalKey"], goal="> 100")
    assert status["totalKey"] > 100
    assert cluster.run("systemctl is-enabled etcd-snapshot.timer").out.strip() == "enabled"


def test_a_second_run_changes_nothing(kubernetes: Made, pods: Cluster) -> None:
    before = {pod["metadata"]["uid"] for pod in pods.get("pods --all-namespaces")}
    result = pods.converge()
    most = max(result.tasks.values())
    if kubernetes.fresh:
        claim = "kubernetes.yml on two machines that have nothing takes"
        record(pods, "made", claim, round(kubernetes.first.seconds), unit="s")
    record(
        pods, "second_run.changed", "Tasks that a second run changes, two nodes", result.changed, goal="== 0"
    )
    claim = "Tasks that a second run executes on one node, containerd's included"
    record(pods, "second_run.tasks", claim, most, goal=f"< {TASKS_GOAL}")
    assert result.rc == 0, result.failures
    assert result.changed_tasks == ()
    assert {pod["metadata"]["uid"] for pod in pods.get("pods --all-namespaces")} == before
