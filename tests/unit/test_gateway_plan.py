"""Routes by name, servers from the inventory, whom the gateway trusts: what nginx is told of them."""

import re
from pathlib import Path
from typing import Any

import pytest

from bedplate.gateway import behind, plan
from bedplate.gateway.render import configuration
from bedplate.service_certificate import bundle, certificates
from plugins.filter.gateway import gateway_files, gateway_upstreams

NAMES = ["ai.example", "www.ai.example", "dify.ai.example"]
GROUPS = [{"name": "people", "clients": ["*"]}]
PLATFORM = {
    "name": "platform",
    "hosts": {"group": "kubernetes", "network": "cluster"},
    "tls": {"name": "gateway.gateway.svc", "certificate": "platform/gateway.crt"},
}
LIMITS = {"rate": 1, "burst": 1, "connections": 1, "body": "1MB", "read_seconds": 1}
KUBERNETES = {"kubernetes": ["n1", "n2"]}
ADDRESSES = {"n1": {"cluster": "10.0.0.1"}, "n2": {"cluster": "10.0.0.2", "storage": "10.1.0.2"}}


def route(path: str, host: str = "", upstream: str = "platform", **more: Any) -> dict[str, Any]:
    return (
        {"path": path, "upstream": upstream, "groups": ["people"]} | ({"host": host} if host else {}) | more
    )


MODELS, DIFY, HEALTH = route("/v1/", "ai.example"), route("/", "dify.ai.example"), route("/healthz")


def resolved(trust: str = "/etc/gateway.crt", port: int = 30443, **change: Any) -> list[dict[str, Any]]:
    return behind.resolved([PLATFORM | change], KUBERNETES, ADDRESSES, port, {"platform": trust})


def sites(routes: list[dict[str, Any]], upstreams: list[dict[str, Any]]) -> dict[str, list[str]]:
    found = plan.model(routes, GROUPS, upstreams, LIMITS, NAMES)["sites"]
    return {" ".join(site["names"]): [one["path"] for one in site["routes"]] for site in found}


def test_each_name_has_its_routes_and_names_with_the_same_are_one_server() -> None:
    assert sites([MODELS, DIFY, HEALTH], resolved()) == {
        "ai.example": ["/v1/", "/healthz"],
        "www.ai.example": ["/healthz"],
        "dify.ai.example": ["/", "/healthz"],
    }
    assert sites([HEALTH], resolved()) == {" ".join(NAMES): ["/healthz"]}


def test_servers_are_the_hosts_of_a_group_at_the_port_of_the_platform() -> None:
    (one,) = resolved()
    assert one["servers"] == [{"address": "10.0.0.1:30443"}, {"address": "10.0.0.2:30443"}]
    (one,) = resolved(hosts={"group": "kubernetes", "network": "storage"})
    assert one["servers"] == [{"address": "10.1.0.2:30443"}], "a host without an address there is none"
    (one,) = resolved(hosts=PLATFORM["hosts"] | {"port": 31000})
    assert [server["address"] for server in one["servers"]] == ["10.0.0.1:31000", "10.0.0.2:31000"]


@pytest.mark.parametrize(
    ("hosts", "port", "said"),
    [
        ({"group": "nodes", "network": "cluster"}, 1, "hosts.group: no host is in this group"),
        ({"group": "kubernetes", "network": "business"}, 1, "hosts.network: none of these hosts"),
        ({"group": "kubernetes", "network": "cluster"}, 0, "hosts: there is no port"),
    ],
)
def test_hosts_that_lead_nowhere_are_refused(hosts: dict[str, str], port: int, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"nginx_gateway_upstreams[0].{said}")):
        resolved(port=port, hosts=hosts)


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ([DIFY, DIFY], "[1].path: / is there already"),
        ([route("/v1/"), MODELS], "[1].path: /v1/ is there already"),
        ([MODELS, route("/v1/")], "[1].path: /v1/ is there already"),
        ([route("/", "nobody.example")], "[0].host: the gateway has no such name"),
    ],
)
def test_a_path_leads_to_one_place_under_each_name(routes: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"nginx_gateway_routes{said}")):
        sites(routes, resolved())


@pytest.mark.parametrize("change", [{"servers": [{"address": "a:1"}]}, {"hosts": None}])
def test_servers_come_from_one_place(change: dict[str, Any]) -> None:
    upstream = {name: value for name, value in (PLATFORM | change).items() if value}
    (fault,) = plan.faults([], [], [upstream])
    assert fault[1] == "this needs servers or hosts, and one of the two"


def test_until_the_platform_has_a_certificate_nobody_is_let_through(tmp_path: Path) -> None:
    def told() -> tuple[list[str], dict[str, list[str]]]:
        files = gateway_files([PLATFORM], str(tmp_path), "/etc/x")
        hostvars = {host: {"vlan_network_addresses": own} for host, own in ADDRESSES.items()}
        upstreams = gateway_upstreams([PLATFORM], files, KUBERNETES, hostvars, 30443)
        return [file["path"] for file in files], sites([MODELS, DIFY], upstreams)

    assert told() == ([], {" ".join(NAMES): []})
    (tmp_path / "platform").mkdir()
    pem = bundle(["gateway.gateway.svc"])
    (tmp_path / "platform/gateway.crt").write_text(pem)
    paths, let_through = told()
    assert (paths, let_through["dify.ai.example"]) == (["/etc/x/platform.crt"], ["/"])
    (file,) = gateway_files([PLATFORM], str(tmp_path), "/etc/x")
    assert file["content"] == certificates(pem)[0], (
        "and no key leaves the controller, whatever the file holds"
    )


def text(**values: Any) -> str:
    return configuration(
        {
            "nginx_gateway_names": NAMES,
            "nginx_gateway_groups": GROUPS,
            "nginx_gateway_upstreams": resolved(),
            "nginx_gateway_routes": [MODELS, DIFY],
            "nginx_gateway_certificate": "/c",
            "nginx_gateway_trust": "/t",
            "nginx_gateway_crl": "/r",
            "nginx_gateway_audit_log": "/a",
            "nginx_gateway_listen": ["127.0.0.1:1"],
            "__nginx_gateway_script": "/s",
            "__nginx_gateway_health": "127.0.0.1:2",
        }
        | values
    )


def test_what_guards_a_request_stands_in_the_server_of_every_name() -> None:
    servers = text().split("\n  server {\n")[3:]
    assert [re.search(r"server_name (.*);", one)[1] for one in servers] == NAMES  # type: ignore[index]
    guards = (
        "ssl_verify_client on",
        "ssl_crl /r",
        "$plain_path =",
        "$client_group =",
        "limit_req zone",
        "limit_conn",
    )
    guards += ('X-Forwarded-Host ""', "proxy_set_header X-Client-Name $client", "error_page 495 496")
    for one in servers:
        assert [guard for guard in guards if one.count(guard) != 1] == []
    assert text().count("ssl_reject_handshake on") == text().count("return 421") == 1


def test_the_server_of_an_upstream_is_held_to_its_certificate() -> None:
    found = text()
    for line in (
        "proxy_ssl_verify on",
        "proxy_ssl_name gateway.gateway.svc",
        "trusted_certificate /etc/gateway.crt",
    ):
        assert found.count(line) == 2, "once for each route"
