"""Records of a gateway on their way into the archive of a collector, with everything set."""

import json
import re
import time

RECORDS, ARCHIVE = "/srv/audit/records", "/srv/audit/archive"
VERIFY = f"/usr/local/lib/bedplate/audit/audit_verify.py {ARCHIVE} --keep-days 2192"
GATEWAY = """import json, sys
fields = ("client", "host", "operation", "parameters_sha256", "source", "status", "time", "user")
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    print(json.dumps(dict.fromkeys(fields, "gw1") | {"duration_ms": 1, "id": str(number)}))
"""


def write(host, first, last):
    """What a gateway logs of requests ``first`` to ``last``."""
    host.check_output(f"python3 -c %s {first} {last} >>{RECORDS}/gateway.jsonl", GATEWAY)


def ids(host):
    lines = host.check_output(f"cat {ARCHIVE}/*.jsonl").splitlines()
    return [json.loads(line)["record"]["id"] for line in lines]


def arrived(host, number, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if int(host.check_output(f"cat {ARCHIVE}/*.jsonl 2>/dev/null | wc -l")) >= number:
            return True
        time.sleep(1)
    return False


def log(host):
    return host.check_output("journalctl -u 'audit-shipper@*' -u audit-collector --no-pager -n 30")


def test_records_arrive_once_whatever_stops_on_the_way(host):
    """The collector is stopped, files are rotated, the shipper is killed, and all goes on."""
    write(host, 0, 500)
    assert arrived(host, 500), log(host)
    host.check_output("systemctl stop audit-collector")
    write(host, 500, 1000)
    host.check_output("logrotate --force --state /run/rotated /etc/bedplate/audit/logrotate.conf")
    write(host, 1000, 1500)
    host.check_output("systemctl kill --signal KILL 'audit-shipper@*'")
    host.check_output("systemctl start audit-collector")
    assert arrived(host, 1500, 120), log(host)
    time.sleep(10)  # what came twice would come now
    assert sorted(map(int, ids(host))) == list(range(1500))
    assert host.run(VERIFY).rc == 0
    assert len(host.file(f"{RECORDS}/rotated").listdir()) == 1


def test_one_byte_that_changed_is_found_by_name(host):
    assert arrived(host, 1)
    host.check_output(f"cp -a {ARCHIVE} /tmp/archive; sed -i '7s/gw1/gw2/' /tmp/archive/*.jsonl")
    found = host.run(VERIFY.replace(ARCHIVE, "/tmp/archive"))
    host.check_output("rm -r /tmp/archive")
    assert found.rc == 1
    broken = json.loads(found.stdout)["broken"]
    assert (broken["seq"], broken["line"], broken["record"]) == (7, 7, "6")


def test_bodies_of_requests_to_kubernetes_stay_on_the_host(host):
    event = {
        "stage": "ResponseComplete",
        "auditID": "k1",
        "verb": "create",
        "requestURI": "/api/v1/namespaces/ai/secrets",
        "requestReceivedTimestamp": "2026-11-23T10:00:00.100000Z",
        "stageTimestamp": "2026-11-23T10:00:00.142000Z",
        "user": {"username": "admin"},
        "objectRef": {"namespace": "ai", "resource": "secrets"},
        "requestObject": {"data": {"token": "dG9wc2VjcmV0"}},
    }
    before = len(ids(host))
    host.check_output(f"mkdir -p /srv/kubernetes; echo '{json.dumps(event)}' >>/srv/kubernetes/audit.log")
    assert arrived(host, before + 1), log(host)
    assert "k1" in ids(host)
    assert host.run(f"grep -r dG9wc2VjcmV0 {RECORDS} {ARCHIVE}").rc == 1


def test_nobody_gets_in_without_a_certificate(host):
    answer = host.run("echo | timeout 10 openssl s_client -connect 127.0.0.1:3514 -tls1_2 2>&1")
    assert answer.rc == 1, answer.stdout  # 0 after a handshake, 124 when nobody answers
    assert re.search(r"alert|handshake failure|unexpected eof", answer.stdout), answer.stdout


def test_what_listens_is_hardened(host):
    """systemd's own judge: 0 is safe, 10 is not; a service without hardening gets 9.6."""
    for unit in ("audit-collector", "audit-kubernetes", "audit-records"):
        report = host.check_output(f"systemd-analyze security {unit}.service --no-pager")
        exposure = float(re.search(rf"Overall exposure level for {unit}.service: ([\d.]+)", report)[1])
        assert exposure < 3.5, report
