"""Audit records from a host's files into the archive of a collector, over real rsyslog and TLS."""

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate import evidence
from tests.audit_site import AuditSite, record, write

COMMAND = "pytest tests/integration/test_audit_log.py"
RECORDS = 100_000
OUTAGE_SECONDS = 60

pytestmark = pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="needs rsyslog (make setup)")


def note(name: str, claim: str, value: float, **more: str) -> None:
    evidence.record("lab", f"hosts.audit.{name}", claim, value, proved_on="program", command=COMMAND, **more)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[AuditSite]:
    site = AuditSite(tmp_path)
    yield site
    site.end()


def test_a_record_arrives_with_its_sender_and_nothing_but_the_fields(site: AuditSite) -> None:
    site.start("collector")
    site.start("shipper")
    secret = record(1) | {"body": "what nobody may read"}
    (site.folder / "log/gateway.jsonl").write_text(json.dumps(secret, ensure_ascii=False) + "\n")
    assert site.wait(1, 30) == 1, (site.folder / "collector.log").read_text()
    assert site.records() == [record(1) | {"sender": "127.0.0.1"}]


def test_what_is_no_record_is_recorded_as_that(site: AuditSite) -> None:
    site.start("collector")
    site.start("shipper")
    (site.folder / "log/gateway.jsonl").write_text('{"password": "secret"}\nno JSON\n')
    assert site.wait(2, 30) == 2
    assert [found["operation"] for found in site.records()] == ["unreadable record"] * 2
    assert "secret" not in "".join(map(str, site.records()))


def test_a_host_with_a_certificate_of_another_authority_gets_no_record_in(site: AuditSite) -> None:
    site.render("shipper", site.strange)
    site.start("collector")
    site.start("shipper")
    write(site.folder / "log/gateway.jsonl", range(10))
    assert site.wait(1, 8) == 0
    site.stop("shipper")
    site.render("shipper")
    site.start("shipper")
    assert site.wait(10, 60) == 10, "the records waited for a certificate that is good"


def test_bodies_of_kubernetes_requests_stay_on_the_host(site: AuditSite) -> None:
    event = {
        "stage": "ResponseComplete",
        "auditID": "7a1b",
        "verb": "create",
        "requestURI": "/api/v1/namespaces/ai/secrets",
        "requestReceivedTimestamp": "2026-11-23T10:00:00.100000Z",
        "stageTimestamp": "2026-11-23T10:00:00.142000Z",
        "user": {"username": "admin"},
        "sourceIPs": ["10.20.0.9"],
        "objectRef": {"namespace": "ai", "resource": "secrets", "name": "token"},
        "requestObject": {"data": {"token": "dG9wc2VjcmV0"}},
        "responseStatus": {"code": 201},
    }
    site.start("collector")
    site.start("shipper")
    site.start("kubernetes")
    (site.folder / "kubernetes-audit.log").write_text(json.dumps(event) + "\n")
    assert site.wait(1, 30) == 1
    (found,) = site.records()
    assert (found["operation"], found["user"], found["status"]) == ("create ai/secrets/token", "admin", "201")
    assert (found["duration_ms"], found["client"], found["source"]) == (42, "10.20.0.9", "kubernetes")
    shipped = [path for path in (site.folder / "log").iterdir() if path.is_file()] + list(
        (site.folder / "archive").iterdir()
    )
    assert not any("dG9wc2VjcmV0" in path.read_text() for path in shipped)


def test_a_line_that_a_power_cut_tore_takes_no_other_with_it(site: AuditSite) -> None:
    """What ext4 leaves of a file that grew when the power went: half a line, then zeros."""
    gateway = site.folder / "log/gateway.jsonl"
    write(gateway, range(1, 3))
    whole = gateway.read_bytes()
    gateway.write_bytes(whole[: len(whole) * 3 // 4] + b"\0" * 60)
    subprocess.run([site.folder / "programs/audit_sync.py", "mend", gateway.parent], check=True)
    write(gateway, range(3, 6))
    site.start("collector")
    site.start("shipper")
    assert site.wait(5, 30) == 5
    found = site.records()
    assert {entry["id"] for entry in found} > {record(number)["id"] for number in (1, 3, 4, 5)}
    assert [entry["operation"] for entry in found].count("unreadable record") == 1


def test_a_hundred_thousand_records_outlive_outage_and_power_cut(site: AuditSite) -> None:
    """Written at an even pace for two minutes. The collector is killed and away for a minute, and the
    host's shipper loses everything but its files.
    """
    gateway = site.folder / "log/gateway.jsonl"

    def pace() -> None:
        for first in range(0, RECORDS, 1000):
            write(gateway, range(first, first + 1000))
            time.sleep(1)

    site.start("collector")
    site.start("shipper")
    writer = threading.Thread(target=pace)
    writer.start()
    time.sleep(15)
    site.stop("collector", signal.SIGKILL)
    time.sleep(OUTAGE_SECONDS)
    site.start("collector")
    time.sleep(10)
    site.lose_power()
    site.start("shipper")
    writer.join()
    begin = time.monotonic()
    arrived = site.wait(RECORDS, 60)
    seconds = round(time.monotonic() - begin, 1)
    time.sleep(3)  # what came twice would come now
    found = site.records()
    lost = RECORDS - len({entry["id"] for entry in found})
    say = f"Audit records lost of {RECORDS}: collector away for {OUTAGE_SECONDS} s, then the host's power"
    note("lost", say, lost, goal="== 0")
    note("doubled", "Audit records written twice in the same run", len(found) - RECORDS + lost, goal="== 0")
    note("seconds", "The archive has caught up after the last record was written", seconds, unit="s")
    assert (lost, len(found), arrived) == (0, RECORDS, RECORDS)
    verdict = site.verdict()
    assert (verdict.broken, verdict.records) == (None, RECORDS)
