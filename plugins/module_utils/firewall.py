"""The packet filter of one host as text for nft: pure functions from zones and services to one table.

The table is ours alone (``inet bedplate``); its chains stand before those of Kubernetes and of containers
(priority below 0), because a packet that is dropped anywhere is gone, while one that is accepted here still
passes the chains after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

TABLE = "inet bedplate"
PRIORITY = -10
PROTOCOLS = ("tcp", "udp", "sctp")
PORTS = range(1, 65536)
PORTLESS = {"vrrp": 112}  # IP protocols without ports (IANA): keepalived's announcements
NODE_PORTS = "30000-32767"  # kube-apiserver's --service-node-port-range, as it comes
PREFIX = "bedplate"
STANDARD_ZONES = ("management", "compute", "business", "storage")  # the defaults speak of all of them
# What IP itself needs to work (RFC 4890 for IPv6: neighbours, packet too big), and ping.
ICMP = "echo-request, destination-unreachable, time-exceeded, parameter-problem"
ICMPV6 = (
    "echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem, "
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query"
)


@dataclass(frozen=True)
class Service:
    """One service that a zone may reach: ``low`` to ``high`` (0 where the protocol has no ports), from
    ``sources`` (empty: from everywhere)."""

    name: str
    protocol: str
    low: int
    high: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Session:
    """The connection that brought us here: by which interface, from whom, to which of our ports."""

    interface: str
    client: str
    port: int


@dataclass(frozen=True)
class Policy:
    """Everything that the table says."""

    zones: dict[str, tuple[str, ...]]  # interfaces; a name may end in *
    services: dict[str, tuple[Service, ...]]
    trusted: tuple[str, ...] = ()  # interfaces of pods and containers, whose own rules come later
    node_ports: tuple[Service, ...] = ()  # that pods are asked at from outside; the others are shut
    forward: tuple[tuple[str, str], ...] = ()  # from zone, to zone
    log_per_minute: int = 10
    session: Session | None = None  # written down only where the services do not admit it
    wrong: tuple[str, ...] = field(default=())


def policy(
    zones: dict[str, list[str]],
    rules: dict[str, list[Any]],
    ports: dict[str, int],
    *,
    trusted: list[str],
    forward: list[dict[str, str]],
    log_per_minute: int,
    session: Session | None,
    node_ports: list[Any] | None = None,
) -> Policy:
    """The policy that the inventory's words mean; ``wrong`` holds everything that cannot be meant."""
    wrong: list[str] = []
    services = {
        zone: tuple(s for entry in entries for s in _services(f"firewall_rules.{zone}", entry, ports, wrong))
        for zone, entries in rules.items()
    }
    asked = [s for entry in node_ports or [] for s in _services("firewall_node_ports", entry, ports, wrong)]
    for zone in rules:
        if zone not in zones and zone not in STANDARD_ZONES:
            wrong += _unknown_zone("firewall_rules", zone, zones)
    for pair in forward:
        for zone in (pair["from"], pair["to"]):
            wrong += _unknown_zone("firewall_forward", zone, zones) if zone not in zones else []
    allowed = Policy(
        zones={zone: tuple(names) for zone, names in zones.items() if names},
        services=services,
        trusted=tuple(trusted),
        node_ports=tuple(asked),
        forward=tuple((pair["from"], pair["to"]) for pair in forward),
        log_per_minute=log_per_minute,
        wrong=tuple(wrong),
    )
    if session is None or admits(allowed, session):
        return allowed
    return Policy(**{**allowed.__dict__, "session": session})


def _unknown_zone(variable: str, zone: str, zones: dict[str, list[str]]) -> list[str]:
    known = ", ".join(zones) or "none"
    return [
        f"{variable}: there is no zone {zone}. Zones of the site: {known} (site_networks, firewall_zones)"
    ]


def _services(variable: str, entry: Any, ports: dict[str, int], wrong: list[str]) -> list[Service]:
    """``ssh``, or ``{port: ssh, protocol: tcp, from: [10.0.0.0/8]}`` with a name, a number or a range."""
    data = entry if isinstance(entry, dict) else {"port": entry}
    protocol = data.get("protocol", "tcp")
    word = str(data.get("port", protocol if protocol in PORTLESS else ""))
    where = f"{variable}: {word}"
    if protocol in PORTLESS:
        return [Service(word, str(protocol), 0, 0, tuple(_networks(where, data, wrong)))]
    if protocol not in PROTOCOLS:
        wrong.append(f"{where}: protocol {protocol} is not one of {', '.join([*PROTOCOLS, *PORTLESS])}")
        return []
    number = ports.get(f"port_{word}")
    low, _, high = (str(number) if number is not None else word).partition("-")
    if not (low.isdigit() and (high or low).isdigit()):
        wrong.append(
            f"{where}: no port of this name in _common/ports.yml; write a name from there, or a number"
        )
        return []
    first, last = int(low), int(high or low)
    if first not in PORTS or last not in PORTS or first > last:
        wrong.append(f"{where}: a port is a number from 1 to 65535, a range goes from low to high")
        return []
    return [Service(word, str(protocol), first, last, tuple(_networks(where, data, wrong)))]


def _networks(where: str, data: Any, wrong: list[str]) -> list[str]:
    sources: list[str] = []
    for source in data.get("from") or []:
        try:
            sources.append(str(ip_network(source)))
        except ValueError as error:
            wrong.append(f"{where}: {error}; write a network in CIDR notation")
    return sources


