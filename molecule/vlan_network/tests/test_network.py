"""Two hosts on one switch: what a person would try once the role has run."""

import json

import pytest


@pytest.mark.parametrize(("network", "size"), [("10.21.0", 8972), ("10.31.0", 1472), ("10.11.0", 1472)])
def test_hosts_reach_each_other_with_packets_of_the_full_mtu(hosts, network, size):
    for name, other in (("net-a", 11), ("net-b", 10)):
        asked = hosts[name].run(f"ping -c 2 -W 5 -M do -s {size} {network}.{other}")
        assert asked.rc == 0, asked.stdout + asked.stderr
        larger = hosts[name].run(f"ping -c 1 -W 5 -M do -s {size + 1} {network}.{other}")
        assert larger.rc != 0, "one byte more than the MTU must not fit"


@pytest.mark.parametrize(("device", "vlan"), [("cluster", 20), ("business", 30)])
def test_networks_travel_with_their_vlan_id(host, device, vlan):
    (link,) = json.loads(host.check_output(f"ip -d -j link show {device}"))
    assert link["linkinfo"]["info_data"]["id"] == vlan
    assert link["link"] == "data0"


def test_the_default_route_is_that_of_the_management_network(host):
    (route,) = json.loads(host.check_output("ip -j route show default"))
    assert (route["gateway"], route["dev"]) == ("10.11.0.1", "mgmt0")


def test_nothing_is_left_armed_and_the_installers_file_is_gone(host):
    assert host.run("ls /var/lib/bedplate/safe_change/*/armed").rc != 0
    assert not host.file("/etc/systemd/network/90-installer.network").exists
    assert "restore" not in host.check_output("systemctl list-timers --all --no-legend")


def test_the_result_says_who_answered(host):
    result = json.loads(host.file("/var/lib/bedplate/results/vlan_network.json").content_string)
    assert result["faults"] == []
    assert {r["device"] for r in result["reachable"] if r["answers"]} == {"mgmt0", "cluster", "business"}
    assert all(r["full_frames"] for r in result["reachable"] if r["role"] == "peer")
