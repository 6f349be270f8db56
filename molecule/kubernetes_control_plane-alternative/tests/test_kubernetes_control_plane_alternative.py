"""A control plane with everything set."""

import json
import time

import pytest
import yaml

ADDRESS = "10.20.0.100"
ASK = (
    "python3 -c \"import ssl,http.client as h; c=h.HTTPSConnection('10.20.0.100',8443,timeout=2,"
    "context=ssl._create_unverified_context()); c.request('GET','/readyz'); print(c.getresponse().status)\""
)


def until(check, seconds):
    """Seconds until it was true."""
    begun = time.monotonic()
    while not check():
        assert time.monotonic() - begun < seconds
        time.sleep(0.2)
    return time.monotonic() - begun


def holds(host):
    return ADDRESS in host.check_output("ip -brief address show dev cluster0")


@pytest.fixture(scope="module")
def config(host):
    documents = yaml.safe_load_all(host.check_output("cat /var/lib/stand-in/config"))
    return {document["kind"]: document for document in documents}


def flags(part):
    return {argument["name"]: argument["value"] for argument in part["extraArgs"]}


def test_the_api_has_the_name_that_outlives_its_hosts(config):
    cluster = config["ClusterConfiguration"]
    assert cluster["controlPlaneEndpoint"] == "api.example.internal:8443"
    assert {"api.example.internal", "kubernetes.example.com", "10.20.0.10"} <= set(
        cluster["apiServer"]["certSANs"]
    )


def test_flags_of_the_inventory_win(config):
    cluster = config["ClusterConfiguration"]
    assert flags(cluster["apiServer"])["audit-log-maxsize"] == "500"
    assert flags(cluster["apiServer"])["audit-log-maxbackup"] == "10"
    assert flags(cluster["controllerManager"])["node-monitor-grace-period"] == "60s"
    assert flags(cluster["scheduler"])["leader-elect-lease-duration"] == "60s"
    assert flags(cluster["etcd"]["local"])["heartbeat-interval"] == "500"


def test_kubeadm_is_given_the_patches_of_the_inventory(host, config):
    folder = config["InitConfiguration"]["patches"]["directory"]
    assert host.file(folder).listdir() == ["etcd+strategic.json"]
    patch = json.loads(host.file(f"{folder}/etcd+strategic.json").content_string)
    assert patch["spec"]["containers"] == [{"name": "etcd", "livenessProbe": {"timeoutSeconds": 60}}]


def test_other_pods_keep_off(config):
    taints = config["InitConfiguration"]["nodeRegistration"]["taints"]
    assert [taint["key"] for taint in taints] == ["node-role.kubernetes.io/control-plane"]
    assert config["InitConfiguration"]["timeouts"] == {"controlPlaneComponentHealthCheck": "20m"}


def test_the_first_key_writes_and_both_read(host):
    document = yaml.safe_load(host.file("/etc/kubernetes/bedplate/encryption.yml").content_string)
    keys = document["resources"][0]["providers"][0]["secretbox"]["keys"]
    assert [key["name"] for key in keys] == ["second", "first"]


def test_policies_are_left_to_others(host):
    assert not host.file("/var/lib/stand-in/applied").exists


def test_snapshots_come_every_six_hours_and_a_week_of_them_stays(host):
    script = host.file("/usr/local/lib/bedplate/kubernetes/etcd-snapshot").content_string
    assert "folder=/srv/warm/etcd" in script and "tail -n +29" in script
    assert (
        "OnCalendar=*-*-* 00/6:00:00" in host.file("/etc/systemd/system/etcd-snapshot.timer").content_string
    )


def test_the_api_answers_at_the_address_that_the_hosts_share(host):
    until(lambda: holds(host), 20)
    assert host.check_output(ASK) == "200"
    assert host.service("haproxy").is_enabled and host.service("keepalived").is_enabled


def test_the_address_goes_with_the_last_api_server_and_comes_back(host):
    host.check_output("systemctl kill --signal=STOP api-server")
    until(lambda: not holds(host), 20)
    host.check_output("systemctl kill --signal=CONT api-server")
    until(lambda: holds(host), 20)
    assert host.check_output(ASK) == "200"


def test_nobody_else_reaches_the_balancer_s_own_port(host):
    listening = host.check_output("ss --listening --tcp --numeric --no-header")
    assert "127.0.0.1:8082" in listening and "0.0.0.0:8443" not in listening
