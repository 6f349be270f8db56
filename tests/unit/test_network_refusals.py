"""What the network planner refuses: what it names, why, and what to do. Nothing is planned then."""

from dataclasses import replace

import pytest
from vlan_network.model import NETPLAN, Live, Owner, WayIn
from vlan_network.plan import plan
from vlan_network.wish import wish

from tests.network_samples import (
    ADDRESSES,
    BONDED,
    DATA0,
    INSTALLER_TEXT,
    LINKS,
    NETWORKS,
    NICS,
    OTHER,
    apply,
    desired,
    fresh_host,
    with_device,
    words,
)


def network(name: str, /, **changes) -> list[dict]:
    return [{**n, **changes} if n["name"] == name else n for n in NETWORKS]


def link(name: str, /, **changes) -> list[dict]:
    return [{**entry, **changes} if entry["name"] == name else entry for entry in LINKS]


def owned(program: str, file: str, device: str):
    return replace(fresh_host(), owners=(Owner(program, file, device, "Do this"),))


def without(*names: str):
    observed = fresh_host()
    return replace(observed, devices={n: d for n, d in observed.devices.items() if n not in names})


def live(name: str, /, **changes):
    observed = fresh_host()
    return with_device(observed, replace(observed.devices[name], **changes))


HOSTS = {
    "a NIC that the host does not have": (
        without("data0"),
        {},
        "NIC data0: no NIC of this host has the permanent MAC address 52:54:00:00:00:02",
    ),
    "a NIC of ifupdown": (
        owned("ifupdown", "/etc/network/interfaces", "mgmt0"),
        {},
        "nic mgmt0: ifupdown configures it too (/etc/network/interfaces). Do this",
    ),
    "a NIC of NetworkManager, by MAC address": (
        owned("NetworkManager", "/etc/NetworkManager/system-connections/a.nmconnection", DATA0),
        {},
        "nic data0: NetworkManager configures it too",
    ),
    "a NIC of cloud-init": (
        owned("cloud-init", "/etc/netplan/50-cloud-init.yaml", "data0"),
        {},
        "nic data0: cloud-init configures it too",
    ),
    "a VLAN of ifupdown": (
        owned("ifupdown", "/etc/network/interfaces.d/x", "cluster"),
        {},
        "vlan cluster: ifupdown configures it too",
    ),
    "a NIC within a bridge": (
        with_device(live("data0", master="br0"), Live("br0", "bridge")),
        {},
        "nic data0: it belongs to bridge br0, which is not ours",
    ),
    "a name that a bridge has": (
        with_device(fresh_host(), Live("cluster", "bridge")),
        {},
        "vlan cluster: a bridge of this name exists",
    ),
    "a name that another NIC has": (
        with_device(
            with_device(without("data0"), Live("enp1s0", "nic", DATA0)),
            Live("data0", "nic", "52:54:00:00:00:77"),
        ),
        {},
        "NIC data0: another device (nic 52:54:00:00:00:77) has this name, so enp1s0 cannot get it",
    ),
    "an MTU above what the NIC allows": (
        live("data0", max_mtu=1500),
        {},
        "NIC data0: MTU 9000 is more than the 1500 that the NIC allows",
    ),
    "an address that another interface has": (
        live("eno9", addresses=("10.20.0.11/24",)),
        {},
        "address 10.20.0.11 of cluster: nic eno9, which is not ours, has it already",
    ),
    "an address that a container bridge has": (
        live("docker0", addresses=("10.30.0.11/16",)),
        {},
        "address 10.30.0.11 of business: bridge docker0",
    ),
    "the controller's address vanishes": (
        fresh_host(),
        {"addresses": {**ADDRESSES, "management": "10.10.0.99"}},
        "address 10.10.0.11: the controller came in by it (on mgmt0), and no device would have it any more",
    ),
    "the controller's VLAN vanishes": (
        replace(
            with_device(
                replace(
                    fresh_host(),
                    files={"/etc/systemd/network/05-bedplate-storage.netdev": ""},
                    claims={"/etc/systemd/network/05-bedplate-storage.netdev": ("storage",)},
                ),
                Live("storage", "vlan", parent="data0", vlan=7, addresses=("10.40.0.11/24",)),
            ),
            way_in=WayIn("storage", "10.40.0.11", "10.40.0.1"),
        ),
        {},
        "address 10.40.0.11: the controller came in by it (on storage)",
    ),
    "something that is not ours stands on what must be made anew": (
        with_device(
            with_device(fresh_host(), Live("cluster", "vlan", parent="data0", vlan=99)),
            Live("macvlan5", "macvlan", parent="cluster"),
        ),
        {},
        "device cluster: macvlan macvlan5 stands on it and is not ours",
    ),
}


