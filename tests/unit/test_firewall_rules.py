"""The packet filter as text: what is accepted, from whom, and what the inventory may not say."""

import shutil
import subprocess

import pytest
import yaml
from firewall import Session, admits, policy, ruleset
from hypothesis import given
from hypothesis import strategies as st

from bedplate import paths
from plugins.filter.network import zone_interfaces
from tests.network_samples import ADDRESSES, BONDED, LINKS, NETWORKS, desired

ZONES = {"management": ["mgmt0"], "compute": ["cluster"], "business": ["business"], "storage": []}
PORTS = {"port_ssh": 22, "port_https": 443, "port_roce": 4791, "port_etcd_client": 2379}
RULES = {"management": ["ssh"], "business": ["https"]}


def made(rules=RULES, zones=ZONES, **changes):
    usual = {"trusted": [], "forward": [], "log_per_minute": 10, "session": None}
    return policy(zones, rules, PORTS, **{**usual, **changes})


def accepts(allowed, chain="input") -> list[str]:
    """Rules of a chain that accept, without those that every host has."""
    text = ruleset(allowed).split(f"chain {chain}")[1].split("}\n\n" if chain == "input" else "\t}\n}")[0]
    lines = [line.strip() for line in text.splitlines() if " accept" in line and "ct state" not in line]
    return [line for line in lines if not line.startswith(("icmp", 'iifname "lo"'))]


SERVICES = {
    "by name": (["ssh"], ['iifname "mgmt0" tcp dport 22 accept comment "management: ssh"']),
    "by number": ([8080], ['iifname "mgmt0" tcp dport 8080 accept comment "management: 8080"']),
    "a range": (
        ["30000-32767"],
        ['iifname "mgmt0" tcp dport 30000-32767 accept comment "management: 30000-32767"'],
    ),
    "another protocol": (
        [{"port": "roce", "protocol": "udp"}],
        ['iifname "mgmt0" udp dport 4791 accept comment "management: roce"'],
    ),
    "a protocol without ports": (
        [{"protocol": "vrrp"}],
        ['iifname "mgmt0" meta l4proto 112 accept comment "management: vrrp"'],
    ),
    "from somewhere": (
        [{"port": "ssh", "from": ["10.0.0.0/8"]}],
        ['iifname "mgmt0" ip saddr { 10.0.0.0/8 } tcp dport 22 accept comment "management: ssh"'],
    ),
    "from both families": (
        [{"port": "ssh", "from": ["10.0.0.0/8", "fd00::/8"]}],
        [
            'iifname "mgmt0" ip saddr { 10.0.0.0/8 } tcp dport 22 accept comment "management: ssh"',
            'iifname "mgmt0" ip6 saddr { fd00::/8 } tcp dport 22 accept comment "management: ssh"',
        ],
    ),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("services", "rules"), SERVICES.values(), ids=SERVICES.keys())
def test_a_service_is_one_rule_for_its_zone(services, rules):
    allowed = made({"management": services})
    assert allowed.wrong == ()
    assert accepts(allowed) == rules


WRONG = {
    "a name that no port has": (
        {"management": ["shh"]},
        {},
        "firewall_rules.management: shh: no port of this name",
    ),
    "a port that does not exist": (
        {"management": [70000]},
        {},
        "firewall_rules.management: 70000: a port is",
    ),
    "a range backwards": ({"management": ["90-80"]}, {}, "firewall_rules.management: 90-80: a port is"),
    "an unknown protocol": (
        {"management": [{"port": "ssh", "protocol": "tpc"}]},
        {},
        "firewall_rules.management: ssh: protocol tpc is not one of",
    ),
    "an address with host bits": (
        {"management": [{"port": "ssh", "from": ["10.0.0.1/8"]}]},
        {},
        "firewall_rules.management: ssh: 10.0.0.1/8 has host bits set",
    ),
    "a zone that the site does not have": (
        {"managment": ["ssh"]},
        {},
        "firewall_rules: there is no zone managment",
    ),
    "a node port that is none": (
        RULES,
        {"node_ports": [{"port": 30443, "from": ["gateways"]}]},
        "firewall_node_ports: 30443: 'gateways' does not appear",
    ),
    "forwarding to nowhere": (
        RULES,
        {"forward": [{"from": "business", "to": "compte"}]},
        "firewall_forward: there is no zone compte",
    ),
}


