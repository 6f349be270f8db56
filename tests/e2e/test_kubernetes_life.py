"""What happens to a cluster later, on two virtual machines: a check-up, certificates, a restored etcd, a node
that goes and comes back. On a cluster that is up already (`tests/e2e/test_kubernetes.py`), or on its own.
"""

from functools import partial

import cluster as lab
import pytest
from cluster import MASTER, PATIENCE, WORKER, Cluster, Made

from bedplate.playbook import PlaybookResult

pytestmark = [pytest.mark.twin, pytest.mark.long]
record = partial(lab.record, "tests/e2e/test_kubernetes_life.py")
SNAPSHOTS = "/var/lib/bedplate/etcd-snapshots"


@pytest.fixture(scope="module")
def cluster(kubernetes: Made) -> Cluster:
    return kubernetes.cluster


def told(result: PlaybookResult) -> str:
    assert result.failures, result.output
    return " ".join(result.failures[0][2].split())


def test_the_doctor_finds_what_is_wrong_and_nothing_else(cluster: Cluster) -> None:
    lab.eventually(cluster.well, PATIENCE)
    cluster.run("systemctl start etcd-snapshot.service")
    clean = cluster.play("doctor.yml")
    assert clean.rc == 0 and clean.changed == 0, clean.failures
    cluster.kubectl(f"cordon {WORKER}")
    cluster.run(f"find {SNAPSHOTS} -name 'etcd-*.db' -exec touch -d '3 days ago' {{}} +")
    try:
        ill = cluster.play("doctor.yml")
    finally:
        cluster.kubectl(f"uncordon {WORKER}")
        cluster.run(f"find {SNAPSHOTS} -name 'etcd-*.db' -exec touch {{}} +")
    said = told(ill)
    found = [f"kubectl uncordon {WORKER}" in said, "newest snapshot of etcd is 72 hours old" in said]
    record(cluster, "doctor", "Of two faults, so many are named with their remedy", sum(found), goal="== 2")
    assert all(found), said


def test_certificates_are_exchanged_while_pods_run(cluster: Cluster) -> None:
    serial = "openssl x509 -noout -serial -in /etc/kubernetes/pki/apiserver.crt"
    served = "echo | openssl s_client -connect 127.0.0.1:6443 2>/dev/null | openssl x509 -noout -serial"
    before = cluster.run(serial).out
    result = cluster.play("rotate_certificates.yml")
    assert result.rc == 0, result.failures
    after = cluster.run(serial).out
    assert before != after == cluster.run(served).out
    lab.eventually(cluster.well, PATIENCE)
    record(cluster, "certificates", "rotate_certificates.yml on one member takes", result.seconds, unit="s")


def test_etcd_goes_back_to_last_nights_snapshot(cluster: Cluster) -> None:
    cluster.kubectl("create configmap kept --from-literal=word=before")
    cluster.run("systemctl start etcd-snapshot.service")
    objects = sorted(item["metadata"]["uid"] for item in cluster.get("all,configmaps,secrets -A"))
    cluster.kubectl("create configmap later --from-literal=word=after")
    cluster.kubectl("delete configmap kept")
    asked = cluster.play("restore_etcd.yml")
    assert asked.rc != 0 and "whatever kube-ctl1 know since then is undone" in told(asked)
    words = told(asked).split('confirm="')[1].split('"')[0]
    result = cluster.play("restore_etcd.yml", extra=dict(confirm=words))
    assert result.rc == 0, result.failures
    lab.eventually(cluster.well, PATIENCE)
    names = {item["metadata"]["name"] for item in cluster.get("configmaps")}
    assert "kept" in names and "later" not in names
    again = sorted(item["metadata"]["uid"] for item in cluster.get("all,configmaps,secrets -A"))
    missing = len(set(objects) - set(again))
    claim = "Objects of the snapshot that are not there after restore_etcd.yml"
    record(cluster, "restore.missing", claim, missing, unit="objects", goal="== 0")
    record(cluster, "restore.seconds", "restore_etcd.yml on one member takes", result.seconds, unit="s")
    assert cluster.run("ls -d /var/lib/etcd/before-*/member").out  # what was there is kept
    assert missing == 0


def test_the_last_member_of_etcd_stays(cluster: Cluster) -> None:
    result = cluster.play("remove_node.yml", extra=dict(node=MASTER, confirm=f"remove {MASTER}"))
    assert result.rc != 0 and result.changed == 0
    assert "only member of the control plane" in told(result)


def test_a_node_goes_and_comes_back_and_the_other_is_left_alone(cluster: Cluster) -> None:
    asked = cluster.play("remove_node.yml", extra=dict(node=WORKER))
    assert asked.rc != 0 and f'confirm="remove {WORKER}"' in told(asked)
    here = f"pods --namespace=kube-system --field-selector=spec.nodeName={MASTER}"
    before = {pod["metadata"]["uid"] for pod in cluster.get(here)}
    boot = cluster.run("cat /proc/sys/kernel/random/boot_id").out
    gone = cluster.play("remove_node.yml", extra=dict(node=WORKER, confirm=f"remove {WORKER}"))
    assert gone.rc == 0, gone.failures
    assert [node["metadata"]["name"] for node in cluster.get("nodes")] == [MASTER]
    assert cluster.run("test -e /etc/kubernetes/kubelet.conf", WORKER, check=False).code != 0
    back = cluster.play("add_node.yml")
    assert back.rc == 0, back.failures
    lab.eventually(cluster.well, PATIENCE)
    touched = [name for host, name in back.changed_tasks if host == MASTER and "Label" not in name]
    claim = "Tasks that changed something on the other node when one was removed and added again"
    record(cluster, "node.others", claim, len(touched), unit="tasks", goal="== 0")
    assert not touched
    assert before <= {pod["metadata"]["uid"] for pod in cluster.get(here)}
    assert boot == cluster.run("cat /proc/sys/kernel/random/boot_id").out