@pytest.mark.parametrize(("observed", "changes", "said"), HOSTS.values(), ids=HOSTS.keys())
def test_a_host_is_refused_by_name_with_a_remedy(observed, changes, said):
    todo = plan(desired(**changes), observed)
    assert [str(r) for r in todo.refusals if str(r).startswith(said)], [str(r) for r in todo.refusals]
    assert all(r.remedy for r in todo.refusals)
    assert (todo.writes, todo.actions, todo.undo) == ((), (), ())


def test_the_way_in_may_move_when_it_is_said_where_to():
    wanted = desired(addresses={**ADDRESSES, "management": "10.10.0.99"})
    todo = plan(wanted, fresh_host(), reconnect="10.10.0.99")
    assert todo.refusals == ()
    assert todo.cuts
    wrong = plan(wanted, fresh_host(), reconnect="10.10.0.98")
    assert [r.what for r in wrong.refusals] == ["vlan_network_reconnect 10.10.0.98"]


def test_every_reason_is_said_at_once():
    observed = owned("ifupdown", "/etc/network/interfaces", "mgmt0")
    observed = with_device(observed, replace(observed.devices["data0"], max_mtu=1500))
    assert len(plan(desired(), observed).refusals) == 2


def test_a_mixed_file_of_netplan_is_refused_and_a_file_of_only_ours_is_replaced():
    path = "/etc/netplan/50-site.yaml"
    both = fresh_host(files={path: "…"}, claims={path: ("mgmt0", "eno9")})
    (refusal,) = plan(desired(NETPLAN), both).refusals
    assert refusal.what == f"file {path}"
    assert "together with eno9" in refusal.why
    pattern = fresh_host(files={path: "…"}, claims={path: ("mgmt*",)})
    assert [r.what for r in plan(desired(NETPLAN), pattern).refusals] == [f"file {path}"]
    ours = fresh_host(files={path: "…"}, claims={path: ("mgmt0", "data0")})
    assert [w.path for w in plan(desired(NETPLAN), ours).writes if w.after is None] == [path]
    others = fresh_host(files={path: "…"}, claims={path: ("eno9",)})
    assert [w.path for w in plan(desired(NETPLAN), others).writes if w.after is None] == []


def test_a_mixed_file_of_networkd_stays_because_the_first_that_matches_wins():
    path = "/etc/systemd/network/90-installer.network"
    text = INSTALLER_TEXT.replace("Name=mgmt0", "Name=mgmt0 eno9")
    both = fresh_host(files={path: text}, claims={path: ("mgmt0", "eno9")})
    todo = plan(desired(), both)
    assert path not in [w.path for w in todo.writes]
    assert all(w.path.rpartition("/")[2] < path.rpartition("/")[2] for w in todo.writes)
    assert plan(desired(), apply(both, todo)).empty


