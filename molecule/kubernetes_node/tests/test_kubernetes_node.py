"""A host that can become a node: programs, kubelet's own configuration, a bridge for its pods."""

import json

import pytest
import yaml
from shared.rerun import converge

DROPIN = "/etc/kubernetes/kubelet.conf.d/10-bedplate.conf"


@pytest.fixture(scope="module")
def kubelet(host):
    return yaml.safe_load(host.file(DROPIN).content_string)


def test_programs_are_links_to_one_release(host):
    targets = {
        host.check_output(f"readlink /usr/local/bin/{name}") for name in ("kubelet", "kubeadm", "kubectl")
    }
    assert len({target.rsplit("/", 1)[0] for target in targets}) == 1


def test_the_system_keeps_its_part_and_pods_go_before_the_host_suffers(kubelet):
    assert kubelet["systemReserved"] == {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "50G"}
    assert kubelet["evictionHard"]["memory.available"] == "1Gi"
    assert (kubelet["shutdownGracePeriod"], kubelet["shutdownGracePeriodCriticalPods"]) == ("120s", "30s")


def test_a_host_without_gpus_shares_its_processors(kubelet):
    assert (kubelet["cpuManagerPolicy"], kubelet["topologyManagerPolicy"]) == ("none", "none")


def test_pods_get_addresses_of_the_host_s_part_at_the_network_s_mtu(host):
    bridge, _ = json.loads(host.file("/etc/cni/net.d/10-bedplate.conflist").content_string)["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert (bridge["ipMasq"], bridge["mtu"]) == (False, 9000)


def test_only_what_leaves_the_cluster_is_masqueraded(host):
    rules = host.check_output("nft list table ip bedplate-pods")
    assert "ip saddr 10.244.1.0/24" in rules and "masquerade" in rules
    assert all(subnet in rules for subnet in ("10.244.0.0/16", "10.96.0.0/16", "10.20.0.0/24"))


def test_kubelet_waits_until_the_host_is_a_node(host):
    assert host.service("kubelet").is_enabled
    assert not host.service("kubelet").is_running
    assert "--node-ip=10.20.0.10" in host.file("/etc/systemd/system/kubelet.service").content_string


def test_a_release_without_its_digest_is_refused(host):
    done = converge(kubernetes_node_sha256="")
    assert done.rc != 0 and "kubernetes_node_sha256 is empty" in done.failures[0][2]
