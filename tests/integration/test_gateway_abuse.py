"""HTTP that is not meant well: smuggling, spoofed identities, tricks with paths, too much, too slowly.

Each shape is answered properly, and the upstream sees nothing of it, or only what the gateway itself says."""

import base64
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bedplate import evidence
from bedplate.gateway.lab import NAME, Lab
from tests.gateway_client import CLOSED, receive, request, send, status
from tests.gateway_upstream import Upstream

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
COMMAND = "pytest tests/integration/test_gateway_abuse.py"
H = f"Host: {NAME}\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def lab(behind: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(
        tmp_path_factory.mktemp("gateway"),
        nginx_gateway_groups=[
            {"name": "research", "clients": ["alice"], "rate": 5000, "burst": 5000},
            {"name": "ops", "clients": ["carol"], "rate": 5000, "burst": 5000},
        ],
        nginx_gateway_upstreams=[{"name": "api", "servers": [{"address": f"127.0.0.1:{behind.port}"}]}],
        nginx_gateway_routes=[
            {"path": "/v1/", "upstream": "api", "groups": ["research", "ops"], "body": "64kB"},
            {"path": "/admin/", "upstream": "api", "groups": ["ops"]},
            {"path": "/exact", "upstream": "api", "groups": ["research"], "methods": ["GET"]},
        ],
        nginx_gateway_client_seconds=2,
    )
    with made:
        yield made


@pytest.fixture(scope="module")
def alice(lab: Lab) -> Path:
    return lab.client("alice")


@dataclass(frozen=True)
class Shape:
    """Bytes that are sent, the answers that are proper, and how many requests may be seen behind it."""

    name: str
    raw: bytes
    proper: tuple[str, ...]
    seen: int = 0


def shape(name: str, raw: str | bytes, *proper: str, seen: int = 0) -> Shape:
    return Shape(name, raw.encode("latin1") if isinstance(raw, str) else raw, proper, seen)


def path(name: str, text: str, *proper: str) -> Shape:
    return shape(f"path: {name}", f"GET {text} HTTP/1.1\r\n{H}\r\n", *proper)


