"""The planner of role rdma from tables: what is wished of the ports, what is there, and what is done about
it."""

import pytest
from rdma import gids, parse
from rdma.model import Host, Link, Roce, Soft, Wish
from rdma.plan import inactive, plan, program

LINK = Link("mlx5_0", "data0", active=True)
SET = {
    "dscp-prio": "26:3",
    "pause": "off",
    "prio-pfc": "3:on",
    "default_roce_mode": "RoCE v2",
    "default_roce_tos": "106",
    "roce_np/enable/3": "1",
    "roce_rp/enable/3": "1",
    "roce_np/cnp_dscp": "48",
    "roce_np/cnp_802p_prio": "6",
}
PORT = "/sys/kernel/config/rdma_cm/mlx5_0/ports/1"
CM = "sh -c mkdir -p /sys/kernel/config/rdma_cm/mlx5_0"
ROCE = Wish({"data0": "roce"})
SOFT = Wish(soft=(Soft("rxe0", "data0"),))
KINDS = {"data0": "ether", "cluster": "vlan"}


def host(links: tuple[Link, ...] = (LINK,), **settings: str) -> Host:
    """A host whose port is set right but for ``settings``; None takes one away."""
    return Host(links, KINDS, {"data0": {**SET, **settings}})


def without(*names: str) -> Host:
    return Host((LINK,), KINDS, {"data0": {k: v for k, v in SET.items() if k not in names}})


STEPS = {
    "all as wished": (ROCE, host(), []),
    "nothing wished": (Wish(), host(), []),
    "InfiniBand needs nothing": (Wish({"data0": "infiniband"}), host(), []),
    "no mapping yet": (ROCE, host(**{"dscp-prio": ""}), ["dcb app add dev data0 dscp-prio 26:3"]),
    "pause of the whole link": (ROCE, host(pause="on"), ["ethtool -A data0 autoneg off rx off tx off"]),
    "another priority is lossless too": (
        ROCE,
        host(**{"prio-pfc": "3:on 4:on"}),
        ["dcb pfc set dev data0 prio-pfc all:off 3:on"],
    ),
    "no flow control": (
        Wish({"data0": "roce"}, roce=Roce(pfc=False)),
        host(),
        ["dcb pfc set dev data0 prio-pfc all:off 3:off"],
    ),
    "no ECN": (
        Wish({"data0": "roce"}, roce=Roce(ecn=False)),
        host(),
        [
            "sh -c echo 0 >/sys/class/net/data0/ecn/roce_np/enable/3",
            "sh -c echo 0 >/sys/class/net/data0/ecn/roce_rp/enable/3",
            f"{CM} && echo '104' >{PORT}/default_roce_tos",
        ],
    ),
    "RoCE v1": (
        ROCE,
        host(default_roce_mode="IB/RoCE v1"),
        [f"{CM} && echo 'RoCE v2' >{PORT}/default_roce_mode"],
    ),
    "traffic class": (ROCE, host(default_roce_tos=""), [f"{CM} && echo '106' >{PORT}/default_roce_tos"]),
    "no connection manager yet": (ROCE, without("default_roce_mode", "default_roce_tos"), []),
    "a driver without ECN in sysfs": (ROCE, without("roce_np/enable/3", "roce_np/cnp_dscp"), []),
    "soft-RoCE": (SOFT, Host(kinds=KINDS), ["rdma link add rxe0 type rxe netdev data0"]),
    "soft-RoCE is there": (SOFT, Host((Link("rxe0", "data0", True),), KINDS), []),
}

