"""A GPU node with everything set, and images that nobody has to pull."""

import pytest
import yaml
from shared.rerun import converge

IMAGES = {"registry.example.internal/one:1", "registry.example.internal/two:1"}


@pytest.fixture(scope="module")
def kubelet(host):
    return yaml.safe_load(host.file("/etc/kubernetes/kubelet.conf.d/10-bedplate.conf").content_string)


def test_gpu_pods_get_whole_processors_near_their_gpus(kubelet):
    assert kubelet["cpuManagerPolicy"] == "static"
    assert kubelet["topologyManagerScope"] == "pod"


def test_what_the_inventory_says_wins(kubelet):
    assert (kubelet["maxPods"], kubelet["topologyManagerPolicy"]) == (250, "best-effort")
    assert kubelet["evictionHard"] == {"memory.available": "2Gi"}
    assert kubelet["systemReserved"]["memory"] == "16Gi"


def test_the_pod_network_is_left_to_others(host):
    assert not host.file("/etc/cni/net.d/10-bedplate.conflist").exists
    assert host.run("nft list table ip bedplate-pods").rc != 0


def test_images_are_there_and_stay(host):
    lines = [line.split() for line in host.check_output("ctr --namespace k8s.io images ls").splitlines()[1:]]
    pinned = {words[0] for words in lines if "io.cri-containerd.pinned=pinned" in words[-1]}
    assert pinned >= IMAGES


def test_an_image_that_was_lost_comes_back(host):
    host.check_output("ctr --namespace k8s.io images rm registry.example.internal/one:1")
    done = converge()
    assert [task for _, task in done.changed_tasks] == ["Import images from archives"]
    assert "registry.example.internal/one:1" in host.check_output("ctr --namespace k8s.io images ls --quiet")


def test_archives_that_are_not_there_are_refused(host):
    done = converge(kubernetes_node_image_archives=["/srv/images/*.tar", "/srv/other/*.tar"])
    assert done.rc != 0 and "no archive is called /srv/other/*.tar" in done.failures[0][2]
