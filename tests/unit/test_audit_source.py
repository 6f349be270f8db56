"""What auditd and the Kubernetes API server say, as audit records without parameters."""

import hashlib
import json
from typing import Any

import pytest
from audit_chain import FIELDS

from tests.role_program import load

source = load("audit_log", "audit_source")


def sha256(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


# As auditd 3.0.9 on Debian 12 writes them (log_format = ENRICHED: \x1d and names for people at the end).
LOGIN = (
    "type=USER_LOGIN msg=audit(1763892000.123:101): pid=811 uid=0 auid=1000 ses=3 subj=unconfined "
    "msg='op=login id=1000 exe=\"/usr/sbin/sshd\" hostname=10.10.0.2 addr=10.10.0.2 terminal=ssh res=success'"
    '\x1dUID="root" AUID="ada" ID="ada"'
)
STRANGER = (
    "type=USER_LOGIN msg=audit(1763892001.000:102): pid=812 uid=0 auid=4294967295 ses=4294967295 "
    'msg=\'op=login acct="mallory" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=ssh res=failed\''
    '\x1dUID="root" AUID="unset"'
)
CODED = STRANGER.replace('acct="mallory"', "acct=28696E76616C6964207573657229")  # (invalid user)
SUDO = (
    "type=USER_CMD msg=audit(1763892002.500:103): pid=820 uid=1000 auid=1000 ses=3 "
    'msg=\'cwd="/root" cmd=636174202F6574632F736861646F77 exe="/usr/bin/sudo" terminal=pts/0 res=success\''
    '\x1dUID="ada" AUID="ada"'
)
COMMAND = [
    "type=SYSCALL msg=audit(1763892003.042:104): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=830 "
    'auid=1000 uid=0 tty=pts0 ses=3 comm="mdadm" exe="/usr/sbin/mdadm" key="root-command"'
    '\x1dARCH=x86_64 SYSCALL=execve AUID="ada" UID="root"',
    'type=EXECVE msg=audit(1763892003.042:104): argc=3 a0="mdadm" a1="--stop" a2=2F6465762F6D6420726F6F74',
    'type=PATH msg=audit(1763892003.042:104): item=0 name="/usr/sbin/mdadm" inode=77 nametype=NORMAL',
    "type=PROCTITLE msg=audit(1763892003.042:104): proctitle=6D6461646D",
    "type=EOE msg=audit(1763892003.042:104): ",
]
DULL = ["type=SERVICE_START msg=audit(1763892004.000:105): pid=1 uid=0 msg='unit=cron res=success'"]


def auditd(*lines: str) -> list[dict[str, Any]]:
    found = source.auditd([f"{line}\n" for line in lines], "gpu1")
    return [record for record in found if record is not None]


CASES: dict[str, tuple[list[str], dict[str, str]]] = {
    "a login": (
        [LOGIN],
        {
            "operation": "login",
            "user": "ada",
            "client": "10.10.0.2",
            "status": "success",
            "parameters_sha256": "",
            "id": "1763892000.123:101",
            "time": "2025-11-23T10:00:00.123Z",
        },
    ),
    "a refused login": ([STRANGER], {"user": "mallory", "client": "203.0.113.9", "status": "failure"}),
    "a name in hexadecimal digits": ([CODED], {"user": "(invalid user)"}),
    "sudo": (
        [SUDO],
        {
            "operation": "sudo",
            "user": "ada",
            "parameters_sha256": sha256("cat /etc/shadow"),
            "client": "pts/0",
        },
    ),
    "a command as root": (
        COMMAND,
        {
            "operation": "root-command: /usr/sbin/mdadm",
            "user": "ada",
            "parameters_sha256": sha256("mdadm", "--stop", "/dev/md root"),
        },
    ),
}


@pytest.mark.parametrize(("lines", "wanted"), CASES.values(), ids=CASES)
def test_events_of_auditd(lines: list[str], wanted: dict[str, str]) -> None:
    (record,) = auditd(*lines)
    assert sorted(record) == sorted(FIELDS)
    assert {name: record[name] for name in wanted} == wanted


def test_events_that_share_a_stream_stay_apart() -> None:
    found = auditd(LOGIN, *COMMAND, SUDO, *DULL)
    assert [record["operation"] for record in found] == ["login", "root-command: /usr/sbin/mdadm", "sudo"]


def test_events_nobody_watches_make_no_record() -> None:
    unkeyed = [line.replace('key="root-command"', "key=(null)") for line in COMMAND]
    assert auditd(*DULL, *unkeyed) == []


def test_no_parameter_is_readable() -> None:
    said = json.dumps(auditd(LOGIN, STRANGER, SUDO, *COMMAND))
    assert not any(word in said for word in ("shadow", "--stop", "/dev/md", "636174"))


EVENT: dict[str, Any] = {
    "kind": "Event",
    "stage": "ResponseComplete",
    "auditID": "7a1b-22",
    "verb": "create",
    "requestURI": "/api/v1/namespaces/ai/pods/web/exec?command=cat&command=%2Fetc%2Fpasswd",
    "user": {"username": "system:serviceaccount:ai:runner"},
    "impersonatedUser": {"username": "ada"},
    "sourceIPs": ["10.20.0.9", "10.20.0.1"],
    "objectRef": {"namespace": "ai", "resource": "pods", "name": "web", "subresource": "exec"},
    "responseStatus": {"code": 403},
    "requestReceivedTimestamp": "2026-11-23T10:00:00.100000Z",
    "stageTimestamp": "2026-11-23T10:00:01.342000Z",
}


def kubernetes(*lines: str) -> list[dict[str, Any]]:
    return [record for record in source.kubernetes(lines, "ctl1") if record is not None]


def test_events_of_kubernetes() -> None:
    (record,) = kubernetes(json.dumps(EVENT))
    assert record == {
        "client": "10.20.0.9",
        "duration_ms": 1242,
        "host": "ctl1",
        "id": "7a1b-22",
        "operation": "create ai/pods/web/exec",
        "parameters_sha256": sha256("command=cat&command=%2Fetc%2Fpasswd"),
        "source": "kubernetes",
        "status": "403",
        "time": "2026-11-23T10:00:00.100Z",
        "user": "ada",
    }


def test_a_request_is_recorded_once_it_ended() -> None:
    assert (
        kubernetes(
            *(json.dumps(EVENT | {"stage": stage}) for stage in ("RequestReceived", "ResponseStarted"))
        )
        == []
    )
    assert len(kubernetes(json.dumps(EVENT | {"stage": "Panic"}))) == 1


def test_a_body_counts_into_the_hash() -> None:
    one, other = kubernetes(*(json.dumps(EVENT | {"requestObject": {"data": n}}) for n in (1, 2)))
    assert one["parameters_sha256"] != other["parameters_sha256"]


@pytest.mark.parametrize(
    "line", ["", "no JSON", "[]", "{}", '{"stage": "ResponseComplete"}', '{"stage": "Panic", "user": 7}']
)
def test_an_event_that_cannot_be_read_is_recorded_as_that(line: str) -> None:
    (record,) = kubernetes(line)
    assert (record["operation"], record["status"]) == ("unreadable event", "refused")
    assert record["parameters_sha256"] == hashlib.sha256(line.encode()).hexdigest()
    assert sorted(record) == sorted(FIELDS)
