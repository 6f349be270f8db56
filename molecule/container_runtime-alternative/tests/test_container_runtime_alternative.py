"""A host with NVIDIA's runtime, registry mirrors, Docker, and folders of its own."""

import json
import tomllib

import pytest
from shared import containers


@pytest.fixture(scope="module")
def effective(host):
    """What containerd itself makes of all files together."""
    return tomllib.loads(host.check_output("containerd config dump"))


def test_images_lie_on_the_fast_tier(host, effective):
    assert effective["root"] == "/srv/hot/containerd"
    containers.load(host)
    assert host.check_output("ls /srv/hot/containerd/io.containerd.content.v1.content/blobs/sha256") != ""


def test_the_runtime_of_nvidia_is_everybodys(effective):
    runtimes = effective["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]
    assert runtimes["default_runtime_name"] == "nvidia"
    assert runtimes["runtimes"]["nvidia"]["runtime_type"] == "io.containerd.runc.v2"
    assert runtimes["runtimes"]["nvidia"]["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"
    assert runtimes["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


def test_toolkit_is_pinned_and_held(host):
    held = set(host.check_output("apt-mark showhold").split())
    assert {"nvidia-container-toolkit", "libnvidia-container1"} <= held
    assert host.package("nvidia-container-toolkit").version == "1.20.0-1"


def test_description_of_gpus_is_renewed_and_has_one_owner(host):
    assert host.service("nvidia-cdi-refresh.path").is_enabled
    assert not host.file("/etc/cdi/nvidia.yaml").exists


def test_sandbox_and_folders(effective):
    images = effective["plugins"]["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == "registry.example.internal/pause:3.10.2"
    assert images["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert effective["plugins"]["io.containerd.cri.v1.runtime"]["cdi_spec_dirs"][-1] == "/srv/cdi"


def test_a_pull_asks_the_mirror_and_nobody_else(host):
    """A pull of an unnamed registry goes to the mirror, whose name nobody knows here: the message shows
    it."""
    said = host.run("ctr image pull --hosts-dir /etc/containerd/certs.d quay.io/acme/thing:1")
    assert said.rc != 0
    assert "mirror.example.internal" in said.stderr + said.stdout
    assert "quay.io/v2" not in said.stderr + said.stdout


def test_docker_stands_beside_containerd(host):
    assert host.package("docker-ce").is_installed
    assert host.service("docker").is_running
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["exec-opts"] == ["native.cgroupdriver=systemd"]
    assert settings["features"] == {"cdi": True}
    assert settings["runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"
