"""A host with a RoCE port, whose card is played by tools that remember what they were told."""


def asked(host):
    """What the port is set to now."""
    return {name: host.file(f"/run/card/{name}").content_string.strip() for name in ("app", "pfc", "pause")}


WISHED = {
    "app": "dscp-prio 24:4",
    "pfc": "prio-pfc 0:off 1:off 2:off 3:off 4:on 5:off 6:off 7:off",
    "pause": "Pause parameters for data0:\nRX:\t\toff\nTX:\t\toff",
}


def test_nvidias_stack_is_there_at_exactly_its_version_and_held(host):
    assert host.package("doca-ofed").version == "3.2.3-019000"
    assert "doca-ofed" in host.check_output("apt-mark showhold").split()
    assert "3.3.0-012000" in host.check_output("apt-cache madison doca-ofed")
    assert "0 upgraded, 0 newly installed" in host.check_output("apt-get --simulate dist-upgrade")


def test_the_port_is_set(host):
    assert asked(host) == WISHED


def test_a_boot_sets_it_again(host):
    """Whatever a card forgets: the unit that runs at every boot sets all of it from nothing."""
    host.check_output("rm -rf /run/card && systemctl restart bedplate-rdma.service")
    assert asked(host) == WISHED
    assert host.service("bedplate-rdma").is_enabled


def test_logins_may_register_as_much_as_was_said(host):
    assert (
        "* hard memlock 1048576\n" in host.file("/etc/security/limits.d/95-bedplate-rdma.conf").content_string
    )