REFUSALS = {
    "soft-RoCE on a VLAN": (Wish(soft=(Soft("rxe0", "cluster"),)), Host(kinds=KINDS), "cluster is a VLAN"),
    "soft-RoCE on nothing": (Wish(soft=(Soft("rxe0", "eth9"),)), Host(kinds=KINDS), "no interface eth9"),
    "one name twice": (
        Wish(soft=(Soft("rxe0", "data0"), Soft("rxe0", "data1"))),
        Host(kinds={"data0": "ether", "data1": "ether"}),
        "names rxe0 twice",
    ),
    "soft-RoCE on a card": (SOFT, host(), "data0 has mlx5_0 already"),
    "a port that is not there": (
        Wish({"data7": "roce"}),
        host(),
        "RoCE port data7, and there is no such interface",
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_set(name: str) -> None:
    wish, there, commands = STEPS[name]
    steps, refusals = plan(wish, there)
    assert refusals == []
    assert [" ".join(step.command) for step in steps] == commands


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused(name: str) -> None:
    wish, there, words = REFUSALS[name]
    steps, refusals = plan(wish, there)
    assert steps == [] and words in "; ".join(refusals)


def test_the_program_for_every_boot_sets_everything_again() -> None:
    """Whatever is set now: at a boot all of it is gone. It is a shell program that can run twice."""
    text = program(ROCE, host())
    for words in (
        "dcb app add",
        "ethtool -A",
        "dcb pfc set",
        "default_roce_mode",
        "default_roce_tos",
        "cnp_dscp",
    ):
        assert words in text
    assert text == program(ROCE, host(pause="on", default_roce_tos="0")), "it does not depend on what is set"
    soft = program(SOFT, Host(kinds=KINDS))
    assert "modprobe rdma_rxe" in soft and "rdma link show rxe0/1 >/dev/null 2>&1 ||" in soft


def test_the_traffic_class_has_the_bits_of_ecn() -> None:
    assert Roce().traffic_class == 106


def test_inactive_ports_are_named() -> None:
    assert inactive(ROCE, Host(kinds=KINDS)) == ["data0 has no RDMA device"]
    assert inactive(ROCE, host((Link("mlx5_0", "data0", False),))) == ["mlx5_0 is not active"]
    assert inactive(ROCE, host()) == [] == inactive(Wish({"ib0": "infiniband"}), Host())


def test_devices_as_iproute2_shows_them() -> None:
    text = (
        "link mlx5_0/1 state ACTIVE physical_state LINK_UP netdev data0 \n"
        "link mlx5_1/1 state DOWN physical_state DISABLED netdev data1 \n"
        "link ibp12s0/1 subnet_prefix fe80:0000:0000:0000 lid 5 sm_lid 1 lmc 0 state ACTIVE"
        " physical_state LINK_UP \n"
    )
    assert parse.links(text) == (
        Link("mlx5_0", "data0", True),
        Link("mlx5_1", "data1", False),
        Link("ibp12s0", "", True),
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dscp-prio 26:3 48:6 \n", "26:3"),
        ("dscp-prio 126:3 \n", ""),
        ("", ""),
        ("dscp-prio 0:0 26:4 \n", "26:4"),
    ],
)
def test_dscp(text: str, found: str) -> None:
    assert parse.dscp(text, 26) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("prio-pfc 0:off 1:off 2:off 3:on 4:off 5:off 6:off 7:off \n", "3:on"),
        ("prio-pfc 0:off 1:off 2:off 3:off 4:on 5:off 6:off 7:off \n", "3:off 4:on"),
        ("", ""),
    ],
)
def test_pfc(text: str, found: str) -> None:
    assert parse.pfc(text, 3) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Pause parameters for data0:\nAutonegotiate:\toff\nRX:\t\toff\nTX:\t\toff\n", "off"),
        ("Pause parameters for data0:\nAutonegotiate:\toff\nRX:\t\ton\nTX:\t\toff\n", "on"),
        ("netlink error: Operation not supported", ""),
    ],
)
def test_pause(text: str, found: str) -> None:
    assert parse.pause(text) == found


def test_kinds_of_interfaces() -> None:
    text = (
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN \\    link/loopback 00:00\n"
        "2: data0: <BROADCAST,UP> mtu 9000 qdisc mq \\    link/ether 52:54:00:20:00:0b numtxqueues 1\n"
        "3: cluster@data0: <BROADCAST,UP> mtu 9000 \\    link/ether 52:54 \\    vlan protocol 802.1Q id 20\n"
    )
    assert parse.kinds(text) == {"lo": "ether", "data0": "ether", "cluster": "vlan"}


def test_the_entry_of_the_gid_table_is_chosen_not_assumed() -> None:
    mapped = "0000:0000:0000:0000:0000:ffff:0a14:000b"
    table = [
        gids.Gid(0, "fe80::1", "IB/RoCE v1", "data0"),
        gids.Gid(1, "fe80::1", "RoCE v2", "data0"),
        gids.Gid(2, mapped, "IB/RoCE v1", "data0"),
        gids.Gid(3, mapped, "RoCE v2", "cluster"),
        gids.Gid(4, mapped, "RoCE v2", "data0"),
    ]
    assert gids.choose(table, "data0") == 4
    assert gids.choose(table, "cluster") == 3
    assert gids.choose(table[:2], "data0") == 1
    assert gids.choose(table[:1], "data0") is None
