"""What is done to a cluster's hosts from outside, on two virtual machines: runtimes are killed, machines lose
power, and every port is knocked at.
"""

import time
from collections.abc import Iterator
from functools import partial

import cluster as lab
import pytest
from cluster import MASTER, PATIENCE, WORKER, Cluster, Made

pytestmark = [pytest.mark.twin, pytest.mark.long]
record = partial(lab.record, "tests/e2e/test_kubernetes_faults.py")
SERVER = "standing"
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())"
KNOCK = """
import socket, sys
def open_(port):
    with socket.socket() as s:
        s.settimeout(3)
        return s.connect_ex((sys.argv[1], port)) == 0
print(*[p for p in map(int, sys.argv[2].split(",")) if open_(p)])
"""


@pytest.fixture(scope="module")
def cluster(kubernetes: Made) -> Iterator[Cluster]:
    """The cluster, with a pod on the worker that answers."""
    made = kubernetes.cluster
    made.kubectl(f"delete pod {SERVER} --ignore-not-found")
    made.apply(lab.on(WORKER, lab.pod(SERVER, "serve", "still here")))
    lab.eventually(lambda: SERVER in lab.ready(made.get("pods")), PATIENCE)
    yield made
    made.kubectl(f"delete pod {SERVER}")


def containers(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Id and number of restarts of every container on the worker."""
    pods = cluster.get(f"pods --all-namespaces --field-selector=spec.nodeName={WORKER}")
    return {
        f"{pod['metadata']['name']}/{status['name']}": (status["containerID"], status["restartCount"])
        for pod in pods
        for status in pod["status"]["containerStatuses"]
    }


def test_pods_outlive_the_runtime_and_the_kubelet(cluster: Cluster) -> None:
    before = containers(cluster)
    assert before
    address = cluster.get(f"pods --field-selector=metadata.name={SERVER}")[0]["status"]["podIP"]
    lab.eventually(cluster.well, PATIENCE)
    for program in ("containerd", "kubelet"):
        cluster.run(f"systemctl kill --kill-who=main --signal=KILL {program}", WORKER)
        # Nobody is there who could start it again yet.
        assert "still here" in cluster.python(ASK, f"http://{address}:8080", host=WORKER)
    for program in ("containerd", "kubelet"):
        lab.eventually(
            lambda name=program: cluster.run(f"systemctl is-active {name}", WORKER, check=False).code == 0,
            120,
        )
    lab.eventually(cluster.well, PATIENCE)
    after = containers(cluster)
    changed = [name for name, was in before.items() if after.get(name) != was]
    claim = "Containers that were started again when containerd and kubelet were killed under them"
    record(cluster, "kill.containers", claim, len(changed), unit="containers", goal="== 0")
    assert not changed


def test_a_worker_that_was_started_again_comes_back(cluster: Cluster) -> None:
    machine = cluster.twin.machine(WORKER)
    boot = cluster.run("cat /proc/sys/kernel/random/boot_id", WORKER).out
    machine.power_cut()
    begun = time.monotonic()
    machine.boot()
    cluster.twin.wait([machine])
    assert boot != cluster.run("cat /proc/sys/kernel/random/boot_id", WORKER).out
    lab.eventually(lambda: SERVER in lab.ready(cluster.get("pods")) and cluster.well(), PATIENCE)
    claim = "From the loss of a worker's power until its node and its pod are ready again"
    record(cluster, "worker.power", claim, round(time.monotonic() - begun), unit="s")


def test_the_control_plane_loses_power_and_nothing_that_was_written(cluster: Cluster) -> None:
    written: list[str] = []
    for number in range(5):
        name = f"power-{number}"
        cluster.kubectl(f"delete configmap {name} --ignore-not-found")
        cluster.kubectl(f"create configmap {name} --from-literal=word=kept")
        written.append(name)
    machine = cluster.twin.machine(MASTER)
    machine.power_cut()
    begun = time.monotonic()
    machine.boot()
    cluster.twin.wait([machine])
    lab.eventually(cluster.well, PATIENCE)
    seconds = time.monotonic() - begun
    names = {item["metadata"]["name"] for item in cluster.get("configmaps")}
    missing = [name for name in written if name not in names]
    record(
        cluster,
        "power.lost",
        "Objects that were answered for and are gone after the power",
        len(missing),
        unit="objects",
        goal="== 0",
    )
    claim = "From the loss of the only control plane's power until both nodes are ready, boot included"
    record(cluster, "power.seconds", claim, round(seconds), unit="s")
    assert not missing


def test_only_the_ports_of_the_inventory_are_reached(cluster: Cluster) -> None:
    """Whatever listens on any interface is knocked at from the other machine; the firewall lets through what
    its rules say for the zone and nothing else."""
    for host, other, address, wanted in (
        (MASTER, WORKER, "10.14.0.10", {22, 6443, 10250}),
        (WORKER, MASTER, "10.14.0.11", {22, 10250}),
    ):
        listening = cluster.run(
            "ss -Htln | awk '{print $4}' | grep -v '^127\\|^\\[::1\\]' | sed 's/.*://'", host
        )
        ports = {int(word) for word in listening.out.split()} | wanted
        assert {2379, 2380} < ports or host == WORKER  # there is something to be kept from others
        knocked = cluster.python(KNOCK, address, ",".join(map(str, sorted(ports))), host=other)
        reached = {int(word) for word in knocked.split()}
        claim = f"Ports of {host} that are reached from another machine and should not be"
        record(cluster, f"ports.{host}", claim, len(reached - wanted), unit="ports", goal="== 0")
        assert reached == wanted
