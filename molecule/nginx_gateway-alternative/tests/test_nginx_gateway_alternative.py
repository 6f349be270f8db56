"""A gateway with routes, groups and a shared address, asked as its clients would."""

import json

ASK = """
import http.client, socket, ssl, sys
context = ssl.create_default_context(cafile="/etc/bedplate/pki/trust.pem")
place = f"/etc/bedplate/pki/{sys.argv[1]}/live/"
context.load_cert_chain(place + "chain.pem", place + "key.pem")
for number in range(int(sys.argv[3])):
    connection = http.client.HTTPSConnection("127.0.0.1", 8443)
    raw = socket.create_connection(("127.0.0.1", 8443))
    connection.sock = context.wrap_socket(raw, server_hostname="ai.example.internal")
    connection.request(sys.argv[4], sys.argv[2], headers={"Host": "ai.example.internal"})
    answer = connection.getresponse()
    print(answer.status, answer.getheader("Retry-After", ""))
"""


def ask(host, client, path, times=1, method="GET"):
    return host.check_output(f"python3 -c '{ASK}' {client} {path} {times} {method}").splitlines()


def test_clients_reach_what_their_group_may(host):
    assert ask(host, "alice", "/health") == ["200 "]
    assert ask(host, "bob", "/secure/x") == ["403 "]
    assert ask(host, "alice", "/health", method="POST") == ["405 "]
    assert ask(host, "alice", "/other") == ["404 "]


def test_a_guest_is_told_to_wait(host):
    answers = ask(host, "bob", "/health", 4)
    assert "429 7" in answers


def test_a_server_whose_certificate_is_verified_is_asked_without_ours(host):
    """The gateway is its own upstream here: its certificate is accepted, and it asks for one in return."""
    assert ask(host, "alice", "/secure/x") == ["401 "]


def test_the_record_says_who_did_what(host):
    lines = host.check_output("cat /var/log/nginx/audit.log").splitlines()
    entries = [json.loads(line) for line in lines]
    assert {("alice", "ask.health: GET /health", "200"), ("bob", "ask.health: GET /health", "429")} <= {
        (entry["user"], entry["operation"], entry["status"]) for entry in entries
    }
    assert (
        host.file("/var/log/nginx/audit.log").mode == 0o640 or host.file("/var/log/nginx").mode & 0o007 == 0o5
    )


HAS = "ip -4 address show dev mgmt0 | grep -q 192.0.2.100"
UNTIL = "for try in $(seq 40); do if {}; then exit 0; fi; sleep 0.5; done; exit 1"


def test_keepalived_accepts_its_configuration_and_holds_the_address(host):
    # In a unit of its own: after the test it ends the processes around it, the calling shell among them.
    tested = "keepalived --config-test --use-file=/etc/keepalived/keepalived.conf"
    host.check_output(f"systemd-run --wait --quiet {tested}")
    host.check_output(UNTIL.format(HAS))


def test_the_address_goes_when_nginx_is_not_well(host):
    host.check_output("systemctl stop nginx")
    try:
        host.check_output(UNTIL.format(f"! {HAS}"))
    finally:
        host.check_output("systemctl start nginx")
