"""As much of PostgreSQL's protocol as a log-in and one question need: TLS that is verified, SCRAM-SHA-256,
a simple query. Nothing else is installed for it. Source: PostgreSQL documentation, Frontend/Backend Protocol.
"""

import base64
import hashlib
import hmac
import secrets
import socket
import ssl
import struct
from dataclasses import dataclass

from bedplate.smoke.web import LOGS, PATIENCE, PODS, Address, Broken

TLS_REQUEST = struct.pack(">ii", 8, 80877103)
VERSION = 196608  # 3.0
SASL, CONTINUE, FINAL, OK = 10, 11, 12, 0
MECHANISM = "SCRAM-SHA-256"
WRONG = "the role, its password or its database differ: run `pulumi up`, which makes them again"


@dataclass(frozen=True)
class Login:
    """Who asks, and whose certificate the server must have: ``host``'s, vouched for by ``authority``."""

    user: str
    password: str
    database: str
    host: str
    authority: str


def select_one(address: Address, login: Login) -> str:
    """Log in and ask for 1; the version of the server. Raises Broken."""
    try:
        plain = socket.create_connection((address.host, address.port), PATIENCE)
        with plain, _secured(plain, login) as connection:
            return _ask(_Talk(connection), login)
    except ssl.SSLCertVerificationError as error:
        raise Broken(f"its certificate is not the one expected: {error.verify_message}", WRONG) from error
    except (OSError, EOFError) as error:
        raise Broken(f"no answer: {error or type(error).__name__}", PODS) from error


def _secured(plain: socket.socket, login: Login) -> ssl.SSLSocket:
    plain.sendall(TLS_REQUEST)
    if plain.recv(1) != b"S":
        raise Broken("it speaks without TLS", "passwords would be read on the wire: set ssl = on")
    context = ssl.create_default_context(cadata=login.authority)
    return context.wrap_socket(plain, server_hostname=login.host)


class _Talk:
    """Messages on one connection."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection

    def send(self, kind: bytes, body: bytes) -> None:
        """One message; the first has no kind."""
        self._connection.sendall(kind + struct.pack(">i", len(body) + 4) + body)

    def receive(self) -> tuple[bytes, bytes]:
        """Kind and body of the next message. Raises Broken for an error of the server."""
        head = self._exactly(5)
        kind, body = head[:1], self._exactly(struct.unpack(">i", head[1:])[0] - 4)
        if kind == b"E":
            fields = dict((part[:1], part[1:].decode()) for part in body.split(b"\0") if part)
            raise Broken(f"it refuses: {fields.get(b'M', 'no reason given')}", WRONG)
        return kind, body

    def until(self, wanted: bytes) -> bytes:
        """Body of the next message of this kind, past all others."""
        while True:
            kind, body = self.receive()
            if kind == wanted:
                return body

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self._connection.recv(count - len(found))
            if not part:
                raise EOFError("the connection was closed")
            found += part
        return found


def _ask(talk: _Talk, login: Login) -> str:
    parameters = f"user\0{login.user}\0database\0{login.database}\0\0".encode()
    talk.send(b"", struct.pack(">i", VERSION) + parameters)
    _authenticate(talk, login)
    version = ""
    while True:
        kind, body = talk.receive()
        if kind == b"S" and body.startswith(b"server_version\0"):
            version = body.split(b"\0")[1].decode()
        if kind == b"Z":
            break
    talk.send(b"Q", b"SELECT 1\0")
    row = talk.until(b"D")
    talk.until(b"Z")
    talk.send(b"X", b"")
    if row[-1:] != b"1":
        raise Broken("SELECT 1 is not 1", LOGS)
    return version


def _authenticate(talk: _Talk, login: Login) -> None:
    """SCRAM with proof from both sides: a server that does not know the password is not believed either."""
    offered = talk.until(b"R")
    if struct.unpack(">i", offered[:4])[0] != SASL or MECHANISM.encode() not in offered:
        raise Broken(
            "it does not ask for SCRAM-SHA-256", "set password_encryption and pg_hba to scram-sha-256"
        )
    nonce = secrets.token_urlsafe(18)
    bare = f"n=,r={nonce}"
    first = f"n,,{bare}".encode()
    talk.send(b"p", MECHANISM.encode() + b"\0" + struct.pack(">i", len(first)) + first)
    challenge = talk.until(b"R")[4:].decode()
    given = dict(part.split("=", 1) for part in challenge.split(","))
    if not given["r"].startswith(nonce):
        raise Broken("its challenge is not an answer to ours", LOGS)
    without = f"c=biws,r={given['r']}"
    proof, expected = _proof(login.password, given, f"{bare},{challenge},{without}")
    talk.send(b"p", f"{without},p={proof}".encode())
    if talk.until(b"R")[4:].decode() != f"v={expected}":
        raise Broken("it does not prove that it knows the password", LOGS)
    if struct.unpack(">i", talk.until(b"R")[:4])[0] != OK:
        raise Broken("the log-in does not end as it should", LOGS)


def _proof(password: str, given: dict[str, str], exchange: str) -> tuple[str, str]:
    """Our proof and the server's, in base64 (RFC 5802)."""
    salt, rounds = base64.b64decode(given["s"]), int(given["i"])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)

    def keyed(key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, "sha256")

    client = keyed(salted, b"Client Key")
    signature = keyed(hashlib.sha256(client).digest(), exchange.encode())
    proof = bytes(a ^ b for a, b in zip(client, signature, strict=True))
    server = keyed(keyed(salted, b"Server Key"), exchange.encode())
    return base64.b64encode(proof).decode(), base64.b64encode(server).decode()
