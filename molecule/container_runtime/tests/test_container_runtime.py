"""A host that runs containers, with devices by CDI."""

import json
import tomllib

import pytest
from shared import containers
from shared.versions import VERSIONS


@pytest.fixture(scope="module")
def image(host):
    containers.load(host)


@pytest.fixture(scope="module")
def effective(host):
    """What containerd itself makes of all files together."""
    return tomllib.loads(host.check_output("containerd config dump"))


def test_containerd_runs_at_exactly_its_version(host):
    assert host.service("containerd").is_running
    assert host.service("containerd").is_enabled
    said = host.check_output("ctr version | sed -n '/Server/,$ s/.*Version: *v\\?//p'")
    assert said == VERSIONS["version_containerd"]


def test_a_container_sees_the_devices_that_a_description_names(host, image):
    said = containers.run(host, "ls /dev/stand-in*; echo $STAND_IN", "--device=vendor.example/gpu=0")
    assert said.rc == 0, said.stderr
    assert said.stdout.split() == ["/dev/stand-in0", "yes"]


def test_a_container_can_open_its_device_and_sees_no_other(host, image):
    said = containers.run(host, ": </dev/stand-in0 && echo opened; ls /dev", "--device=vendor.example/gpu=0")
    assert "opened" in said.stdout.split(), said.stdout + said.stderr
    assert "stand-in1" not in said.stdout.split()
    without = containers.run(host, "ls /dev")
    assert without.rc == 0, without.stderr
    assert not [name for name in without.stdout.split() if name.startswith("stand-in")]


def test_a_device_that_nobody_describes_is_refused(host, image):
    said = containers.run(host, "ls /dev", "--device=vendor.example/gpu=7")
    assert said.rc != 0 and "vendor.example/gpu=7" in said.stderr


def test_kubernetes_gets_devices_and_cgroups_of_systemd(effective):
    runtime = effective["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["enable_cdi"] is True
    assert runtime["cdi_spec_dirs"] == ["/etc/cdi", "/var/run/cdi"]
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert runtime["containerd"]["default_runtime_name"] == "runc"
    assert "nvidia" not in runtime["containerd"]["runtimes"]


def test_no_file_has_a_higher_version_than_the_one_that_imports_it(host):
    root = host.check_output("sed -n 's/^version = //p' /etc/containerd/config.toml")
    parts = host.check_output("sed -n 's/^version = //p' /etc/containerd/conf.d/*.toml").split()
    assert parts and all(part <= root for part in parts)


def test_memory_can_be_registered(host):
    limit = host.check_output("systemctl show containerd --property LimitMEMLOCK")
    assert limit == "LimitMEMLOCK=infinity"


def test_nothing_deprecated_is_in_use(host):
    """The version of cgroups is the machine's, not the configuration's."""
    said = host.check_output("ctr deprecations list --format json")
    found = {warning["id"].rpartition("/")[2] for warning in json.loads(said or "[]")}
    assert found - {"cgroup-v1"} == set()


def test_the_programs_are_links_to_one_release(host):
    targets = {host.check_output(f"readlink /usr/local/bin/{name}") for name in ("containerd", "ctr")}
    assert len({target.rsplit("/", 1)[0] for target in targets}) == 1
