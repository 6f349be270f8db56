"""A host with eight H100 and the defaults of role nvidia_driver, as a person would check it."""

import json

import pytest
from shared import rerun
from shared.versions import VERSIONS

WANTED = VERSIONS["version_nvidia_driver"]
KERNEL = "6.1.0-49-amd64"
MODULE = f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko"


def versions(host, *patterns):
    """Installed packages by name."""
    listing = host.run(
        f"dpkg-query -W -f '${{Package}} ${{Version}} ${{db:Status-Status}}\\n' {' '.join(patterns)}"
    )
    rows = [line.split() for line in listing.stdout.splitlines()]
    return {row[0]: row[1] for row in rows if row[-1] == "installed"}


def test_every_package_of_the_driver_has_exactly_its_version(host):
    found = versions(host, "'nvidia-*'", "'libnvidia-*'", "libcuda1")
    assert found["nvidia-driver-cuda"] == f"{WANTED}-1"
    assert set(found.values()) == {f"{WANTED}-1"}, found


def test_h100_gets_the_open_module_and_the_kernel_has_it(host):
    assert host.check_output(f"modinfo -F version {MODULE}") == WANTED
    assert host.check_output(f"modinfo -F license {MODULE}") == "Dual MIT/GPL"
    assert not host.package("nvidia-kernel-dkms").is_installed


def test_a_newer_driver_is_there_and_apt_does_not_want_it(host):
    assert "595.91.07-1" in host.check_output("apt-cache madison nvidia-driver-cuda")
    answer = host.check_output("apt-get --simulate dist-upgrade")
    assert "0 upgraded, 0 newly installed" in answer
    unheld = host.check_output("apt-cache policy nvidia-driver-cuda")
    assert f"Candidate: {WANTED}-1" in unheld


def test_everything_of_the_driver_is_held(host):
    held = set(host.check_output("apt-mark showhold").split())
    assert set(versions(host, "'nvidia-*'", "'libnvidia-*'", "libcuda1")) <= held


def test_no_kernel_came_with_it(host):
    assert versions(host, "'linux-image-*'") == {}
    assert set(versions(host, "'linux-headers-*'")) == {f"linux-headers-{KERNEL}"}


def test_nouveau_stays_away_and_the_initial_ram_disk_knows(host):
    lines = host.file("/etc/modprobe.d/bedplate-nvidia.conf").content_string.splitlines()
    assert {"blacklist nouveau", "options nouveau modeset=0"} <= set(lines)
    assert host.file("/var/log/initramfs-made").content_string.splitlines() == [f"-u -k {KERNEL}"]


def test_persistence_daemon_runs_because_there_are_gpus(host):
    assert host.service("nvidia-persistenced").is_enabled
    assert host.service("nvidia-persistenced").is_running


def test_the_vendors_source_is_signed_by_the_key_that_was_given(host):
    source = host.file("/etc/apt/sources.list.d/nvidia.sources").content_string
    assert "Signed-By: /etc/apt/keyrings/nvidia.gpg" in source
    assert "trusted" not in source.lower()


def test_secure_boot_is_refused_with_the_remedy_before_anything_is_installed(host):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}, "secure_boot": True}))
    before = versions(host, "'*'")
    result = rerun.converge(version_nvidia_driver="595.91.07")
    assert result.rc != 0
    (failure,) = result.failures
    assert "Secure Boot is on" in failure[2]
    assert "precompiled" in failure[2] and "nvidia_driver_secure_boot" in failure[2]
    assert result.changed == 0
    assert versions(host, "'*'") == before


def test_an_enrolled_key_is_taken_at_its_word(host):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}, "secure_boot": True}))
    result = rerun.converge(nvidia_driver_secure_boot="enrolled")
    assert result.rc == 0, result.failures
    assert result.changed == 0


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("580.99.99", "no package source has nvidia-driver-cuda 580.99.99; there are 580."),
        ("590.44.01", "apt would change the kernel with it (linux-image-6.1.0-50-amd64"),
    ],
)
def test_what_cannot_be_had_is_refused_and_changes_nothing(host, version, says):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}}))
    before = versions(host, "'*'")
    pins = host.file("/etc/apt/preferences.d/bedplate-nvidia-driver").content_string
    result = rerun.converge(version_nvidia_driver=version)
    assert result.rc != 0
    assert says in result.failures[0][2]
    assert versions(host, "'*'") == before
    assert host.file("/etc/apt/preferences.d/bedplate-nvidia-driver").content_string == pins


def test_a_gpu_in_use_keeps_its_driver(host):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}, "loaded": WANTED}))
    host.check_output(
        "touch /dev/nvidia0 && systemd-run --unit=training sh -c 'exec 3</dev/nvidia0; sleep 600'"
    )
    try:
        result = rerun.converge(version_nvidia_driver="595.91.07")
    finally:
        host.check_output("systemctl stop training.service && rm /dev/nvidia0")
    assert f"driver {WANTED} is in use by s" in result.failures[0][2]
    assert "Drain the host" in result.failures[0][2]


def test_check_mode_says_what_a_branch_change_would_do_and_does_nothing(host):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}}))
    before = versions(host, "'*'")
    result = rerun.converge(check=True, version_nvidia_driver="595.91.07")
    assert result.rc == 0, result.failures
    assert f"nvidia-driver-cuda {WANTED}-1 -> 595.91.07-1" in result.output
    assert versions(host, "'*'") == before


def test_a_change_that_was_cut_off_is_finished_by_the_next_run(host):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}}))
    host.check_output("touch /run/cut-the-power")
    assert rerun.converge(version_nvidia_driver="595.91.07").rc != 0
    assert "must manually run 'dpkg --configure -a'" in host.run("apt-get install --yes dpkg").stderr
    told = rerun.converge(check=True, version_nvidia_driver="595.91.07")
    assert "half done -> finished" in told.output
    result = rerun.converge(version_nvidia_driver="595.91.07")
    assert result.rc == 0, result.failures
    assert host.check_output("dpkg --audit") == ""
    assert versions(host, "nvidia-driver-cuda")["nvidia-driver-cuda"] == "595.91.07-1"
    assert rerun.converge(version_nvidia_driver="595.91.07").changed == 0
    assert rerun.converge().rc == 0


def test_a_branch_change_ends_pinned_and_held_at_the_new_version(host):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}, "loaded": WANTED}))
    result = rerun.converge(version_nvidia_driver="595.91.07")
    assert result.rc == 0, result.failures
    found = versions(host, "'nvidia-*'", "'libnvidia-*'", "libcuda1")
    assert set(found.values()) == {"595.91.07-1"}, found
    assert set(found) <= set(host.check_output("apt-mark showhold").split())
    assert host.check_output(f"modinfo -F version {MODULE}") == "595.91.07"
    assert f"has to be booted: driver {WANTED} is loaded and 595.91.07 is installed" in " ".join(
        result.output.split()
    )
    assert rerun.converge(version_nvidia_driver="595.91.07").changed == 0


def test_the_way_back_is_a_downgrade_in_one_run(host):
    rerun.machine(host, json.dumps({"gpus": {"2330": 8}}))
    result = rerun.converge()
    assert result.rc == 0, result.failures
    assert set(versions(host, "'nvidia-*'", "'libnvidia-*'", "libcuda1").values()) == {f"{WANTED}-1"}
    assert rerun.converge().changed == 0
