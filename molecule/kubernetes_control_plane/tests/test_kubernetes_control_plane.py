"""The first member of a control plane: what kubeadm is told, what the API server reads, and that a cluster is
never made twice."""

import base64
import json

import pytest
import yaml
from shared.rerun import EPHEMERAL, SHARED
from shared.versions import VERSIONS

from bedplate.playbook import run

NOW, NEXT = VERSIONS["version_kubernetes"], "1.38.0"  # tests/kubernetes_standins.py
PLACE = "/etc/kubernetes/bedplate"
STATE = "/var/lib/bedplate/kubernetes"


def again(**variables):
    playbook = str(SHARED / "kubernetes_control_plane" / "converge.yml")
    return run(EPHEMERAL / "inventory", playbook, overlays=[SHARED / "inventory.py"], extra=variables)


@pytest.fixture(scope="module")
def config(host):
    documents = yaml.safe_load_all(host.check_output("cat /var/lib/stand-in/config"))
    return {document["kind"]: document for document in documents}


def flags(part):
    return {argument["name"]: argument["value"] for argument in part["extraArgs"]}


def test_kubeadm_made_the_cluster_once(host):
    calls = host.check_output("cat /var/lib/stand-in/calls").splitlines()
    assert [call.split()[0] for call in calls] == ["init"]
    assert host.run("ls /run/bedplate/*").rc != 0, "what kubeadm read is gone"


def test_the_api_is_found_at_the_host_s_address(config):
    assert config["ClusterConfiguration"]["controlPlaneEndpoint"] == "10.20.0.10:6443"
    assert config["InitConfiguration"]["localAPIEndpoint"]["advertiseAddress"] == "10.20.0.10"


def test_the_only_host_takes_everybody_s_pods(config):
    assert config["InitConfiguration"]["nodeRegistration"]["taints"] == []


def test_the_api_server_reads_what_protects_it(host, config):
    told = flags(config["ClusterConfiguration"]["apiServer"])
    for flag, name in {
        "encryption-provider-config": "encryption",
        "audit-policy-file": "audit-policy",
        "admission-control-config-file": "admission",
        "authentication-config": "authentication",
    }.items():
        assert told[flag] == f"{PLACE}/{name}.yml"
        assert oct(host.file(told[flag]).mode) == "0o600"
    assert "NodeRestriction" in told["enable-admission-plugins"]


def test_the_key_was_made_for_this_environment_and_is_long_enough(host):
    document = yaml.safe_load(host.file(f"{PLACE}/encryption.yml").content_string)
    writes = document["resources"][0]["providers"][0]["secretbox"]["keys"][0]
    assert len(base64.b64decode(writes["secret"])) == 32
    kept = (EPHEMERAL / "secrets" / "encryption-key1").read_text().strip()
    assert base64.b64decode(writes["secret"]).decode() == kept


def test_snapshots_are_made_every_night(host):
    assert host.service("etcd-snapshot.timer").is_enabled
    assert host.service("etcd-snapshot.timer").is_running


def test_a_run_that_was_cut_off_is_reset_and_made_again(host):
    host.check_output(f"rm {STATE}/done")
    done = again()
    assert done.rc == 0, done.failures
    calls = host.check_output("cat /var/lib/stand-in/calls").splitlines()
    assert [call.split()[0] for call in calls[-2:]] == ["reset", "init"]


def test_another_cluster_s_host_is_refused_and_left_alone(host):
    before = host.check_output("cat /var/lib/stand-in/calls")
    host.check_output(f"mv {STATE} {STATE}.away")
    done = again()
    host.check_output(f"rm -rf {STATE}; mv {STATE}.away {STATE}")
    assert done.rc != 0 and "/etc/kubernetes/admin.conf" in done.failures[0][2]
    assert host.check_output("cat /var/lib/stand-in/calls") == before


def upgrade(**variables):
    """playbooks/upgrade_kubernetes.yml to the release that the stand-ins have beside theirs."""
    digests = json.loads((EPHEMERAL / "kubernetes" / "digests.json").read_text())
    extra = {"version_kubernetes": NEXT, "kubernetes_node_sha256": digests["next"]} | variables
    overlays = [SHARED / "inventory.py"]
    return run(EPHEMERAL / "inventory", "upgrade_kubernetes.yml", overlays=overlays, extra=extra)


def test_a_drain_that_hangs_says_whose_budget_it_is_and_the_next_run_goes_on(host):
    host.check_output("touch /var/lib/stand-in/stuck")
    host.check_output(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/kubelet.service; "
        "printf '#!/bin/sh\\necho registry.example.internal/one:1\\n' >/usr/local/sbin/ctr; "
        "chmod +x /usr/local/sbin/ctr; systemctl daemon-reload"
    )
    stuck = upgrade()
    said = " ".join(stuck.failures[0][2].split())
    assert stuck.rc != 0 and "models/chat" in said and "models/code" not in said
    state = json.loads(host.check_output("cat /var/lib/stand-in/cluster.json"))
    assert (state["server"], state["mark"]) == (NEXT, "false"), (
        "the API server is new, the node is marked as ours"
    )
    assert host.file("/var/lib/stand-in/uploaded").contains(f"kubernetesVersion: v{NOW}"), (
        "configuration came first"
    )
    host.check_output("rm /var/lib/stand-in/stuck")
    done = upgrade()
    assert done.rc == 0, done.failures
    assert NEXT in host.check_output("readlink /usr/local/bin/kubelet")
    state = json.loads(host.check_output("cat /var/lib/stand-in/cluster.json"))
    assert (state["closed"], state["mark"]) == (False, "")
    assert host.check_output("ls /var/lib/bedplate/etcd-snapshots/*.db"), "something to go back to"


def test_a_cluster_that_has_arrived_is_left_alone(host):
    done = upgrade()
    assert done.rc == 0 and done.changed == 0, done.changed_tasks


def test_the_way_back_is_refused(host):
    done = upgrade(version_kubernetes=NOW)
    assert done.rc != 0 and "never goes back" in " ".join(done.failures[0][2].split())