@pytest.mark.parametrize(("rules", "changes", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_words_are_named(rules, changes, said):
    wrong = made(rules, **changes).wrong
    assert len(wrong) == 1
    assert wrong[0].startswith(said)


SESSIONS = {
    "by a rule": (RULES, Session("mgmt0", "10.10.0.200", 22), True),
    "another port of sshd": (RULES, Session("mgmt0", "10.10.0.200", 2222), False),
    "another zone": (RULES, Session("business", "10.30.0.200", 22), False),
    "an interface of nobody": (RULES, Session("eno9", "192.168.9.1", 22), False),
    "from a source that is let in": (
        {"management": [{"port": "ssh", "from": ["10.10.0.0/24"]}]},
        Session("mgmt0", "10.10.0.200", 22),
        True,
    ),
    "from a source that is not": (
        {"management": [{"port": "ssh", "from": ["10.10.1.0/24"]}]},
        Session("mgmt0", "10.10.0.200", 22),
        False,
    ),
    "without any rule": ({}, Session("mgmt0", "fd00::1", 22), False),
    "only by UDP": (
        {"management": [{"port": 22, "protocol": "udp"}]},
        Session("mgmt0", "10.10.0.200", 22),
        False,
    ),
}


@pytest.mark.parametrize(("rules", "session", "by_rule"), SESSIONS.values(), ids=SESSIONS.keys())
def test_the_way_in_of_the_controller_stays_open(rules, session, by_rule):
    allowed = made(rules, session=session)
    assert admits(allowed, session)
    assert (allowed.session is None) == by_rule
    assert ("as it came in" in ruleset(allowed)) != by_rule


interfaces = st.sampled_from(["mgmt0", "cluster", "business", "eno9", "cali7"])
services = st.lists(
    st.sampled_from(["ssh", "https", 8080, {"port": "ssh", "from": ["10.0.0.0/8"]}]), max_size=3
)


@given(
    st.dictionaries(st.sampled_from([*ZONES]), services),
    st.builds(
        Session,
        interfaces,
        st.sampled_from(["10.1.2.3", "192.168.1.1", "fd00::5"]),
        st.sampled_from([22, 2222]),
    ),
    st.lists(st.sampled_from(["cali*", "cni0"]), unique=True),
)
def test_no_rules_whatever_shut_the_controller_out(rules, session, trusted):
    assert admits(made(rules, session=session, trusted=trusted), session)


def test_nothing_but_our_table_is_touched_and_denied_is_the_default():
    text = ruleset(made())
    assert "flush" not in text
    assert [line for line in text.splitlines() if line.startswith(("table", "delete"))] == [
        "table inet bedplate",
        "delete table inet bedplate",
        "table inet bedplate {",
    ]
    assert text.count("policy drop;") == 2
    assert text.count("priority -10;") == 2
    assert accepts(made(), "forward") == []


def test_pods_and_chosen_pairs_of_zones_pass():
    allowed = made(trusted=["cali*", "cni0"], forward=[{"from": "business", "to": "compute"}])
    assert accepts(allowed, "forward") == [
        'iifname { "cali*", "cni0" } accept comment "trusted"',
        'oifname { "cali*", "cni0" } accept comment "trusted"',
        'iifname "business" oifname "cluster" accept comment "business to compute"',
    ]


def test_a_node_port_is_open_to_those_who_are_named_before_pods_are_asked():
    allowed = made(trusted=["cni0"], node_ports=[{"port": 30443, "from": ["10.0.0.1", "fd00::1"]}])
    led, outside = "ct status dnat ct original proto-dst", 'iifname != "cni0"'
    lines = [line.strip() for line in ruleset(allowed).split("chain forward")[1].splitlines()]
    found = [line for line in lines if "cni0" in line]
    assert found == [
        f'{outside} ip saddr {{ 10.0.0.1/32 }} meta l4proto tcp {led} 30443 accept comment "node port"',
        f'{outside} ip6 saddr {{ fd00::1/128 }} meta l4proto tcp {led} 30443 accept comment "node port"',
        f'{outside} meta l4proto {{ tcp, udp, sctp }} {led} 30000-32767 drop comment "node ports of nobody"',
        'iifname "cni0" accept comment "trusted"',
        'oifname "cni0" accept comment "trusted"',
    ]


def test_no_node_port_is_open_unless_it_is_named():
    text = ruleset(made(trusted=["cni0"]))
    assert "proto-dst 30000-32767 drop" in text and text.count("ct original") == 1
    assert "ct original" not in ruleset(made(node_ports=[30443])), "a host without pods has none"


@pytest.mark.parametrize("links", [LINKS, BONDED], ids=["one NIC", "bond"])
@pytest.mark.parametrize("without", [None, "cluster"])
def test_zones_are_the_devices_that_the_network_role_makes(links, without):
    addresses = {k: v for k, v in ADDRESSES.items() if k != without}
    zone_of = {n["name"]: n["zone"] for n in NETWORKS}
    made_by_role: dict[str, list[str]] = {zone: [] for zone in zone_of.values()}
    for device in desired(links=links, addresses=addresses).devices:
        for network in device.networks:
            made_by_role[zone_of[network]].append(device.name)
    assert zone_interfaces(NETWORKS, links, addresses) == made_by_role


def test_an_untagged_network_on_a_bond_is_the_bond():
    networks = [{"name": "data", "subnet": "10.1.0.0/24", "zone": "compute"}]
    links = [{"name": "bond0", "nics": ["a", "b"], "networks": ["data"]}]
    assert zone_interfaces(networks, links, {"data": "10.1.0.2"}, {"compute": ["ib0"]}) == {
        "compute": ["bond0", "ib0"]
    }


def test_the_defaults_of_the_role_name_ports_that_exist():
    text = (paths.ROLES / "firewall/defaults/main.yml").read_text()
    pods = yaml.safe_load((paths.COMMON / "nodes.yml").read_text())["catalogue_pod_range"]
    defaults = yaml.safe_load(text.replace("{{ catalogue_pod_range }}", pods))
    ports = yaml.safe_load((paths.COMMON / "ports.yml").read_text())
    usual = {"trusted": [], "forward": [], "log_per_minute": 10, "session": None}
    allowed = policy(ZONES, defaults["firewall_rules"], ports, **usual)
    assert allowed.wrong == ()
    assert any("dport 22 " in rule for rule in accepts(allowed))


def test_nft_takes_the_rules():
    if shutil.which("nft", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("nft is not installed")
    everything = made(
        {
            "management": ["ssh", {"port": "ssh", "from": ["10.0.0.0/8", "fd00::/8"]}],
            "business": ["30000-32767"],
        },
        trusted=["cali*", "cni0"],
        node_ports=[{"port": 30443, "from": ["10.0.0.1", "fd00::1"]}, "31000-31010"],
        forward=[{"from": "business", "to": "compute"}],
        session=Session("eno9", "fe80::1", 22),
    )
    command = ["unshare", "--user", "--map-root-user", "--net", "/usr/sbin/nft", "-c", "-f", "-"]
    done = subprocess.run(command, input=ruleset(everything), text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
