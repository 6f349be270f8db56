"""What programs and files of a host say, in the planner's words."""

import pytest
from vlan_network import observe
from vlan_network.model import Live, LiveRoute, WayIn

LINKS = [
    {"ifname": "lo", "link_type": "loopback", "flags": ["LOOPBACK", "UP", "LOWER_UP"], "mtu": 65536,
     "address": "00:00:00:00:00:00", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
    {"ifname": "mgmt0", "link_type": "ether", "flags": ["UP", "LOWER_UP"], "mtu": 1500, "max_mtu": 9194,
     "address": "52:54:00:10:00:0B", "addr_info": [
         {"local": "10.10.0.11", "prefixlen": 24, "scope": "global"},
         {"local": "fe80::1", "prefixlen": 64, "scope": "link"}]},
    {"ifname": "data0", "link_type": "ether", "flags": ["UP", "LOWER_UP"], "mtu": 9000, "max_mtu": 9978,
     "master": "bond0", "address": "52:54:00:aa:aa:aa", "permaddr": "52:54:00:20:00:0b",
     "linkinfo": {"info_slave_kind": "bond"}},
    {"ifname": "bond0", "link_type": "ether", "flags": ["UP", "NO-CARRIER"], "mtu": 9000,
     "address": "52:54:00:aa:aa:aa",
     "linkinfo": {"info_kind": "bond", "info_data": {"mode": "802.3ad", "miimon": 100, "min_links": 1,
                  "xmit_hash_policy": "layer3+4", "ad_lacp_rate": "fast", "updelay": 0}}},
    {"ifname": "cluster", "link": "bond0", "link_type": "ether", "flags": ["UP", "LOWER_UP"], "mtu": 9000,
     "address": "52:54:00:aa:aa:aa", "linkinfo": {"info_kind": "vlan", "info_data": {"id": 20}},
     "addr_info": [{"local": "fd20::11", "prefixlen": 64, "scope": "global"}]},
    {"ifname": "cali1", "link_type": "ether", "flags": ["UP", "LOWER_UP"], "mtu": 1450,
     "address": "ee:ee:ee:ee:ee:ee",
     "link_index": 3, "linkinfo": {"info_kind": "veth"}},
]  # fmt: skip


def test_devices_of_ip():
    found = observe.devices(LINKS)
    assert found["mgmt0"] == Live(
        "mgmt0", "nic", "52:54:00:10:00:0b", mtu=1500, max_mtu=9194, addresses=("10.10.0.11/24",)
    )
    assert found["data0"].mac == "52:54:00:20:00:0b", "the permanent address, not that of the bond"
    assert found["data0"].master == "bond0"
    assert found["bond0"].bond["ad_lacp_rate"] == "fast"
    assert (found["bond0"].up, found["bond0"].carrier) == (True, False)
    assert (found["cluster"].vlan, found["cluster"].parent) == (20, "bond0")
    assert found["cluster"].addresses == ("fd20::11/64",)
    assert found["lo"].kind == "loopback"


def test_routes_of_ip():
    listing = [
        {"dst": "default", "gateway": "10.10.0.1", "dev": "mgmt0", "metric": 100},
        {"dst": "default", "gateway": "fd20::1", "dev": "cluster", "metric": 1024},
        {"dst": "10.10.0.0/24", "dev": "mgmt0"},
        {"dst": "10.99.0.7", "gateway": "10.10.0.9", "dev": "mgmt0"},
    ]
    assert observe.routes(listing) == (
        LiveRoute("0.0.0.0/0", "10.10.0.1", "mgmt0", 100),
        LiveRoute("::/0", "fd20::1", "cluster", 1024),
        LiveRoute("10.99.0.7/32", "10.10.0.9", "mgmt0", 0),
    )


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("10.10.0.200 50022 10.10.0.11 22", WayIn("mgmt0", "10.10.0.11", "10.10.0.200")),
        ("fd20::99 50022 fd20::11 22", WayIn("cluster", "fd20::11", "fd20::99")),
        ("10.10.0.200 50022 192.0.2.1 22", None),
        ("", None),
    ],
)
def test_the_way_in(said, way):
    assert observe.way_in(said, observe.devices(LINKS)) == way


CLAIMS = {
    "a name": ("[Match]\nName=eno1\n[Network]\nDHCP=yes\n", ("eno1",)),
    "several names": ("[Match]\nName=eno1 eno2\n", ("eno1", "eno2")),
    "a pattern": ("[Match]\nName=en*\n[Network]\nDHCP=yes\n", ("en*",)),
    "a MAC address": ("[Match]\nMACAddress=52:54:00:AA:00:01\n", ("52:54:00:aa:00:01",)),
    "a permanent one": ("# x\n[Match]\nPermanentMACAddress = 52:54:00:aa:00:01\n", ("52:54:00:aa:00:01",)),
    "a device that it makes": ("[NetDev]\nName=bond0\nKind=bond\n", ("bond0",)),
    "a name elsewhere": ("[Match]\nType=wlan\n[Link]\nName=eno1\n", ()),
}


