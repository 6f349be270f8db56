"""A host without RDMA ports: the tools are there, and nothing is set."""


def test_tools_are_there(host):
    for tool in ("ibv_devinfo", "ib_write_bw", "ib_send_lat", "ethtool"):
        assert host.exists(tool), tool


def test_logins_may_register_memory(host):
    assert host.file("/etc/security/limits.d/95-bedplate-rdma.conf").content_string == (
        "* soft memlock unlimited\n* hard memlock unlimited\n"
    )


def test_nothing_runs_at_boot_for_ports_that_are_not_there(host):
    assert not host.file("/etc/systemd/system/bedplate-rdma.service").exists
    assert not host.file("/usr/local/lib/bedplate/rdma_ports").exists