def admits(allowed: Policy, session: Session) -> bool:
    """Whether a new connection like ``session`` would be let in."""
    if session.interface == "lo" or _within(session.interface, allowed.trusted):
        return True
    for zone, interfaces in allowed.zones.items():
        if not _within(session.interface, interfaces):
            continue
        for service in allowed.services.get(zone, ()):
            fits = service.protocol == "tcp" and service.low <= session.port <= service.high
            if fits and (not service.sources or _from(session.client, service.sources)):
                return True
    return allowed.session == session


def _within(interface: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(interface, pattern) for pattern in patterns)


def _from(client: str, sources: tuple[str, ...]) -> bool:
    return any(ip_address(client) in ip_network(source) for source in sources)


def ruleset(allowed: Policy) -> str:
    """The file for ``nft -f``. Declared, deleted and declared again, in one transaction: loading it twice
    ends in the same state, and there is no moment without rules.
    """
    return f"""# Written by Bedplate (role firewall). Changes are lost: change the inventory instead.
# Only this table is ours; nothing here touches another.
table {TABLE}
delete table {TABLE}
table {TABLE} {{
\tchain input {{
\t\ttype filter hook input priority {PRIORITY}; policy drop;
{_lines(_input(allowed))}
\t}}

\tchain forward {{
\t\ttype filter hook forward priority {PRIORITY}; policy drop;
{_lines(_forward(allowed))}
\t}}
}}
"""


def _lines(rules: list[str]) -> str:
    return "\n".join(f"\t\t{rule}" for rule in rules)


def _input(allowed: Policy) -> list[str]:
    rules = [
        "ct state established,related accept",
        "ct state invalid drop",
        'iifname "lo" accept',
        f"icmp type {{ {ICMP} }} accept",
        f"icmpv6 type {{ {ICMPV6} }} accept",
    ]
    if allowed.trusted:
        rules.append(f"iifname {_names(allowed.trusted)} accept comment {_quoted('trusted')}")
    if allowed.session:
        session = allowed.session
        way = f"iifname {_quoted(session.interface)} {_source((session.client,))}"
        rules.append(
            f"{way}tcp dport {session.port} accept comment {_quoted('the controller, as it came in')}"
        )
    for zone, interfaces in allowed.zones.items():
        for service in allowed.services.get(zone, ()):
            rules += _accept(zone, interfaces, service)
    return [*rules, _log(allowed, "input")]


def _accept(zone: str, interfaces: tuple[str, ...], service: Service) -> list[str]:
    port = _ports(service)
    what = f"{service.protocol} dport {port}" if port != "0" else f"meta l4proto {PORTLESS[service.protocol]}"
    comment = _quoted(f"{zone}: {service.name}")
    way = f"iifname {_names(interfaces)}"
    return [f"{way} {source}{what} accept comment {comment}" for source in _sources(service)]


def _ports(service: Service) -> str:
    return str(service.low) if service.low == service.high else f"{service.low}-{service.high}"


def _sources(service: Service) -> list[str]:
    """One for each version of IP."""
    by_version = [tuple(s for s in service.sources if (":" in s) == six) for six in (False, True)]
    return [
        _source(sources)
        for sources in (by_version if service.sources else [()])
        if sources or not service.sources
    ]


def _node_ports(allowed: Policy) -> list[str]:
    """What Kubernetes leads on to a pod, here or on another node, has the address of that pod by now."""
    outside, led = f"iifname != {_names(allowed.trusted)}", "ct status dnat ct original proto-dst"
    accept = f"accept comment {_quoted('node port')}"
    opened = [
        f"{outside} {source}meta l4proto {one.protocol} {led} {_ports(one)} {accept}"
        for one in allowed.node_ports
        for source in _sources(one)
    ]
    every = f"meta l4proto {{ {', '.join(PROTOCOLS)} }}"
    return [*opened, f"{outside} {every} {led} {NODE_PORTS} drop comment {_quoted('node ports of nobody')}"]


def _forward(allowed: Policy) -> list[str]:
    rules = ["ct state established,related accept"]
    if allowed.trusted:
        rules += _node_ports(allowed)
        names, comment = _names(allowed.trusted), _quoted("trusted")
        rules += [f"iifname {names} accept comment {comment}", f"oifname {names} accept comment {comment}"]
    for origin, target in allowed.forward:
        if allowed.zones.get(origin) and allowed.zones.get(target):
            ways = f"iifname {_names(allowed.zones[origin])} oifname {_names(allowed.zones[target])}"
            rules.append(f"{ways} accept comment {_quoted(f'{origin} to {target}')}")
    return [*rules, _log(allowed, "forward")]


def _log(allowed: Policy, chain: str) -> str:
    return f'limit rate {allowed.log_per_minute}/minute burst 5 packets log prefix "{PREFIX} {chain}: "'


def _names(names: tuple[str, ...]) -> str:
    return f"{{ {', '.join(_quoted(name) for name in names)} }}" if len(names) > 1 else _quoted(names[0])


def _source(sources: tuple[str, ...]) -> str:
    if not sources:
        return ""
    family = "ip6" if ":" in sources[0] else "ip"
    return f"{family} saddr {{ {', '.join(sources)} }} "


def _quoted(text: str) -> str:
    return f'"{text}"'
