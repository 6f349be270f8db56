"""Who gets in: real nginx with the role's configuration, and clients with every kind of wrong certificate."""

import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bedplate import evidence
from bedplate.gateway.lab import NAME, Authority, Key, Lab, write_pair
from tests.gateway_client import receive, request, status
from tests.gateway_upstream import Upstream

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
COMMAND = "pytest tests/integration/test_gateway_handshakes.py"
WEAK = {"ciphers": "ALL:@SECLEVEL=0"}
V = ssl.TLSVersion


@pytest.fixture(scope="module")
def lab(behind: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(
        tmp_path_factory.mktemp("gateway"),
        nginx_gateway_groups=[{"name": "research", "clients": ["alice", "ci-*"], "rate": 1000}],
        nginx_gateway_upstreams=[{"name": "api", "servers": [{"address": f"127.0.0.1:{behind.port}"}]}],
        nginx_gateway_routes=[{"path": "/v1/", "upstream": "api", "groups": ["research"]}],
    )
    made.gone = Authority("Revoked intermediate", made.root)  # type: ignore[attr-defined]
    made.root.revoked.append(made.gone.certificate.serial_number)  # type: ignore[attr-defined]
    made.trusted.append(made.gone)  # type: ignore[attr-defined]
    key = ec.generate_private_key(ec.SECP256R1())
    revoked = made.intermediate.sign("alice", key)
    made.intermediate.revoked.append(revoked.serial_number)
    write_pair(made.folder / "revoked.pem", key, [revoked, made.intermediate.certificate])
    with made:
        yield made


Maker = Callable[[Lab], Path | None]


@dataclass(frozen=True)
class Client:
    """One client: how its certificate is made, how it talks, and what it must see."""

    name: str
    pair: Maker
    seen: str
    talk: dict[str, Any] = field(default_factory=dict)


def own(name: str = "alice", **change: Any) -> Maker:
    """Signed by the authority that is trusted."""
    return lambda lab: lab.client(name, **change)


def by(
    make: Callable[[Lab], Authority], chain: Callable[[Authority], list[Authority]] = lambda a: [a]
) -> Maker:
    """Signed by another authority, with whatever of it in the chain."""

    def pair(lab: Lab) -> Path:
        authority, key = make(lab), ec.generate_private_key(ec.SECP256R1())
        sent = [one.certificate for one in chain(authority)]
        return write_pair(lab.folder / "by.pem", key, [authority.sign("alice", key), *sent])

    return pair


def self_signed(lab: Lab) -> Path:
    made = Authority("alice")
    return write_pair(lab.folder / "self.pem", made.key, [made.certificate])


def signed_by_a_client(lab: Lab) -> Path:
    """A client that plays authority with its own certificate."""
    key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    mallory = lab.intermediate.sign("mallory", key)
    fake = Authority("mallory", lab.intermediate, key)
    chain = [fake.sign("alice", leaf_key), mallory, lab.intermediate.certificate]
    return write_pair(lab.folder / "played.pem", leaf_key, chain)


def digest(name: str) -> Maker:
    """Signed by the right authority with a digest of old, which only openssl still does."""

    def pair(lab: Lab) -> Path:
        place = lab.folder / name
        place.mkdir(exist_ok=True)
        write_pair(place / "authority.pem", lab.intermediate.key, [lab.intermediate.certificate])
        words = f"""
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out csr \\
          -subj /CN=alice
        openssl x509 -req -in csr -CA authority.pem -CAkey authority.pem -CAcreateserial \\
          -{name} -days 9 -out crt
        cat key crt > pair.pem
        """
        subprocess.run(["bash", "-euc", words], cwd=place, check=True, capture_output=True)
        return place / "pair.pem"

    return pair


def huge(lab: Lab) -> Path:
    """A chain of more than a hundred kilobytes."""
    key = ec.generate_private_key(ec.SECP256R1())
    others = [Authority(f"filler {n} {'x' * 40}").certificate for n in range(300)]
    return write_pair(lab.folder / "huge.pem", key, [lab.intermediate.sign("alice", key), *others])


def unknown_extension(lab: Lab) -> Path:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    extension = x509.Extension(odd.oid, True, odd)
    return lab.client("alice", extra=[extension])


def leaf_only(lab: Lab) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    return write_pair(lab.folder / "leaf.pem", key, [lab.intermediate.sign("alice", key)])


def expired_authority(lab: Lab) -> Path:
    key, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    made = Authority("Old intermediate", lab.root, key)
    made.certificate = lab.root.sign("Old intermediate", key, authority=True, begin=-50, days=40)
    return write_pair(lab.folder / "old.pem", leaf, [made.sign("alice", leaf), made.certificate])


def rsa_key(bits: int) -> Key:
    return rsa.generate_private_key(65537, bits)


def only(version: V) -> dict[str, Any]:
    return {"minimum_version": version, "maximum_version": version}


def tls12(ciphers: str) -> dict[str, Any]:
    return {**only(V.TLSv1_2), "ciphers": ciphers}


OLD = {"minimum_version": V.TLSv1, **WEAK}
CLIENTS = [
    Client("P-256", own(), "200"),
    Client("P-384", own(key=ec.generate_private_key(ec.SECP384R1())), "200"),
    Client("RSA of 3072 bits", own(key=rsa_key(3072)), "200"),
    Client("TLS 1.2", own(), "200", only(V.TLSv1_2)),
    Client("TLS 1.3", own(), "200", only(V.TLSv1_3)),
    Client("TLS 1.2 with ChaCha20", own(), "200", tls12("ECDHE-ECDSA-CHACHA20-POLY1305")),
    Client("TLS 1.2 with AES-256", own(), "200", tls12("ECDHE-ECDSA-AES256-GCM-SHA384")),
    Client("without its intermediate", leaf_only, "200"),
    Client("a name by its beginning", own("ci-7"), "200"),
    Client("last day of its life", own(days=1.01), "200"),
    Client("SHA-384", own(digest="sha384"), "200"),
    Client("no certificate", lambda _: None, "401"),
    Client("no certificate, TLS 1.2", lambda _: None, "401", only(V.TLSv1_2)),
    Client("signed by itself", self_signed, "401"),
    Client("signed by itself, TLS 1.2", self_signed, "401", only(V.TLSv1_2)),
    Client("another authority", by(lambda _: Authority("Somebody")), "401"),
    Client("another authority of the same name", by(lambda _: Authority("Lab intermediate")), "401"),
    Client("another root of the same name", by(lambda _: Authority("Lab root")), "401"),
    Client("an intermediate of our root without a list", by(lambda lab: Authority("New", lab.root)), "401"),
    Client("a revoked intermediate", by(lambda lab: lab.gone), "401"),  # type: ignore[attr-defined]
    Client("an ended intermediate", expired_authority, "401"),
    Client("too deep", by(lambda lab: Authority("Deep", lab.intermediate), lambda a: [a]), "401"),
    Client("ended", own(begin=-30, days=29), "401"),
    Client("ended a minute ago", own(begin=-1, days=1 - 1 / 1440), "401"),
    Client("not yet valid", own(begin=1), "401"),
    Client("revoked", lambda lab: lab.folder / "revoked.pem", "401"),
    Client("revoked, TLS 1.2", lambda lab: lab.folder / "revoked.pem", "401", only(V.TLSv1_2)),
    Client("a server's certificate", own(usage="server"), "401"),
    Client("signed by a client", signed_by_a_client, "401"),
    Client("an unknown critical extension", unknown_extension, "401"),
    Client("RSA of 1024 bits", own(key=rsa_key(1024)), "401", WEAK),
    Client("P-192", own(key=ec.generate_private_key(ec.SECP192R1())), "401", WEAK),
    Client("SHA-1", digest("sha1"), "401", WEAK),
    Client("nobody's name", own("bob"), "403"),
    Client("our name in capitals", own("ALICE"), "403"),
    Client("our name and a comma", own("alice,OU=research"), "403"),
    Client("our name and a new line", own("alice\nX-Client-Group: ops"), "403"),
    Client("the beginning of names and nothing more", own("ci-"), "403"),
    Client("TLS 1.0", own(), "alert protocol version", {**OLD, "maximum_version": V.TLSv1}),
    Client("TLS 1.1", own(), "alert protocol version", {**OLD, "maximum_version": V.TLSv1_1}),
    Client("static RSA", own(), "alert handshake failure", tls12("AES128-SHA")),
    Client("CBC", own(), "alert handshake failure", tls12("ECDHE-ECDSA-AES128-SHA256")),
    Client("another host's name", own(), "unrecognized name", {"name": "other.example.internal"}),
    Client("no name", own(), "unrecognized name", {"name": None}),
    Client("a chain of 100 kB", huge, "closed"),
]


def attempt(lab: Lab, client: Client) -> str:
    """A status, or why there was none."""
    change = dict(client.talk)
    name, ciphers = change.pop("name", NAME), change.pop("ciphers", "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ciphers:
        context.set_ciphers(ciphers)
    for word, value in change.items():
        setattr(context, word, value)
    pair = client.pair(lab)
    if pair:
        context.load_cert_chain(pair)
    try:
        with socket.create_connection(("127.0.0.1", lab.port), 30) as raw:
            connection = context.wrap_socket(raw, server_hostname=name)
            connection.sendall(request())
            return status(receive(connection))
    except ssl.SSLError as error:
        words = (error.reason or "").lower().replace("_", " ")
        return words.removeprefix("tlsv1 ").removeprefix("sslv3 ")
    except OSError:
        return "closed"


@pytest.fixture(scope="module")
def table(lab: Lab, behind: Upstream) -> dict[str, tuple[str, int]]:
    """What every client saw, and how many of its requests the upstream saw."""
    found = {}
    for client in CLIENTS:
        before = len(behind.seen)
        found[client.name] = (attempt(lab, client), len(behind.seen) - before)
    return found


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_client_sees_what_it_must(table: dict[str, tuple[str, int]], client: Client) -> None:
    seen, passed = table[client.name]
    assert (client.seen in seen) and passed == (client.seen == "200"), (seen, passed)


def test_nobody_else_came_through(table: dict[str, tuple[str, int]]) -> None:
    refused = [client for client in CLIENTS if client.seen != "200"]
    through = sum(table[client.name][1] for client in refused)
    assert len(CLIENTS) >= 30 and len(refused) >= 25
    evidence.record(
        "lab",
        "gateway.handshakes",
        f"Of {len(refused)} clients with no certificate or a wrong one, so many reach an upstream;"
        f" all {len(CLIENTS) - len(refused)} good ones do",
        through + sum(table[client.name][1] != 1 for client in CLIENTS if client.seen == "200"),
        unit="clients",
        goal="== 0",
        proved_on="program",
        command=COMMAND,
    )
    assert through == 0


def test_a_session_is_not_resumed_so_revocation_is_always_asked(lab: Lab) -> None:
    for version in (V.TLSv1_2, V.TLSv1_3):
        context = lab.context(lab.client("alice"), **only(version))
        session = None
        for _ in range(2):
            raw = socket.create_connection(("127.0.0.1", lab.port), 30)
            with context.wrap_socket(raw, server_hostname=NAME, session=session) as connection:
                connection.sendall(request())
                assert status(receive(connection)) == "200"
                assert not connection.session_reused
                session = connection.session


def test_plain_http_is_told_so(lab: Lab, behind: Upstream) -> None:
    before = len(behind.seen)
    with socket.create_connection(("127.0.0.1", lab.port), 30) as raw:
        raw.sendall(request())
        assert raw.recv(1000).startswith(b"HTTP/1.1 400")
    assert len(behind.seen) == before


@pytest.mark.parametrize(
    "noise", [b"\x80\x2e\x01\x00\x02" + b"\x00" * 40, b"\x16\x03\x01\xff\xff" + b"A" * 600]
)
def test_noise_is_cut_off(lab: Lab, behind: Upstream, noise: bytes) -> None:
    before = len(behind.seen)
    with socket.create_connection(("127.0.0.1", lab.port), 30) as raw:
        raw.sendall(noise)
        raw.settimeout(15)
        with contextlib.suppress(ConnectionError):
            assert b"HTTP/1.1 200" not in raw.recv(1000)
    assert len(behind.seen) == before


def test_an_ended_revocation_list_refuses_everybody(lab: Lab) -> None:
    """Which is why lists are renewed when a third of their life is left, and their end is a metric."""
    lab.intermediate.crl_days = -1
    lab.write_trust()
    lab.reload()
    try:
        assert wait_for(lab, "401") == "401"
    finally:
        lab.intermediate.crl_days = 10
        lab.write_trust()
        lab.reload()
    assert wait_for(lab, "200") == "200"


def wait_for(lab: Lab, wanted: str) -> str:
    """The answer to a good client, which a reload changes within moments."""
    seen = ""
    for _ in range(100):
        with lab.connect(lab.client("alice")) as connection:
            connection.sendall(request())
            seen = status(receive(connection))
        if seen == wanted:
            break
    return seen
