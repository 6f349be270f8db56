"""Mistakes in the way in."""

from typing import Any

from tests.inventory_samples import on
from tests.wrong_inventories.case import Case, case

GATES = "gateways"
GROUPS: list[dict[str, Any]] = [
    {"name": "research", "clients": ["alice", "ci-*"]},
    {"name": "ops", "clients": ["carol"]},
]
UPSTREAMS: list[dict[str, Any]] = [{"name": "api", "servers": [{"address": "10.120.0.31:8000"}]}]
ROUTE: dict[str, Any] = {"methods": ["GET"], "path": "/v1/", "upstream": "api", "groups": ["research"]}


def gate(
    variable: str, *place: Any, to: Any, value: str, why: str, remedy: str, at: tuple[str, ...] = ()
) -> Case:
    """One mistake at ``place`` in an otherwise sound gateway, found ``at`` a place within it."""
    sound: dict[str, Any] = {"groups": GROUPS, "upstreams": UPSTREAMS, "routes": [ROUTE]}
    base = [on(GATES, f"nginx_gateway_{name}", to=values) for name, values in sound.items()]
    key = f"nginx_gateway_{variable}"
    dotted = key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*place, *at))
    edit = on(GATES, key, *place, to=to)
    return case(f"gateway: {why}", *base, edit, at=("", dotted), value=value, why=why, remedy=remedy)


CASES = [
    gate(
        "routes",
        0,
        "path",
        to="/v1/../x",
        value="/v1/../x",
        why="read this path in two ways",
        remedy="/NAME/",
    ),
    gate("routes", 0, "upstream", to="apis", value="apis", why="there is no such upstream", remedy="api"),
    gate("routes", 0, "groups", to=[], value="", why="nobody may use this route", remedy="name the groups"),
    gate("routes", 0, "methods", 0, to="TRACE", value="TRACE", why="no method", remedy="GET"),
    gate(
        "routes", 0, "host", to="else.where", value="else.where", why="no such name", remedy="ai.example.com"
    ),
    gate(
        "upstreams",
        0,
        "tls",
        to={"name": "api"},
        value="{'name': 'api'}",
        why="one of the two",
        remedy="certificate",
    ),
    gate(
        "upstreams",
        0,
        to={"name": "api", "hosts": {"group": "gpu_nodes", "network": "business"}},
        value="business",
        why="none of these hosts has an address on it",
        remedy="name a network",
        at=("hosts", "network"),
    ),
    gate(
        "upstreams",
        0,
        to={"name": "api", "hosts": {"group": "gpus", "network": "cluster"}},
        value="gpus",
        why="no host is in this group",
        remedy="hosts.yml",
        at=("hosts", "group"),
    ),
    gate("routes", 0, "body", to="64", value="64", why="no size with its unit", remedy="64MB"),
    gate(
        "groups", 1, "clients", 0, to="alice", value="alice", why="in group research already", remedy="once"
    ),
    gate("groups", 0, "clients", 0, to="A B", value="A B", why="no certificate has such a name", remedy="*"),
    gate("groups", 1, "rate", to=0, value="0", why="nobody would get in", remedy="at least 1"),
    gate(
        "upstreams",
        0,
        "servers",
        0,
        "address",
        to="10.0.0.1",
        value="10.0.0.1",
        why="no address",
        remedy="PORT",
    ),
    case(
        "gateway without a name",
        on(GATES, "nginx_gateway_names", to=["Gate Way"]),
        on(GATES, "nginx_gateway_routes", to=[]),
        at=("", "nginx_gateway_names[0]"),
        value="Gate Way",
        why="no DNS name",
        remedy="gateway.ai.example.com",
    ),
    case(
        "gateway without Dify's name",
        on(GATES, "nginx_gateway_names", to=["ai.example.com"]),
        on(GATES, "nginx_gateway_routes", to=[]),
        at=("", "nginx_gateway_names"),
        value="ai.example.com",
        why="people call Dify dify.ai.example.com",
        remedy="address of platform_dify",
    ),
    case(
        "Dify by the name of models",
        on(GATES, "nginx_gateway_names", to=["dify.ai.example.com"]),
        on(GATES, "nginx_gateway_routes", to=[]),
        at=("", "nginx_gateway_names"),
        value="dify.ai.example.com",
        why="models have none",
        remedy="add a name",
    ),
    case(
        "shared address in no network",
        on(GATES, "nginx_gateway_shared", to={"address": "10.140.0.100/24", "network": "busines"}),
        at=("", "nginx_gateway_shared.network"),
        value="busines",
        why="there is no such network",
        remedy="business",
    ),
    case(
        "records for a host that nothing makes a collector of",
        on("all", "audit_log_collectors", to=["prod-sto1", "prod-sto3"]),
        at=("", "audit_log_collectors[1]"),
        value="prod-sto3",
        why="not in group audit_collectors",
        remedy="put it into that group",
    ),
    case(
        "certificates renewed at every run",
        on(GATES, "pki_renew_days", to=60),
        at=("", "pki_renew_days"),
        value="60",
        why="renewed at every run",
        remedy="20",
    ),
    case(
        "certificates that outlive their authority",
        on(GATES, "pki_days", to=900),
        at=("", "pki_days"),
        value="900",
        why="must outlive what it signs",
        remedy="at most 547",
    ),
]