@pytest.mark.parametrize(("text", "claimed"), CLAIMS.values(), ids=CLAIMS.keys())
def test_what_a_file_of_networkd_is_about(text, claimed):
    assert observe.claims_of_networkd(text) == claimed


NETPLANS = {
    "by id": ({"network": {"version": 2, "ethernets": {"eno1": {"dhcp4": True}}}}, ("eno1",)),
    "by MAC address": (
        {"network": {"ethernets": {"a": {"match": {"macaddress": "52:54:00:AA:00:01"}, "set-name": "eno1"}}}},
        ("eno1", "52:54:00:aa:00:01"),
    ),
    "by pattern": ({"network": {"ethernets": {"all": {"match": {"name": "en*"}}}}}, ("en*",)),
    "bonds and VLANs": (
        {"network": {"bonds": {"bond0": {"interfaces": ["a"]}}, "vlans": {"v7": {"id": 7, "link": "bond0"}}}},
        ("bond0", "v7"),
    ),
    "nothing": ({"network": {"version": 2, "renderer": "networkd"}}, ()),
    "an empty file": (None, ()),
}


@pytest.mark.parametrize(("document", "claimed"), NETPLANS.values(), ids=NETPLANS.keys())
def test_what_a_file_of_netplan_is_about(document, claimed):
    assert observe.claims_of_netplan(document) == claimed


def test_ifupdown_configures_all_but_loopback():
    text = "auto lo\niface lo inet loopback\n\niface eno1 inet dhcp\n# iface eno2 inet dhcp\n"
    (owner,) = observe.ifupdown({"/etc/network/interfaces": text})
    assert (owner.program, owner.file, owner.device) == ("ifupdown", "/etc/network/interfaces", "eno1")
    assert "/etc/network/interfaces" in owner.remedy


def test_network_manager_by_name_and_by_mac_address():
    text = "[connection]\nid=x\ninterface-name=eno1\n[ethernet]\nmac-address=52:54:00:AA:00:01\n"
    assert [o.device for o in observe.network_manager({"/etc/x.nmconnection": text})] == [
        "eno1",
        "52:54:00:aa:00:01",
    ]


def test_cloud_init_is_an_owner_until_it_is_told_to_leave_the_network_alone():
    text = (
        "# This file is generated by the datasource.\n# cloud-init's network\nnetwork:\n"
        "    ethernets:\n        enp1s0:\n            dhcp4: true\n            match:\n"
        "                macaddress: 52:54:00:AA:00:01\n            set-name: enp1s0\n    version: 2\n"
    )
    owners = observe.cloud_init({"/etc/netplan/50-cloud-init.yaml": text}, disabled=False)
    assert {o.device for o in owners} == {"enp1s0", "52:54:00:aa:00:01"}
    assert "99-disable-network-config.cfg" in owners[0].remedy
    assert observe.cloud_init({"/etc/netplan/50-cloud-init.yaml": text}, disabled=True) == []
    assert observe.cloud_init({"/etc/netplan/00-installer.yaml": "network: {}"}, disabled=False) == []


MEMBER = "Slave Interface: {}\nMII Status: {}\nAggregator ID: {}\n"
HEAD = "Bonding Mode: IEEE 802.3ad Dynamic link aggregation\nMII Status: up\nPartner Mac Address: {}\n\n"
GOOD = HEAD.format("00:1b:21:aa:bb:cc")
BONDS = {
    "healthy": (GOOD + MEMBER.format("a", "up", 1) + MEMBER.format("b", "up", 1), True, []),
    "a member is down": (
        GOOD + MEMBER.format("a", "up", 1) + MEMBER.format("b", "down", 1), True,
        ["member b of bond bond0 is down"],
    ),
    "nobody at the other end": (
        HEAD.format("00:00:00:00:00:00") + MEMBER.format("a", "up", 1), True,
        ["bond bond0 has no LACP partner"],
    ),
    "nobody is needed there": (HEAD.format("00:00:00:00:00:00") + MEMBER.format("a", "up", 1), False, []),
    "two switches that know nothing of each other": (
        GOOD + MEMBER.format("a", "up", 1) + MEMBER.format("b", "up", 2), True,
        ["members of bond bond0 are in 2"],
    ),
    "a member of active-backup is down": (
        "Bonding Mode: fault-tolerance (active-backup)\nMII Status: up\n\n" + MEMBER.format("a", "down", 1),
        True, ["member a of bond bond0 is down"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "partner", "said"), BONDS.values(), ids=BONDS.keys())
def test_what_is_wrong_with_a_bond(text, partner, said):
    found = observe.bond_faults({"bond0": text}, partner)
    assert len(found) == len(said)
    assert all(fault.startswith(start) for fault, start in zip(found, said, strict=True))
