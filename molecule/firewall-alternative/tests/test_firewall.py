"""Sources, ranges, further interfaces, pods, and a pair of zones between which packets pass."""

import pytest
from shared.neighbours import FILTERED, OPEN, cables, listening, scan

NETWORKS = {"management": "192.0.2", "bond0": "203.0.113", "bmc7": "198.51.100", "cni0": "10.244.0"}
PORTS = (22, 443, 30000, 30010, 30011)


@pytest.fixture(scope="module")
def wired(host):
    """The host with a neighbour on every network, and forwarding as Kubernetes wants it."""
    with cables(host, NETWORKS):
        host.check_output("mount -o remount,rw /proc/sys; echo 1 >/proc/sys/net/ipv4/ip_forward")
        yield host


OPEN_TO = {"management": {22}, "bond0": {30000, 30010}, "bmc7": set(), "cni0": set(PORTS)}


@pytest.mark.parametrize("neighbour", NETWORKS)
def test_what_each_neighbour_reaches(wired, neighbour):
    with listening(wired, PORTS[1:]):  # sshd is there already
        seen = scan(wired, neighbour, f"{NETWORKS[neighbour]}.1", PORTS)
    assert seen == {port: OPEN if port in OPEN_TO[neighbour] else FILTERED for port in PORTS}


WAYS = {
    ("bond0", "management"): OPEN,
    ("management", "bond0"): FILTERED,
    ("bmc7", "bond0"): FILTERED,
    ("cni0", "bond0"): OPEN,
    ("bond0", "cni0"): OPEN,
}


@pytest.mark.parametrize(("way", "seen"), WAYS.items(), ids=[f"{a} to {b}" for a, b in WAYS])
def test_what_passes_through_the_host(wired, way, seen):
    origin, target = way
    with listening(wired, [80], target):
        assert scan(wired, origin, f"{NETWORKS[target]}.2", [80]) == {80: seen}


def test_what_is_dropped_is_logged_with_a_limit(host):
    assert 'limit rate 5/minute log prefix "bedplate input: "' in host.check_output(
        "nft list table inet bedplate"
    )
