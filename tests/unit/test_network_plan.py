"""The network planner: what it does, step by step, and that nothing is left to do afterwards."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vlan_network.model import NETPLAN, Live, LiveRoute, Observed, WayIn
from vlan_network.plan import plan
from vlan_network.probe import targets
from vlan_network.render import render

from tests.network_samples import (
    ADDRESSES,
    BONDED,
    DATA0,
    INSTALLER,
    LINKS,
    MGMT,
    NETWORKS,
    apply,
    desired,
    fresh_host,
    with_device,
)

UNMANAGED = ("eno9", "docker0", "cali1")


def settled(**changes) -> Observed:
    """A host on which everything was done."""
    observed = fresh_host()
    return apply(observed, plan(desired(**changes), observed))


def network(name: str, /, **changes) -> list[dict]:
    return [{**n, **changes} if n["name"] == name else n for n in NETWORKS]


def says(todo) -> list[str]:
    assert todo.refusals == ()
    return [action.says for action in todo.actions]


def test_first_run_takes_over_from_the_installer():
    todo = plan(desired(), fresh_host())
    assert says(todo) == [
        "set MTU of data0 from 1500 to 9000",
        "reload systemd-networkd",
        "configure mgmt0, data0 anew",
    ]
    assert [w.path for w in todo.writes if w.after is None] == [INSTALLER]
    assert todo.cuts == "mgmt0 carries the controller's connection to 10.10.0.11"


def test_a_bond_is_built_from_its_members():
    after = settled(links=BONDED)
    assert after.devices["data0"].master == after.devices["data1"].master == "bond0"
    assert after.devices["bond0"].bond["mode"] == "802.3ad"
    assert after.devices["cluster"].parent == "bond0"
    assert after.devices["cluster"].addresses == ("10.20.0.11/24",)


CHANGES = {
    "another VLAN id makes the device anew": (
        {"networks": network("cluster", vlan=21)},
        ["remove device cluster", "restart systemd-networkd", "configure data0 anew"],
        "",
    ),
    "another address": (
        {"addresses": {**ADDRESSES, "cluster": "10.20.0.12"}},
        ["reload systemd-networkd", "configure cluster anew"],
        "",
    ),
    "a network goes": (
        {"addresses": {k: v for k, v in ADDRESSES.items() if k != "business"}},
        ["remove device business", "restart systemd-networkd", "configure data0 anew"],
        "",
    ),
    "a smaller MTU shrinks from above": (
        {"networks": network("cluster", mtu=4000)},
        [
            "set MTU of cluster from 9000 to 4000",
            "set MTU of data0 from 9000 to 4000",
            "reload systemd-networkd",
            "configure data0, cluster anew",
        ],
        "",
    ),
    "a larger MTU grows from below": (
        {"networks": network("cluster", mtu=9100)},
        [
            "set MTU of data0 from 9000 to 9100",
            "set MTU of cluster from 9000 to 9100",
            "reload systemd-networkd",
            "configure data0, cluster anew",
        ],
        "",
    ),
    "another gateway": (
        {"networks": network("management", gateway="10.10.0.254")},
        ["reload systemd-networkd", "configure mgmt0 anew"],
        "mgmt0 carries the controller's connection to 10.10.0.11",
    ),
    "a static route": (
        {"routes": [{"to": "10.99.0.0/16", "via": "10.20.0.254"}]},
        ["reload systemd-networkd", "configure cluster anew"],
        "",
    ),
    "a NIC becomes a bond": (
        {"links": BONDED},
        [
            "remove device business",
            "remove device cluster",
            "set MTU of data1 from 1500 to 9000",
            "restart systemd-networkd",
            "configure data0, data1 anew",
        ],
        "",
    ),
    "name servers": (
        {"dns": ["10.10.0.53"]},
        ["reload systemd-networkd", "configure mgmt0 anew"],
        "mgmt0 carries the controller's connection to 10.10.0.11",
    ),
}


@pytest.mark.parametrize(("changes", "steps", "cuts"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_the_inventory(changes, steps, cuts):
    before = settled()
    todo = plan(desired(**changes), before)
    assert says(todo) == steps
    assert todo.cuts == cuts
    assert plan(desired(**changes), apply(before, todo)).empty


def drop(observed: Observed, *names: str) -> Observed:
    return replace(observed, devices={n: d for n, d in observed.devices.items() if n not in names})


def changed(observed: Observed, name: str, **changes) -> Observed:
    return with_device(observed, replace(observed.devices[name], **changes))


DRIFTS = {
    "an address was removed by hand": (lambda o: changed(o, "cluster", addresses=()), ["cluster"]),
    "a VLAN was removed by hand": (lambda o: drop(o, "cluster"), ["data0", "cluster"]),
    "a NIC was set down": (lambda o: changed(o, "data0", up=False, carrier=False), ["data0"]),
    "an MTU was changed by hand": (lambda o: changed(o, "data0", mtu=1500), ["data0"]),
    "the default route was removed": (lambda o: replace(o, routes=()), ["mgmt0"]),
    "a VLAN was made with another id": (lambda o: changed(o, "cluster", vlan=99), ["data0", "cluster"]),
    "a VLAN stands on another NIC": (
        lambda o: changed(o, "cluster", parent="mgmt0"),
        ["mgmt0", "data0", "cluster"],
    ),
    "networkd does not run": (lambda o: replace(o, networkd=False), []),
}


@pytest.mark.parametrize(("break_it", "touched"), DRIFTS.values(), ids=DRIFTS.keys())
def test_drift_is_seen_although_the_files_are_right(break_it, touched):
    broken = break_it(settled())
    todo = plan(desired(), broken)
    assert todo.writes == ()
    assert todo.actions != ()
    assert list(todo.touched) == touched
    assert plan(desired(), apply(broken, todo)).empty


QUIET = {
    "a cable is pulled: no address can be there": lambda o: changed(o, "data0", carrier=False),
    "a VLAN without a carrier": lambda o: changed(o, "cluster", carrier=False, addresses=()),
    "a floating address of a load balancer": lambda o: changed(
        o, "business", addresses=(*o.devices["business"].addresses, "10.30.0.100/32")
    ),
    "pods come and go": lambda o: with_device(o, Live("cali77", "nic", "ee:ee:ee:ee:ee:ee")),
    "a route of the pods": lambda o: replace(
        o, routes=(*o.routes, LiveRoute("10.244.1.0/24", "10.20.0.12", "cluster"))
    ),
    "a VLAN of somebody else on our NIC": lambda o: with_device(
        o, Live("pods.7", "vlan", parent="data0", vlan=7)
    ),
}


@pytest.mark.parametrize("happens", QUIET.values(), ids=QUIET.keys())
def test_what_is_not_ours_does_not_make_work(happens):
    assert plan(desired(), happens(settled())).empty


WAYS = {
    "over the management NIC": (
        WayIn("mgmt0", "10.10.0.11", "10.10.0.200"),
        {"networks": network("cluster", vlan=21)},
        "",
    ),
    "over the VLAN that changes": (
        WayIn("cluster", "10.20.0.11", "10.20.0.200"),
        {"networks": network("cluster", vlan=21)},
        "data0 carries the controller's connection to 10.20.0.11",
    ),
    "over a VLAN beside the one that changes": (
        WayIn("business", "10.30.0.11", "10.30.0.200"),
        {"networks": network("cluster", vlan=21)},
        "data0 carries the controller's connection to 10.30.0.11",
    ),
    "from far away, and a route changes": (
        WayIn("mgmt0", "10.10.0.11", "172.31.0.5"),
        {"routes": [{"to": "172.31.0.0/16", "via": "10.20.0.254"}]},
        "the route back to the controller (172.31.0.5) may change",
    ),
    "from near, and a route changes": (
        WayIn("mgmt0", "10.10.0.11", "10.10.0.200"),
        {"routes": [{"to": "172.31.0.0/16", "via": "10.20.0.254"}]},
        "",
    ),
    "over a NIC that is not ours": (
        WayIn("eno9", "192.168.9.9", "192.168.9.1"),
        {"networks": network("cluster", mtu=4000)},
        "",
    ),
    "not over the network at all": (None, {"networks": network("management", gateway="10.10.0.254")}, ""),
}


@pytest.mark.parametrize(("way", "changes", "cuts"), WAYS.values(), ids=WAYS.keys())
def test_a_change_is_armed_exactly_when_it_may_cut_the_controller_off(way, changes, cuts):
    todo = plan(desired(**changes), replace(settled(), way_in=way))
    assert todo.refusals == ()
    assert todo.actions
    assert todo.cuts == cuts


def test_a_nic_that_the_kernel_names_differently_is_found_by_its_mac_address_and_renamed():
    observed = drop(fresh_host(), "data0")
    observed = with_device(observed, Live("enp65s0f0", "nic", DATA0, max_mtu=9978))
    todo = plan(desired(), observed)
    assert "rename NIC enp65s0f0 to data0" in says(todo)
    assert "rename NIC data0 to enp65s0f0" in [action.says for action in todo.undo]
    assert plan(desired(), apply(observed, todo)).empty


def test_a_tagged_network_of_the_installer_makes_room_for_ours():
    folder = "/etc/systemd/network/90-installer"
    files = {
        f"{folder}.network": "[Match]\nName=mgmt0\n\n[Network]\nVLAN=mgmt0.5\n",
        f"{folder}-vlan.netdev": "[NetDev]\nName=mgmt0.5\nKind=vlan\n\n[VLAN]\nId=5\n",
        f"{folder}-vlan.network": "[Match]\nName=mgmt0.5\n\n[Network]\nAddress=10.10.0.11/24\n",
    }
    observed = fresh_host(
        files=files,
        claims=dict(zip(files, [("mgmt0",), ("mgmt0.5",), ("mgmt0.5",)], strict=True)),
        way_in=WayIn("mgmt0.5", "10.10.0.11", "10.10.0.200"),
    )
    observed = changed(observed, "mgmt0", addresses=())
    observed = with_device(
        observed, Live("mgmt0.5", "vlan", parent="mgmt0", vlan=5, addresses=("10.10.0.11/24",))
    )
    wanted = desired(networks=network("management", vlan=5))
    todo = plan(wanted, observed)
    assert "remove device mgmt0.5" in says(todo)
    assert todo.cuts
    after = apply(observed, todo)
    assert after.devices["management"].addresses == ("10.10.0.11/24",)
    assert plan(wanted, after).empty


def test_undo_removes_what_is_new_and_brings_back_what_was():
    before = settled()
    todo = plan(desired(networks=network("cluster", vlan=21)), before)
    assert [action.says for action in todo.undo] == [
        "remove device cluster",
        "restart systemd-networkd",
        "configure data0 anew",
    ]


def test_netplan_has_the_same_steps_and_its_own_file():
    observed = replace(fresh_host(), files={}, claims={})
    todo = plan(desired(NETPLAN), observed)
    assert [w.path for w in todo.writes] == ["/etc/netplan/05-bedplate.yaml"]
    assert todo.writes[0].mode == "0600"
    assert says(todo)[0] == "let netplan write the files of systemd-networkd"
    assert [a.says for a in todo.undo if a.boot] == ["let netplan write the files of systemd-networkd"]


# ---- properties over made-up inventories ----

names = st.sampled_from(["cluster", "business", "storage", "backup"])


@st.composite
def inventories(draw):
    """Words about one host: up to four tagged networks on a NIC or a bond, with or without a gateway."""
    chosen = draw(st.lists(names, unique=True, max_size=4))
    ids = draw(st.lists(st.integers(1, 4094), min_size=4, max_size=4, unique=True))
    networks = [NETWORKS[0]]
    for index, name in enumerate(chosen):
        subnet = f"10.{100 + index}.0.0/24"
        gateway = {"gateway": f"10.{100 + index}.0.1"} if draw(st.booleans()) else {}
        mtu = draw(st.sampled_from([1500, 4000, 9000]))
        networks.append(
            {"name": name, "vlan": ids[index], "subnet": subnet, "mtu": mtu, "zone": "compute", **gateway}
        )
    host = draw(st.integers(2, 250))
    addresses = {"management": "10.10.0.11"} | {
        n["name"]: n["subnet"].replace(".0/24", f".{host}") for n in networks[1:]
    }
    addresses = {name: a for name, a in addresses.items() if name == "management" or draw(st.booleans())}
    link = {"name": "data0", "nics": ["data0"], "networks": chosen}
    if draw(st.booleans()):
        mode = draw(st.sampled_from(["802.3ad", "active-backup", "balance-xor"]))
        link = {"name": "bond0", "nics": ["data0", "data1"], "networks": chosen, "mode": mode}
    return {"networks": networks, "links": [LINKS[0], link], "addresses": addresses}


@settings(max_examples=150, deadline=None)
@given(inventories(), inventories())
def test_plan_then_apply_then_plan_is_empty_from_any_inventory_to_any_other(first, second):
    observed = fresh_host()
    for inventory in (first, second):
        todo = plan(desired(**inventory), observed)
        assert todo.refusals == ()
        observed = apply(observed, todo)
        assert plan(desired(**inventory), observed).empty


@settings(max_examples=150, deadline=None)
@given(inventories(), inventories())
def test_devices_that_are_not_ours_are_never_named_nor_touched(first, second):
    observed = fresh_host()
    untouched = {name: observed.devices[name] for name in UNMANAGED}
    for inventory in (first, second):
        todo = plan(desired(**inventory), observed)
        commands = [word for a in (*todo.actions, *todo.undo) for command in a.commands for word in command]
        assert not set(commands) & set(UNMANAGED)
        observed = apply(observed, todo)
        assert {name: observed.devices[name] for name in UNMANAGED} == untouched


@settings(max_examples=80, deadline=None)
@given(inventories(), st.sampled_from(["networkd", NETPLAN]))
def test_rendered_files_name_nothing_but_our_devices(inventory, backend):
    text = "\n".join(render(desired(backend, **inventory)).values())
    assert not any(name in text for name in UNMANAGED)
    assert MGMT in text


@settings(max_examples=60, deadline=None)
@given(inventories(), inventories())
def test_whatever_reaches_the_management_nic_is_armed(first, second):
    observed = fresh_host()
    for inventory in (first, second):
        todo = plan(desired(**inventory), observed)
        assert bool(todo.cuts) == ("mgmt0" in todo.touched)
        observed = apply(observed, todo)


def test_a_host_that_is_a_gateway_has_no_route_by_way_of_itself_and_asks_nobody():
    """Routes of the others keep their metric, so that all hosts of a network agree."""
    networks = [dict(network) for network in NETWORKS]
    networks[0]["gateway"] = ADDRESSES["management"]
    networks[1]["gateway"] = "10.20.0.1"
    wanted = desired(networks=networks, routes=[{"to": "10.99.0.0/16", "via": ADDRESSES["cluster"]}])
    assert [(r.to, r.via, r.metric) for d in wanted.devices for r in d.routes] == [
        ("0.0.0.0/0", "10.20.0.1", 200)
    ]
    assert [t.address for t in targets(wanted, {})] == ["10.20.0.1"]
