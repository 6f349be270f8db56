"""What somebody on each network sees, and that nobody else's rules are touched."""

import pytest
from shared.neighbours import CLOSED, FILTERED, OPEN, cables, listening, scan

NETWORKS = {"mgmt0": "192.0.2", "cluster": "198.51.100", "business": "203.0.113"}
PORTS = (22, 443, 6443, 8080, 9100)
OPEN_TO = {"mgmt0": {22, 6443, 9100}, "cluster": {6443}, "business": {443}}


@pytest.fixture(scope="module")
def wired(host):
    """The host with a neighbour on every network."""
    with cables(host, NETWORKS):
        yield host


@pytest.mark.parametrize("neighbour", NETWORKS)
def test_a_zone_reaches_what_is_listed_and_nothing_else(wired, neighbour):
    with listening(wired, PORTS[1:]):  # sshd is there already
        seen = scan(wired, neighbour, f"{NETWORKS[neighbour]}.1", PORTS)
    assert seen == {port: OPEN if port in OPEN_TO[neighbour] else FILTERED for port in PORTS}


def test_without_the_table_everything_would_be_open(wired):
    """That the scan itself can tell: the same neighbour, the same ports, no rules."""
    wired.check_output("nft delete table inet bedplate")
    try:
        with listening(wired, [8080]):
            assert scan(wired, "business", "203.0.113.1", [8080, 8081]) == {8080: OPEN, 8081: CLOSED}
    finally:
        wired.check_output("systemctl restart bedplate-firewall.service")


@pytest.mark.parametrize("neighbour", NETWORKS)
def test_everybody_may_ping(wired, neighbour):
    sent = f"ip netns exec {neighbour} python3 -c '{PING}' {NETWORKS[neighbour]}.1"
    assert wired.check_output(sent) == "answered"


PING = """
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.settimeout(3)
raw.sendto(struct.pack("!BBHHH", 8, 0, 0xf7fd, 1, 1), (sys.argv[1], 0))
print("answered" if raw.recv(100) else "")
"""


def test_answers_to_the_hosts_own_questions_come_back(wired):
    with listening(wired, [12345], "business"):
        code = 'import socket; socket.create_connection(("203.0.113.2", 12345), 3); print("answered")'
        assert wired.check_output(f"python3 -c '{code}'") == "answered"


def test_nothing_passes_from_zone_to_zone(wired):
    wired.check_output("mount -o remount,rw /proc/sys; echo 1 >/proc/sys/net/ipv4/ip_forward")
    with listening(wired, [443], "mgmt0"):
        assert scan(wired, "business", "192.0.2.2", [443]) == {443: FILTERED}
        wired.check_output("nft delete table inet bedplate")
        try:
            assert scan(wired, "business", "192.0.2.2", [443]) == {443: OPEN}
        finally:
            wired.check_output("systemctl restart bedplate-firewall.service")


def test_tables_of_others_stay(host):
    host.check_output("nft add table ip kube-proxy; nft add chain ip kube-proxy services")
    host.check_output("systemctl restart bedplate-firewall.service")
    assert "chain services" in host.check_output("nft list table ip kube-proxy")
    host.check_output("nft delete table ip kube-proxy")


@pytest.mark.parametrize("action", ["restart", "reload", "stop"])
def test_the_rules_outlive_nftables_service_which_empties_everything(host, action):
    before = host.check_output("nft -s list table inet bedplate")
    host.check_output("nft add table ip victim")
    host.check_output(f"systemctl {action} nftables.service")
    assert host.run("nft list table ip victim").rc != 0, "it did empty everything"
    assert host.check_output("nft -s list table inet bedplate") == before


def test_the_rules_are_loaded_at_boot(host):
    assert host.service("bedplate-firewall.service").is_enabled
    assert host.file("/etc/bedplate/firewall.nft").mode == 0o600
    assert host.run("ls /var/lib/bedplate/safe_change/*/armed").rc != 0
