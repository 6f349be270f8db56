#!/usr/bin/python3
"""Makes audit records of what auditd and the Kubernetes API server say, with hashes in place of parameters.

``audit_source auditd FILE`` is a plug-in of auditd, ``audit_source kubernetes FILE`` is run by rsyslog
(omprog) over the API server's audit log; both read standard input and write a record a line to FILE. What
the gateway logs is a record already. Parameters (command lines, request bodies) leave this program as
SHA-256 only.
"""

import hashlib
import json
import os
import re
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path

import audit_chain

FIELD = re.compile(r"(\w[\w-]*)=(\"[^\"]*\"|'[^']*'|\S+)")
HEAD = re.compile(r"type=(\S+) msg=audit\((\d+\.\d+):(\d+)\):\s?(.*)", re.DOTALL)
UNSET = "4294967295"
ENDED = ("ResponseComplete", "Panic")  # stages of an event of Kubernetes in which its request is over
# Messages of auditd that are records by themselves: operation, and the field that holds the parameters.
MESSAGES = {
    "USER_LOGIN": ("login", ""),
    "USER_AUTH": ("authentication", ""),
    "USER_CMD": ("sudo", "cmd"),
    "USER_CHAUTHTOK": ("change of credentials", "acct"),
    "ADD_USER": ("add user", "acct"),
    "DEL_USER": ("delete user", "acct"),
    "ADD_GROUP": ("add group", "acct"),
    "DEL_GROUP": ("delete group", "acct"),
    "CONFIG_CHANGE": ("change of the audit rules", "key"),
    "DAEMON_START": ("auditd starts", ""),
    "DAEMON_END": ("auditd ends", ""),
}


def sha256(data):
    return hashlib.sha256(data).hexdigest() if data else ""


def of_kubernetes(event, host):
    """The record of an event (audit.k8s.io/v1) whose request has ended."""
    about = event.get("objectRef") or {}
    place = "/".join(
        str(about[part]) for part in ("namespace", "resource", "name", "subresource") if about.get(part)
    )
    body = event.get("requestObject")
    uri = event.get("requestURI", "")
    parameters = uri.partition("?")[2].encode() + (json.dumps(body, sort_keys=True).encode() if body else b"")
    begin, end = (_moment(event[name]) for name in ("requestReceivedTimestamp", "stageTimestamp"))
    return {
        "client": (event.get("sourceIPs") or [""])[0],
        "duration_ms": round((end - begin).total_seconds() * 1000),
        "host": host,
        "id": event["auditID"],
        "operation": f"{event['verb']} {place or uri.partition('?')[0]}",
        "parameters_sha256": sha256(parameters),
        "source": "kubernetes",
        "status": str((event.get("responseStatus") or {}).get("code", "")),
        "time": _text(begin),
        "user": (event.get("impersonatedUser") or event.get("user") or {}).get("username", ""),
    }


def of_auditd(messages, host):
    """The record of one event of auditd, whose ``messages`` share a number; None when it is of no interest.

    An event is of interest when it is one of MESSAGES, or when a rule with a key caught it.
    """
    parsed = [(found[1], found, _fields(found[4])) for text in messages if (found := HEAD.match(text))]
    for kind, found, fields in parsed:
        about = {"host": host, "id": f"{found[2]}:{found[3]}", "time": _text(_since_epoch(found[2]))}
        if kind in MESSAGES:
            operation, parameter = MESSAGES[kind]
            parameters = _bytes(fields.get(parameter, ""))
        elif kind == "SYSCALL" and fields.get("key", "(null)") != "(null)":
            operation = f"{_bytes(fields['key']).decode(errors='replace')}: {fields.get('exe', '')}"
            parameters = b"\0".join(
                word for other in parsed if other[0] == "EXECVE" for word in _argv(other[2])
            )
        else:
            continue
        return {**about, **_who(fields), "operation": operation, "parameters_sha256": sha256(parameters)}
    return None


def _who(fields):
    """Who did it, from where, and how it ended."""
    user = fields.get("AUID") or fields.get("acct") or fields.get("auid", "")
    if user in ("unset", UNSET):
        user = fields.get("acct") or fields.get("UID") or fields.get("uid", "")
    good = fields.get("res", fields.get("success", "")) in ("success", "yes", "1")
    client = fields.get("addr", "?")
    return {
        "client": client if client != "?" else fields.get("terminal", fields.get("tty", "")),
        "duration_ms": 0,
        "source": "auditd",
        "status": "success" if good else "failure",
        "user": _bytes(user).decode(errors="replace"),
    }


def _fields(text):
    """The fields of a message, and those within msg='…' and what auditd adds for people behind \\x1d."""
    found = {}
    for name, value in FIELD.findall(text.replace("\x1d", " ")):
        if value.startswith("'"):
            found.update(_fields(value[1:-1]))
        else:
            found.setdefault(name, value.strip('"') if value.startswith('"') else _hexadecimal(name, value))
    return found


def _hexadecimal(name, value):
    """Only what a program chose comes as bare hexadecimal digits; it is marked so that _bytes knows."""
    chosen = name in ("cmd", "acct", "key", "exe") or re.fullmatch(r"a\d+", name)
    coded = chosen and len(value) % 2 == 0 and re.fullmatch(r"[0-9A-F]{2,}", value)
    return f"\x00{value}" if coded else value


def _bytes(value):
    return bytes.fromhex(value[1:]) if value.startswith("\x00") else value.encode()


def _argv(fields):
    return [_bytes(fields[name]) for name in (f"a{n}" for n in range(len(fields))) if name in fields]


def _since_epoch(seconds):
    return datetime.fromtimestamp(float(seconds), timezone.utc)


def _moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def auditd(lines, host):
    """Records of the events in ``lines``. auditd ends an event of several messages with EOE."""
    messages, serial = [], None
    for line in lines:
        found = HEAD.match(line)
        if found is None:
            continue
        if found[3] != serial and messages:
            yield of_auditd(messages, host)
            messages = []
        serial = found[3]
        messages.append(line.rstrip("\n"))
        if found[1] == "EOE" or found[1] in MESSAGES:
            yield of_auditd(messages, host)
            messages = []
    if messages:
        yield of_auditd(messages, host)


def kubernetes(lines, host):
    """Records of the events in ``lines``, a JSON document each."""
    for line in lines:
        try:
            event = json.loads(line)
            yield of_kubernetes(event, host) if event["stage"] in ENDED else None
        except (ValueError, KeyError, TypeError, AttributeError):
            about = audit_chain.unreadable(
                "event", line.rstrip("\n"), "kubernetes", _text(datetime.now(timezone.utc))
            )
            yield {**about, "host": host}


def write(file, record):
    """Append; the file is opened each time, for it may have been rotated, and a power cut may have torn its
    last line."""
    line = json.dumps(record, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    with file.open("a+b", buffering=0) as out:
        out.write(b"\n" + line if audit_chain.is_torn(out) else line)


def main():
    source, file = {"auditd": auditd, "kubernetes": kubernetes}[sys.argv[1]], sys.argv[2]
    sys.stdin.reconfigure(errors="replace")
    os.umask(0o027)
    for record in source(sys.stdin, socket.gethostname()):
        if record is not None:
            write(Path(file), record)


if __name__ == "__main__":
    main()
