"""A host with eight B200 before its first boot with the driver."""

from shared import rerun

UNIT = "nvidia-fabricmanager"


def test_the_subnet_manager_comes_with_the_fabric_manager(host):
    assert host.package(UNIT).version == "595.91.07-1"
    for name in ("nvlsm", "libibumad3", "infiniband-diags"):
        assert host.package(name).is_installed
        assert name in host.check_output("apt-mark showhold").split()


def test_what_it_is_managed_through_is_loaded_at_boot(host):
    lines = host.file("/etc/modules-load.d/bedplate-nvlink.conf").content_string.split()
    assert lines == ["mlx5_core", "ib_umad"]


def test_settings_replace_defaults_and_leave_the_others(host):
    lines = host.file("/usr/share/nvidia/nvswitch/fabricmanager.cfg").content_string.splitlines()
    assert sorted(lines) == ["FABRIC_MODE=0", "LOG_LEVEL=3", "LOG_USE_SYSLOG=1"]


def test_it_waits_for_the_driver_and_starts_at_the_next_boot(host):
    assert host.service(UNIT).is_enabled
    assert not host.service(UNIT).is_running


def test_a_kernel_that_is_too_old_for_these_switches_is_refused(host):
    result = rerun.converge(__nvlink_kernel="5.15.0-161-generic")
    assert result.rc != 0
    assert "runs kernel 5.15.0-161-generic" in result.failures[0][2]
    assert "5.17 or later" in result.failures[0][2]
    assert result.changed == 0
