"""A host with two V100 and everything of role nvidia_driver set to something else."""

import json

import pytest
from shared import rerun

WANTED = "580.95.05"
MODULE = "/lib/modules/6.1.0-49-amd64/updates/dkms/nvidia.ko"
SOURCE = "/etc/apt/sources.list.d/nvidia.sources"


def test_the_older_driver_took_the_place_of_the_newer_one(host):
    assert host.package("nvidia-driver-cuda").version == f"{WANTED}-1"
    assert host.package("libcuda1").version == f"{WANTED}-1"


def test_volta_gets_the_proprietary_module_in_place_of_the_open_one(host):
    assert host.check_output(f"modinfo -F version {MODULE}") == WANTED
    assert host.check_output(f"modinfo -F license {MODULE}") == "NVIDIA"
    assert not host.package("nvidia-kernel-open-dkms").is_installed


def test_a_pinning_package_of_another_branch_does_not_get_its_way(host):
    assert host.package("nvidia-driver-pinning-595").is_installed
    assert f"Candidate: {WANTED}-1" in host.check_output("apt-cache policy nvidia-driver-cuda")


def test_companions_came_with_the_driver_and_are_held_with_it(host):
    assert host.package("nvidia-fabricmanager").version == f"{WANTED}-1"
    assert {"nvidia-fabricmanager", "nvidia-driver-cuda"} <= set(
        host.check_output("apt-mark showhold").split()
    )
    history = host.file("/var/log/apt/history.log").content_string.splitlines()
    together = [line for line in history if line.startswith("Commandline:") and WANTED in line]
    assert len(together) == 1
    assert f"nvidia-fabricmanager={WANTED}-1" in together[0]
    assert f"nvidia-driver-cuda={WANTED}-1" in together[0]


def test_everything_came_from_the_sites_mirror(host):
    assert "URIs: file:/srv/mirror/nvidia/debian12/x86_64/" in host.file(SOURCE).content_string
    assert "developer.download.nvidia.com" not in host.check_output("cat /etc/apt/sources.list.d/*")


def test_options_reach_the_module(host):
    lines = host.file("/etc/modprobe.d/bedplate-nvidia.conf").content_string.splitlines()
    assert "options nvidia NVreg_RestrictProfilingToAdminUsers=0" in lines


def test_persistence_daemon_is_off(host):
    assert not host.service("nvidia-persistenced").is_enabled
    assert not host.service("nvidia-persistenced").is_running


def test_nouveau_is_a_reason_to_boot(host):
    result = rerun.converge()
    assert result.changed == 0
    assert "has to be booted: nouveau is loaded" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"nvidia_driver_kernel_module": "open"}, "open kernel module does not drive v100-sxm2-32gb"),
        ({"nvidia_driver_build": "precompiled"}, "there are no precompiled modules of branch 580"),
        ({"nvidia_driver_kernel": "6.1.0-48-amd64"}, "no package source has linux-headers-6.1.0-48-amd64"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(host, variables, says):
    result = rerun.converge(**variables)
    assert result.rc != 0
    assert says in result.failures[0][2]
    assert result.changed == 0


def test_a_key_with_another_fingerprint_is_refused_and_the_old_one_stays(host, carry):
    before = host.file(SOURCE).content_string
    key = host.file("/etc/apt/keyrings/nvidia.gpg").sha256sum
    other = {
        "url": "file:/srv/mirror/nvidia/debian12/x86_64/",
        "key": "file:/srv/mirror/nvidia/debian12/x86_64/key.asc",
    }
    result = rerun.converge(nvidia_driver_repository=other | {"fingerprint": "AB" * 20})
    assert "and " + "AB" * 20 + " is wanted" in result.failures[0][2]
    result = rerun.converge(nvidia_driver_repository=other)
    assert "has no fingerprint to be known by" in result.failures[0][2]
    assert host.file(SOURCE).content_string == before
    assert host.file("/etc/apt/keyrings/nvidia.gpg").sha256sum == key


def test_a_repository_that_somebody_has_changed_is_refused_and_the_old_source_stays(host):
    before = host.file(SOURCE).content_string
    folder = "/srv/mirror/changed"
    host.check_output(
        f"cp -r /srv/mirror/nvidia/debian12/x86_64 {folder} && sed -i s/stand-in/tampered/ {folder}/InRelease"
    )
    key = host.file(f"{folder}/key.asc").content_string
    result = rerun.converge(nvidia_driver_repository={"url": f"file:{folder}/", "key": key})
    assert result.rc != 0
    assert "apt failed" in result.failures[0][2]
    assert "is not signed" in result.failures[0][2]  # apt's last word on a signature that does not fit
    assert host.file(SOURCE).content_string == before


def test_blackwell_beside_volta_has_no_module(host):
    """The last one: the machine is another afterwards."""
    rerun.machine(host, json.dumps({"gpus": {"1db5": 1, "2901": 1}}))
    result = rerun.converge()
    assert "no kernel module drives all GPUs" in result.failures[0][2]
