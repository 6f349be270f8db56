"""The first member of a control plane: what kubeadm is told, what the API server reads, and that a cluster is
never made twice."""

import base64

import pytest
import yaml
from shared.rerun import EPHEMERAL, SHARED

from bedplate.playbook import run

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
