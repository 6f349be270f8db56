"""A host with GPUs behind NVSwitches and the defaults of role nvlink, as a person would check it."""

import json

from shared import rerun
from shared.versions import VERSIONS

WANTED = VERSIONS["version_nvidia_driver"]
UNIT = "nvidia-fabricmanager"


def test_the_fabric_manager_has_exactly_the_drivers_version_and_is_held(host):
    for name in (UNIT, "libnvidia-nscq"):
        assert host.package(name).version == f"{WANTED}-1"
        assert name in host.check_output("apt-mark showhold").split()


def test_it_runs_and_will_after_a_boot(host):
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled


def test_what_is_only_for_newer_boards_is_not_there(host):
    assert not host.package("nvlsm").is_installed
    assert not host.file("/etc/modules-load.d/bedplate-nvlink.conf").exists


def test_a_gpu_that_has_not_joined_is_named(host):
    healthy = host.file("/srv/nvidia-smi.xml").content_string
    broken = healthy.replace("<state>Completed</state>", "<state>In Progress</state>", 1)
    put(host, broken)
    result = rerun.converge(nvlink_timeout=1)
    put(host, healthy)
    assert result.rc != 0
    assert "fabric In Progress" in result.failures[0][2]
    assert "systemctl status nvidia-fabricmanager" in result.failures[0][2]


def test_a_gpu_that_is_missing_is_counted(host):
    result = rerun.converge(
        hardware_gpus={"model": "h100-sxm5-80gb", "count": 5},
        catalogue_gpus={
            "h100-sxm5-80gb": {"fabric": "nvswitch", "fabric_boards": [5], "device_ids": ["2330"]}
        },
    )
    assert "nvidia-smi shows 4 GPUs, and the inventory has 5" in result.failures[0][2]


def test_another_version_than_the_drivers_is_refused(host):
    result = rerun.converge(version_nvidia_fabric_manager="580.95.05")
    assert "set both to the same" in result.failures[0][2]
    assert host.package(UNIT).version == f"{WANTED}-1"


def test_beside_another_loaded_driver_it_is_not_started(host):
    host.check_output(f"systemctl stop {UNIT}")
    rerun.machine(host, json.dumps({"gpus": {"2330": 4}, "loaded": "580.95.05"}))
    result = rerun.converge()
    assert result.rc == 0, result.failures
    assert result.changed == 0
    assert not host.service(UNIT).is_running


def test_a_host_without_a_switch_gets_nothing_done(host):
    result = rerun.converge(hardware_gpus={"model": "h100-sxm5-80gb", "count": 2})
    assert result.rc == 0, result.failures
    (executed,) = result.tasks.values()
    assert executed == 2  # facts and the argument spec


def put(host, text):
    """Other words for nvidia-smi."""
    command = f"podman exec -i {host.backend.name} sh -c 'cat > /srv/nvidia-smi.xml' <<'END'\n{text}END"
    assert host.backend.run_local(command).rc == 0
