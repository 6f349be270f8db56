"""Management in a VLAN, data on a bond: what a person would try."""

import json


def test_hosts_reach_each_other_over_the_bond_with_packets_of_the_full_mtu(hosts):
    for name, other in (("alt-a", 11), ("alt-b", 10)):
        for network in ("10.22.0", "10.32.0"):
            asked = hosts[name].run(f"ping -c 2 -W 5 -M do -s 8972 {network}.{other}")
            assert asked.rc == 0, asked.stdout + asked.stderr


def test_the_bond_has_both_nics_and_survives_the_loss_of_the_active_one(host):
    text = host.file("/proc/net/bonding/bond0").content_string
    assert "active-backup" in text
    assert text.count("MII Status: up") == 3
    active = text.split("Currently Active Slave: ")[1].split()[0]
    host.check_output(f"ip link set {active} down")
    try:
        assert host.run("ping -c 3 -W 5 10.22.0.11").rc == 0
    finally:
        host.check_output(f"ip link set {active} up")


def test_management_is_the_vlan_and_the_installers_device_is_gone(host):
    (link,) = json.loads(host.check_output("ip -d -j link show management"))
    assert (link["link"], link["linkinfo"]["info_data"]["id"]) == ("mgmt0", 5)
    assert not host.interface("mgmt0.5").exists


def test_routes_are_those_of_the_inventory(host):
    routes = json.loads(host.check_output("ip -j route show"))
    found = {(r["dst"], r["gateway"], r["dev"], r["metric"]) for r in routes if "gateway" in r}
    assert found == {
        ("default", "10.12.0.1", "management", 100),
        ("default", "10.32.0.11", "bond0", 200),
        ("10.99.0.0/16", "10.22.0.11", "cluster", 50),
    }


def test_the_name_server_is_known_to_networkd(host):
    assert "10.12.0.1" in host.check_output("networkctl status management --no-pager")