WORDS = {
    "a NIC that is not in the inventory": (
        {"links": link("data0", nics=["data9"])},
        [
            "link data0: its NIC data9 is not in hardware_nics. "
            "hardware_nics of this host has: mgmt0, data0, data1; "
            "correct vlan_network_links"
        ],
    ),
    "one NIC in two links": (
        {"links": link("data0", nics=["mgmt0"])},
        ["NIC mgmt0: links mgmt0 and data0 both use it"],
    ),
    "an unknown network": (
        {"links": link("data0", networks=["cluster", "busines", "business"])},
        ["link data0: its network busines is not in site_networks"],
    ),
    "a network on two links": (
        {"links": link("mgmt0", networks=["management", "cluster"])},
        ["network cluster: links mgmt0 and data0 both carry it"],
    ),
    "an address on a network that no link carries": (
        {"links": link("data0", networks=["cluster"])},
        ["network business: the host has an address on it"],
    ),
    "an address outside of its subnet": (
        {"addresses": {**ADDRESSES, "cluster": "10.21.0.11"}},
        ["address 10.21.0.11 on network cluster: it is not"],
    ),
    "the address of the subnet itself": (
        {"addresses": {**ADDRESSES, "cluster": "10.20.0.0"}},
        ["address 10.20.0.0 on network cluster: it is not"],
    ),
    "the broadcast address": (
        {"addresses": {**ADDRESSES, "cluster": "10.20.0.255"}},
        ["address 10.20.0.255 on network cluster: it is not"],
    ),
    "no address at all": (
        {"addresses": {**ADDRESSES, "cluster": "ten"}},
        ["address ten on network cluster: it is not an IP address"],
    ),
    "the same VLAN id twice on a link": (
        {"networks": network("business", vlan=20)},
        ["link data0: networks cluster, business have the same VLAN id 20"],
    ),
    "a VLAN id that does not exist": (
        {"networks": network("business", vlan=4095)},
        ["link data0: VLAN id 4095 is not within 1..4094"],
    ),
    "two untagged networks on a link": (
        {"networks": [{k: v for k, v in n.items() if k != "vlan"} | {"mtu": 1500} for n in NETWORKS]},
        ["link data0: networks cluster, business are all untagged on it"],
    ),
    "a gateway outside of the subnet": (
        {"networks": network("management", gateway="10.11.0.1")},
        ["gateway 10.11.0.1 of network management: it is not within 10.10.0.0/24"],
    ),
    "a route that nobody can take": (
        {"routes": [{"to": "10.99.0.0/16", "via": "10.50.0.1"}]},
        ["route to 10.99.0.0/16: its gateway 10.50.0.1"],
    ),
    "a mode without a bond": (
        {"links": link("data0", mode="802.3ad")},
        ["link data0: mode 802.3ad needs several NICs"],
    ),
    "an unknown mode": (
        {"links": [LINKS[0], {**BONDED[1], "mode": "lacp"}]},
        ["link bond0: lacp is no mode of a bond"],
    ),
    "a bond with the name of a NIC": (
        {"links": [LINKS[0], {**BONDED[1], "name": "data0"}]},
        ["link data0: the bond has the name of a NIC"],
    ),
    "a name that the kernel does not take": (
        {
            "networks": network("cluster", name="cluster-of-compute"),
            "links": link("data0", networks=["cluster-of-compute", "business"]),
            "addresses": {"cluster-of-compute": "10.20.0.11", "management": "10.10.0.11"},
        },
        ["device cluster-of-compute: the kernel takes device names of at most 15"],
    ),
    "a network with the name of a NIC": (
        {
            "networks": network("cluster", name="data1"),
            "links": [LINKS[0], {**BONDED[1], "networks": ["data1"]}],
            "addresses": {"data1": "10.20.0.11", "management": "10.10.0.11"},
        },
        ["device data1: a network with a VLAN id and a NIC or link have the same name"],
    ),
    "an untagged network that is smaller than the VLANs beside it": (
        {
            "links": [{"name": "data0", "nics": ["data0"], "networks": ["management", "cluster"]}],
            "addresses": {"management": "10.10.0.11", "cluster": "10.20.0.11"},
        },
        ["network management: it is untagged with MTU 1500 on a link that must have MTU 9000 for its VLANs"],
    ),
}


@pytest.mark.parametrize(("changes", "said"), WORDS.values(), ids=WORDS.keys())
def test_wrong_words_of_the_inventory(changes, said):
    _, wrong = wish("networkd", **words(**changes))
    assert len(wrong) == len(said), [str(w) for w in wrong]
    assert all(str(w).startswith(start) for w, start in zip(wrong, said, strict=True)), [
        str(w) for w in wrong
    ]
    assert all(w.remedy for w in wrong)


def test_a_host_without_an_address_on_a_network_needs_no_nic_for_it():
    nics = [nic for nic in NICS if nic["name"] == "mgmt0"]
    wanted, wrong = wish("networkd", **words(nics=nics, addresses={"management": "10.10.0.11"}))
    assert wrong == []
    assert [device.name for device in wanted.devices] == ["mgmt0"]
    assert OTHER not in str(wanted)
