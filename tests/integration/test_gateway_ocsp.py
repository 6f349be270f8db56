"""Clients that a responder is asked about besides the list: real nginx.

The responder is a stand-in that signs what a real one would; it does not show how one is run."""

import hashlib
import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from bedplate import evidence
from bedplate.gateway.lab import Authority, Lab
from bedplate.ports import free_ports
from tests.gateway_client import receive, request, status
from tests.gateway_upstream import Upstream

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


def serial(pair: Path) -> int:
    """Of the first certificate in a file."""
    return x509.load_pem_x509_certificates(pair.read_bytes())[0].serial_number


@contextmanager
def responder(authority: Authority, port: int, good: set[int], gone: set[int]) -> Iterator[None]:
    """Answers for the authority, signed with its key (RFC 6960); who is in neither set is unknown to it."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(ocsp.load_der_ocsp_request(body).serial_number)

        def do_GET(self) -> None:
            self.reply(ocsp.load_der_ocsp_request(b64decode(unquote(self.path[1:]))).serial_number)

        def reply(self, number: int) -> None:
            data = answer(authority, number, good, gone)
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def answer(authority: Authority, number: int, good: set[int], gone: set[int]) -> bytes:
    """What the responder says of a serial number."""
    now = datetime.now(UTC)
    status = ocsp.OCSPCertStatus
    state = status.REVOKED if number in gone else status.GOOD if number in good else status.UNKNOWN
    names, key = (hashlib.sha1(part).digest() for part in issuer(authority))
    made = ocsp.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=names,
        issuer_key_hash=key,
        serial_number=number,
        algorithm=hashes.SHA1(),
        cert_status=state,
        this_update=now - timedelta(minutes=1),
        next_update=now + timedelta(minutes=5),
        revocation_time=now - timedelta(hours=1) if number in gone else None,
        revocation_reason=None,
    )
    signed = made.responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
    return signed.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def issuer(authority: Authority) -> tuple[bytes, bytes]:
    """The issuer's name and key, as RFC 6960 has them hashed."""
    public = authority.certificate.public_key()
    form = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return authority.certificate.subject.public_bytes(), public.public_bytes(*form)  # type: ignore[union-attr]


def seen(lab: Lab, pair: Path) -> str:
    """The status that a client gets."""
    with lab.connect(pair) as connection:
        connection.sendall(request())
        return status(receive(connection))


def test_a_client_whom_the_responder_does_not_vouch_for_stays_out(tmp_path: Path, behind: Upstream) -> None:
    (port,) = free_ports(1)
    lab = Lab(
        tmp_path,
        nginx_gateway_groups=[{"name": "all", "clients": ["*"], "rate": 1000}],
        nginx_gateway_upstreams=[{"name": "api", "servers": [{"address": f"127.0.0.1:{behind.port}"}]}],
        nginx_gateway_routes=[{"path": "/v1/", "upstream": "api", "groups": ["all"]}],
        nginx_gateway_ocsp={"responder": f"http://127.0.0.1:{port}/"},
    )
    with lab:
        alice, bob, unknown, late = (lab.client(name) for name in ("alice", "bob", "unknown", "late"))
        good, gone = {serial(alice), serial(late)}, {serial(bob)}
        with responder(lab.intermediate, port, good, gone):
            first = {pair.stem: seen(lab, pair) for pair in (alice, bob, unknown)}
        away = {pair.stem: seen(lab, pair) for pair in (alice, late)}
    assert first == {"alice": "200", "bob": "401", "unknown": "401"}
    # Nobody answers now: who was asked about a moment ago is known, whoever is new stays out.
    assert away == {"alice": "200", "late": "401"}
    assert len(behind.seen) >= 2
    evidence.record(
        "lab",
        "gateway.ocsp",
        "Clients that a responder calls revoked, does not know, or does not answer for, and that come in",
        sum(value == "200" for value in (first["bob"], first["unknown"], away["late"])),
        unit="clients",
        goal="== 0",
        proved_on="program",
        command="pytest tests/integration/test_gateway_ocsp.py",
    )
