"""What the gateway does over time: tokens, sockets, limits, dying servers, certificates that come and go."""

import base64
import json
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import audit_chain
import pytest

from bedplate import evidence
from bedplate.gateway.lab import NAME, Lab
from tests.gateway_client import CLOSED, receive, request, send, status
from tests.gateway_upstream import GAP, TOKENS, Upstream, upstream

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
COMMAND = "pytest tests/integration/test_gateway_life.py"
GROUPS = [
    {"name": "research", "clients": ["alice", "dave"], "rate": 2000, "burst": 2000},
    {"name": "guests", "clients": ["guest-*"], "rate": 2, "burst": 3, "connections": 2},
]
EVERYBODY = ["research", "guests"]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Upstream]]:
    with upstream() as one, upstream() as two:
        yield [one, two]


@pytest.fixture(scope="module")
def lab(servers: list[Upstream], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    addresses = [{"address": f"127.0.0.1:{server.port}"} for server in servers]
    made = Lab(
        tmp_path_factory.mktemp("gateway"),
        nginx_gateway_groups=GROUPS,
        nginx_gateway_upstreams=[{"name": "api", "servers": addresses}],
        nginx_gateway_routes=[
            {"path": "/v1/", "upstream": "api", "groups": EVERYBODY},
            {"path": "/stream/", "upstream": "api", "groups": EVERYBODY, "stream": True},
            {"path": "/socket", "upstream": "api", "groups": EVERYBODY, "websocket": True},
        ],
        nginx_gateway_drain_seconds=30,
    )
    with made:
        yield made


@pytest.fixture(scope="module")
def alice(lab: Lab) -> Path:
    return lab.client("alice")


def test_tokens_arrive_one_by_one(lab: Lab, servers: list[Upstream], alice: Path) -> None:
    for server in servers:
        server.sent.clear()
    with lab.connect(alice) as connection:
        connection.sendall(request("/stream/chat"))
        arrived, text = [], b""
        while part := connection.recv(65536):
            text += part
            while text.count(b"data: ") > len(arrived):
                arrived.append(time.monotonic())
    sent = servers[0].sent or servers[1].sent
    late = [there - left for left, there in zip(sent, arrived, strict=True)]
    gaps = [b - a for a, b in pairwise(arrived)]
    assert len(arrived) == TOKENS
    record(
        "gateway.first_token",
        "First token of a stream, later than the upstream sent it",
        late[0],
        "s",
        "< 0.25",
    )
    record(
        "gateway.token_delay",
        "Tokens, later than the upstream sent them (median)",
        median(late),
        "s",
        "< 0.1",
    )
    record(
        "gateway.token_gap",
        f"Time between tokens that were sent every {GAP} s (median)",
        median(gaps),
        "s",
        "< 0.2",
    )
    assert late[0] < 0.25 and median(late) < 0.1 and GAP / 2 < median(gaps) < 0.2


def record(name: str, claim: str, value: float, unit: str, goal: str) -> None:
    evidence.record(
        "lab", name, claim, round(value, 4), unit=unit, goal=goal, proved_on="program", command=COMMAND
    )


def open_socket(lab: Lab, pair: Path) -> ssl.SSLSocket:
    connection = lab.connect(pair)
    key = base64.b64encode(b"0123456789abcdef").decode()
    words = f"GET /socket HTTP/1.1\r\nHost: {NAME}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(f"{words}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    head = connection.recv(4096)
    assert head.startswith(b"HTTP/1.1 101"), head
    return connection


def test_a_websocket_goes_both_ways(lab: Lab, alice: Path) -> None:
    with open_socket(lab, alice) as connection:
        for word in (b"one", b"two" * 1000):
            connection.sendall(word)
            back = b""
            while len(back) < len(word):
                back += connection.recv(65536)
            assert back == word


def test_an_upgrade_elsewhere_is_no_upgrade(lab: Lab, servers: list[Upstream], alice: Path) -> None:
    for server in servers:
        server.seen.clear()
    raw = request().replace(b"Connection: close", b"Upgrade: websocket\r\nConnection: close, Upgrade")
    assert status(send(lab, alice, raw)) == "200"
    (seen,) = [one for server in servers for one in server.seen]
    assert not seen.header("Upgrade")


def test_whoever_asks_too_often_is_told_when_to_come_back(lab: Lab, alice: Path) -> None:
    answers = [send(lab, lab.client("guest-1"), request()) for _ in range(12)]
    refused = [answer for answer in answers if status(answer) == "429"]
    assert refused and b"Retry-After: 1" in refused[0]
    assert status(answers[0]) == "200", "the first ones are let through"
    assert status(send(lab, lab.client("guest-2"), request())) == "200", "another client has its own limit"
    assert status(send(lab, alice, request())) == "200"
    time.sleep(2.5)
    assert status(send(lab, lab.client("guest-1"), request())) == "200"


def test_streams_of_a_client_are_counted(lab: Lab) -> None:
    guest = lab.client("guest-3")
    streams = [lab.connect(guest) for _ in range(3)]
    for connection in streams:
        connection.sendall(request("/stream/x"))
        time.sleep(0.1)
    got = sorted(status(receive(connection)) for connection in streams)
    assert got == ["200", "200", "429"]


def seen_in(servers: list[Upstream]) -> int:
    return sum(len(server.seen) for server in servers)


@pytest.mark.parametrize("case", [("GET", "200", 2), ("POST", "502", 1)])
def test_only_what_may_happen_twice_is_repeated(
    lab: Lab, servers: list[Upstream], alice: Path, case: tuple[str, str, int]
) -> None:
    """A server takes the request and dies: nobody knows what it has done with it."""
    method, answers, times = case
    servers[0].fault = "cut"
    try:
        for _ in range(20):
            before, cut = seen_in(servers), len(servers[0].seen)
            answer = status(send(lab, alice, request(method=method, body=b"x" if method == "POST" else b"")))
            if len(servers[0].seen) > cut:
                assert (answer, seen_in(servers) - before) == (answers, times)
                return
            time.sleep(0.5)
        pytest.fail("the broken server was never asked")
    finally:
        servers[0].fault = ""


def test_a_server_that_is_gone_is_not_noticed(lab: Lab, servers: list[Upstream], alice: Path) -> None:
    """Nobody listens there: the request was never sent, so even a POST may go to the other one."""
    dead = [{"address": "127.0.0.1:9"}, {"address": f"127.0.0.1:{servers[0].port}"}]
    before = lab.values["nginx_gateway_upstreams"]
    lab.configure(nginx_gateway_upstreams=[{"name": "api", "servers": dead}])
    lab.reload()
    time.sleep(1)
    try:
        answers = [status(send(lab, alice, request(method="POST", body=b"x"))) for _ in range(20)]
        assert set(answers) == {"200"}
    finally:
        lab.configure(nginx_gateway_upstreams=before)
        lab.reload()


def test_a_revoked_client_is_refused_within_seconds(lab: Lab) -> None:
    from cryptography import x509

    dave = lab.client("dave")
    blocks = dave.read_bytes().split(b"-----END PRIVATE KEY-----\n")[1]
    serial = x509.load_pem_x509_certificates(blocks)[0].serial_number
    kept = lab.connect(dave)
    kept.sendall(request().replace(b"Connection: close\r\n", b""))
    assert kept.recv(4096).startswith(b"HTTP/1.1 200")
    lab.intermediate.revoked.append(serial)
    begin = time.monotonic()
    lab.write_trust()
    lab.reload()
    while status(send(lab, dave, request())) == "200":
        assert time.monotonic() - begin < 30
    seconds = time.monotonic() - begin
    record(
        "gateway.revocation", "A revoked client is refused, after its list was written", seconds, "s", "< 10"
    )
    kept.settimeout(10)
    try:
        kept.sendall(request())
        answer = kept.recv(4096)
    except OSError:
        answer = b""
    kept.close()
    assert seconds < 10 and status(answer) in (CLOSED, "401"), "an idle connection of before ends too"


def test_a_stream_outlives_a_reload_and_a_renewed_certificate(lab: Lab, alice: Path) -> None:
    with lab.connect(alice) as connection:
        before = connection.getpeercert(True)
        connection.sendall(request("/stream/long"))
        first = connection.recv(4096)
        lab.renew()
        lab.reload()
        rest = receive(connection)
    assert (first + rest).count(b"data: ") == TOKENS and (first + rest).endswith(b"0\r\n\r\n")
    deadline = time.monotonic() + 10
    while True:
        with lab.connect(alice) as connection:
            if connection.getpeercert(True) != before:
                break
        assert time.monotonic() < deadline


def test_a_configuration_that_is_wrong_is_never_loaded(lab: Lab, alice: Path) -> None:
    from bedplate.errors import BedplateError

    file = lab.folder / "crl.pem"
    kept = file.read_bytes()
    file.write_bytes(b"not a list")
    with pytest.raises(BedplateError, match="refuses its configuration"):
        lab.reload()
    file.write_bytes(kept)
    assert status(send(lab, alice, request())) == "200"


def test_no_request_is_lost_over_reloads(lab: Lab, alice: Path) -> None:
    """Thirty reloads in a row, under clients that connect anew each time."""
    results: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                results.append(status(send(lab, alice, request())))
            except OSError as error:
                results.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        lab.renew()
        lab.reload()
        time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join(30)
    lost = [result for result in results if result != "200"]
    record(
        "gateway.reloads",
        f"Requests lost of {len(results)} over 30 reloads with new certificates",
        len(lost),
        "requests",
        "== 0",
    )
    assert len(results) > 30 and lost == []


def test_the_log_is_one_document_per_line(lab: Lab) -> None:
    entries = [json.loads(line) for line in lab.audit()]
    assert len(entries) > 30 and all(set(audit_chain.FIELDS) <= set(entry) for entry in entries)
    assert all(0 <= entry["duration_ms"] < 120_000 and entry["source"] == "gateway" for entry in entries)
