"""A gateway without a route: it answers to certificates only, lets nobody through, and is hardened."""

import re

from shared.rerun import converge

CA = "/etc/bedplate/pki"
ASK = """
import http.client, socket, ssl, sys
context = ssl.create_default_context(cafile="/etc/bedplate/pki/trust.pem")
if sys.argv[1]:
    place = f"/etc/bedplate/pki/{sys.argv[1]}/live/"
    context.load_cert_chain(place + "chain.pem", place + "key.pem")
connection = http.client.HTTPSConnection("127.0.0.1", 443, context=context, timeout=20)
raw = socket.create_connection(("127.0.0.1", 443))
connection.sock = context.wrap_socket(raw, server_hostname=sys.argv[2])
connection.request("GET", sys.argv[3], headers={"Host": sys.argv[2]})
print(connection.getresponse().status)
"""
NAME = "gateway.example.internal"


def ask(host, client, path="/v1/models", name=NAME):
    return host.check_output(f"python3 -c '{ASK}' '{client}' {name} {path}")


def test_without_a_certificate_nobody_is_anybody(host):
    assert ask(host, "") == "401"


def test_with_one_nobody_may_anything_yet(host):
    assert ask(host, "alice") == "403"


def test_it_is_well_for_itself_only(host):
    said = (
        'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:8081/health").read().decode())'
    )
    assert host.check_output(f"python3 -c '{said}'").strip() == "well"
    assert "127.0.0.1:8081" in host.check_output("ss -Hltn sport = :8081")


def test_the_unit_is_hardened(host):
    said = host.check_output("systemd-analyze security nginx.service --no-pager | tail -1")
    after = float(re.search(r": ([\d.]+)", said)[1])
    dropin = "/etc/systemd/system/nginx.service.d/bedplate.conf"
    host.check_output(f"mv {dropin} /tmp/kept && systemctl daemon-reload")
    said = host.check_output("systemd-analyze security nginx.service --no-pager | tail -1")
    host.check_output(f"mv /tmp/kept {dropin} && systemctl daemon-reload")
    before = float(re.search(r": ([\d.]+)", said)[1])
    print(f"exposure of nginx.service: {before} before, {after} after")  # noqa: T201
    assert after <= 3.0 and before >= 9.0


def test_a_reload_that_nginx_would_not_survive_is_refused(host):
    host.check_output("cp /etc/bedplate/pki/crl.pem /tmp/crl && echo broken >/etc/bedplate/pki/crl.pem")
    try:
        assert host.run("systemctl reload nginx").rc != 0
        assert host.service("nginx").is_running and ask(host, "alice") == "403"
    finally:
        host.check_output("cp /tmp/crl /etc/bedplate/pki/crl.pem && systemctl reload nginx")


def test_a_wrong_inventory_changes_nothing(host):
    before = host.check_output("sha256sum /etc/nginx/nginx.conf")
    route = {"path": "/v1/../x", "upstream": "api", "groups": []}
    refused = converge(nginx_gateway_routes=[route])
    assert refused.rc != 0
    message = refused.failures[0][2]
    for words in (
        "could read this path in two ways",
        "there is no such upstream",
        "nobody may use this route",
    ):
        assert words in message
    assert host.check_output("sha256sum /etc/nginx/nginx.conf") == before


def test_a_route_more_is_a_reload_and_a_run_in_between_costs_few_tasks(host):
    worker = host.check_output("pgrep -x nginx | head -1")
    data = {
        "nginx_gateway_groups": [{"name": "research", "clients": ["alice"]}],
        "nginx_gateway_upstreams": [{"name": "api", "servers": [{"address": "127.0.0.1:8081"}]}],
        "nginx_gateway_routes": [{"path": "/health", "upstream": "api", "groups": ["research"]}],
    }
    result = converge(**data)
    assert result.rc == 0, result.failures
    assert ask(host, "alice", "/health") == "200" and ask(host, "bob", "/health") == "403"
    assert host.check_output("pgrep -x nginx | head -1") == worker, "the same nginx, reloaded"
    again = converge(**data)
    (tasks,) = again.tasks.values()
    print(f"tasks of a run that changes nothing: {tasks}")  # noqa: T201
    assert again.changed == 0 and tasks <= 6