POST = f"POST /v1/x HTTP/1.1\r\n{H}"
INNER = f"GET /admin/secret HTTP/1.1\r\nHost: {NAME}\r\n\r\n"
SHAPES = [
    shape(
        "length and chunks", f"{POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"
    ),
    shape(
        "chunks and length", f"{POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "400"
    ),
    shape("two lengths", f"{POST}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", "400"),
    shape("a list of lengths", f"{POST}Content-Length: 4, 4\r\n\r\nabcd", "400"),
    shape("a length below nothing", f"{POST}Content-Length: -1\r\n\r\n", "400"),
    shape("a length with a sign", f"{POST}Content-Length: +4\r\n\r\nabcd", "400"),
    shape("a length in hexadecimal", f"{POST}Content-Length: 0x4\r\n\r\nabcd", "400"),
    shape("a length too long for a number", f"{POST}Content-Length: {'9' * 30}\r\n\r\n", "400", "413"),
    shape(
        "two encodings",
        f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "400",
    ),
    shape("an encoding nobody has", f"{POST}Transfer-Encoding: cow\r\n\r\n0\r\n\r\n", "501", "400"),
    shape("an encoding behind a tab", f"{POST}Transfer-Encoding:\tchunked, x\r\n\r\n0\r\n\r\n", "501", "400"),
    shape(
        "chunks in HTTP/1.0", f"POST /v1/x HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"
    ),
    shape("a chunk of no size", f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", "400"),
    shape(
        "a chunk of a size too long", f"{POST}Transfer-Encoding: chunked\r\n\r\n{'f' * 20}\r\n", "400", "413"
    ),
    shape("a space before the colon", f"{POST}Content-Length : 4\r\n\r\nabcd", "400"),
    shape("a folded header", f"GET /v1/x HTTP/1.1\r\n{H}X-A: b\r\n Content-Length: 4\r\n\r\n", "400"),
    shape("nothing as a header's name", f"GET /v1/x HTTP/1.1\r\n{H}: x\r\n\r\n", "400"),
    shape("a zero in a header", f"GET /v1/x HTTP/1.1\r\n{H}X-A: a\0b\r\n\r\n", "400"),
    shape("two hosts", f"GET /v1/x HTTP/1.1\r\n{H}Host: other\r\n\r\n", "400"),
    shape("no host", "GET /v1/x HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
    shape("another host", "GET /v1/x HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n", "421"),
    shape("another host in the line", f"GET http://other/v1/x HTTP/1.1\r\n{H}\r\n", "421"),
    shape("a host with a slash", "GET /v1/x HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n", "400"),
    shape("HTTP/0.9", b"GET /v1/x\r\n", "400", "421", CLOSED),
    shape("HTTP/3.7", f"GET /v1/x HTTP/3.7\r\n{H}\r\n", "505", "400"),
    shape("HTTP/2 without having said so", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400", "405", "505", CLOSED),
    shape("TRACE", f"TRACE /v1/x HTTP/1.1\r\n{H}\r\n", "405"),
    shape("CONNECT", f"CONNECT 127.0.0.1:22 HTTP/1.1\r\n{H}\r\n", "400", "405"),
    shape("a method in lower case", f"get /v1/x HTTP/1.1\r\n{H}\r\n", "400"),
    shape("a method nobody allowed", f"DELETE /v1/x HTTP/1.1\r\n{H}\r\n", "405"),
    shape(
        "a method that the route does not have",
        f"POST /exact HTTP/1.1\r\n{H}Content-Length: 0\r\n\r\n",
        "405",
    ),
    shape(
        "h2c",
        f"GET /v1/x HTTP/1.1\r\nHost: {NAME}\r\nUpgrade: h2c\r\nConnection: close, Upgrade\r\n\r\n",
        "200",
        seen=1,
    ),
    path("back to admin", "/v1/../admin/secret", "400"),
    path("back to admin, encoded", "/v1/%2e%2e/admin/secret", "400"),
    path("an encoded slash", "/v1/..%2fadmin/secret", "400"),
    path("admin that becomes v1", "/admin/..%2fv1/x", "400"),
    path("encoded twice", "/v1/%252e%252e/admin", "400"),
    path("a backslash", "/v1/..\\admin\\secret", "400"),
    path("an encoded backslash", "/v1/..%5cadmin", "400"),
    path("two slashes", "//admin/secret", "400"),
    path("two slashes within", "/v1//x", "400"),
    path("a parameter of a path", "/v1/x;/../../admin", "400"),
    path("a dot alone", "/./admin/secret", "400"),
    path("a zero", "/v1/x%00.json", "400"),
    path("a new line", "/v1/x%0d%0aX-Client-Name:%20root", "400"),
    path("not UTF-8", "/v1/\xff\xfe", "400"),
    path("above the root", "/../../etc/passwd", "400"),
    path("a broken escape", "/v1/%zz", "400"),
    path("another group's", "/admin/secret", "403"),
    path("no route", "/metrics", "404"),
    path("more than exactly", "/exact/more", "404"),
    path("the gateway's own status", "/status", "404"),
    # Whoever is still writing when the gateway hangs up may lose its answer.
    path("too long", f"/v1/{'a' * 40000}", "414", CLOSED),
    shape("a header too long", f"GET /v1/x HTTP/1.1\r\n{H}X-A: {'a' * 40000}\r\n\r\n", "400", CLOSED),
    shape(
        "too many headers",
        f"GET /v1/x HTTP/1.1\r\n{H}" + "X-A: aaaaaaaaaa\r\n" * 6000 + "\r\n",
        "400",
        CLOSED,
    ),
    shape("a body too large", f"{POST}Content-Length: 70000\r\n\r\n" + "a" * 70000, "413"),
    shape(
        "a body too large in chunks",
        f"{POST}Transfer-Encoding: chunked\r\n\r\n11170\r\n{'a' * 70000}\r\n0\r\n\r\n",
        "413",
    ),
    shape("half a header, then silence", f"GET /v1/x HTTP/1.1\r\nHost: {NAME}\r\nX-A: ", "408", CLOSED),
    shape("half a body, then silence", f"{POST}Content-Length: 10\r\n\r\nabc", "408", CLOSED),
    shape("noise", bytes(range(1, 255)) * 4 + b"\r\n\r\n", "400"),
    shape("a request hidden in a body", f"{POST}Content-Length: {len(INNER)}\r\n\r\n{INNER}", "200", seen=1),
]


def answer(lab: Lab, pair: Path, raw: bytes) -> str:
    try:
        return status(send(lab, pair, raw))
    except OSError:
        return CLOSED


@pytest.fixture(scope="module")
def table(lab: Lab, behind: Upstream, alice: Path) -> dict[str, tuple[str, int]]:
    """What every shape got, and how many requests came through."""
    found = {}
    for one in SHAPES:
        before = len(behind.seen)
        found[one.name] = (answer(lab, alice, one.raw), len(behind.seen) - before)
    return found


@pytest.mark.parametrize("one", SHAPES, ids=lambda one: one.name)
def test_each_shape_is_answered_and_stays_outside(table: dict[str, tuple[str, int]], one: Shape) -> None:
    got, seen = table[one.name]
    assert got in one.proper and seen == one.seen


def test_shapes_that_come_through_are_none(table: dict[str, tuple[str, int]]) -> None:
    through = [one.name for one in SHAPES if table[one.name][1] > one.seen]
    evidence.record(
        "lab",
        "gateway.abuse",
        f"Of {len(SHAPES)} shapes of abusive HTTP from a valid client, so many reach an upstream",
        len(through),
        unit="shapes",
        goal="== 0",
        proved_on="program",
        command=COMMAND,
    )
    assert len(SHAPES) >= 30 and through == []


SPOOFED = [
    ("X-Client-Name", "root"),
    ("x-client-name", "root"),
    ("X_Client_Name", "root"),
    ("X-Client-Group", "ops"),
    ("X-Client-Serial", "1"),
    ("X-Client-Fingerprint", "1"),
    ("X-Forwarded-For", "10.0.0.1"),
    ("X-Real-IP", "10.0.0.1"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "other"),
    ("X-Forwarded-User", "root"),
    ("X-Forwarded-Client-Cert", "Subject=root"),
    ("X-Remote-User", "root"),
    ("Remote-User", "root"),
    ("X-SSL-Client-CN", "root"),
    ("X-Consumer-Username", "root"),
    ("X-Auth-Request-User", "root"),
    ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"),
    ("Forwarded", "for=10.0.0.1"),
    ("True-Client-IP", "10.0.0.1"),
    ("CF-Connecting-IP", "10.0.0.1"),
    ("X-Request-Id", "mine"),
    ("Proxy", "http://10.0.0.1"),
]


def fingerprint(pair: Path) -> str:
    """SHA-1 of a client's certificate, as nginx and ``openssl x509 -fingerprint`` say it."""
    first, _, _ = pair.read_text().partition("-----END CERTIFICATE-----")
    body = first.partition("-----BEGIN CERTIFICATE-----")[2]
    return hashlib.sha1(base64.b64decode(body), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("header", SPOOFED, ids=lambda header: header[0])
@pytest.mark.parametrize("times", [1, 2])
def test_who_somebody_is_is_said_by_the_gateway_alone(
    lab: Lab, behind: Upstream, alice: Path, header: tuple[str, str], times: int
) -> None:
    name, value = header
    raw = request(body=b"x", method="POST").replace(
        b"Connection: close", (f"{name}: {value}\r\n" * times).encode() + b"Connection: close"
    )
    assert status(send(lab, alice, raw)) == "200"
    seen = behind.seen[-1]
    assert value not in seen.header(name)
    assert (seen.header("X-Client-Name"), seen.header("X-Client-Group")) == (["alice"], ["research"])
    assert seen.header("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.header("X-Client-Fingerprint") == [fingerprint(alice)]


def test_a_client_cannot_have_an_identity_header_taken_away(lab: Lab, behind: Upstream, alice: Path) -> None:
    """Connection names headers that end at a proxy; ours begin behind it."""
    raw = request().replace(b"Connection: close", b"Connection: close, X-Client-Name, X-Client-Group")
    assert status(send(lab, alice, raw)) == "200"
    assert behind.seen[-1].header("X-Client-Name") == ["alice"]


def test_a_slow_client_does_not_hold_up_others(lab: Lab, alice: Path) -> None:
    slow = [lab.connect(alice) for _ in range(40)]
    try:
        for connection in slow:
            connection.sendall(b"GET /v1/x HTTP/1.1\r\nHost: ")
        begin = time.monotonic()
        assert status(send(lab, alice, request())) == "200"
        assert time.monotonic() - begin < 10
        assert all(status(receive(connection, 30)) in ("408", CLOSED) for connection in slow)
    finally:
        for connection in slow:
            connection.close()


def logged(lab: Lab, answer: bytes) -> dict[str, Any]:
    """The record of an answer, which is written once the answer has gone out."""
    found = re.search(rb"X-Request-Id: (\w+)", answer)
    assert found
    for _ in range(100):
        for line in lab.audit():
            if found[1].decode() in line:
                return dict(json.loads(line))
        time.sleep(0.05)
    raise AssertionError("the access was not recorded")


def test_the_log_has_every_access_and_nothing_that_was_said(lab: Lab, behind: Upstream, alice: Path) -> None:
    secret = "sk-very-secret-value"
    begin = time.time()
    raw = request(
        f"/v1/chat?key={secret}",
        "POST",
        b'{"prompt": "' + secret.encode() + b'"}',
        Authorization=f"Bearer {secret}",
    )
    asked = [send(lab, alice, raw), send(lab, alice, request(f"/v1/nobody?key={secret}", "PURGE"))]
    behind.fault = "cut"
    asked.append(send(lab, alice, raw))
    behind.fault = ""
    last = [logged(lab, answer) for answer in asked]
    logs = "".join(file.read_text() for file in (lab.folder / "logs").iterdir())
    assert secret not in logs
    assert [entry["status"] for entry in last] == ["200", "405", "502"]
    assert (last[0]["user"], last[0]["client"]) == ("alice", "127.0.0.1")
    assert last[0]["operation"] == "v1: POST /v1/chat"
    assert last[0]["parameters_sha256"] == last[2]["parameters_sha256"] != last[1]["parameters_sha256"]
    moment = last[0]["time"]
    assert len(moment) == len("2026-01-01T00:00:00.123+00:00") and moment[19] == "."
    assert (
        begin - 1 < time.mktime(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone < begin + 60
    )


@pytest.mark.parametrize("size", [0, 1, 1000, 60000])
def test_parameters_are_hashed_whole(lab: Lab, alice: Path, size: int) -> None:
    body = b"b" * size
    answer = send(lab, alice, request("/v1/x?a=1&b=2", "POST", body))
    assert status(answer) == "200"
    entry = logged(lab, answer)
    assert entry["parameters_sha256"] == hashlib.sha256(b"a=1&b=2\n" + body).hexdigest()
