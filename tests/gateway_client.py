"""A client that sends bytes as they are, through TLS, to a gateway on 127.0.0.1."""

import ssl
from pathlib import Path

from bedplate.gateway.lab import NAME, Lab

CLOSED = "closed"


def receive(connection: ssl.SSLSocket, seconds: float = 20) -> bytes:
    """Everything until the other side closes."""
    connection.settimeout(seconds)
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except (OSError, ssl.SSLError):
        pass
    return b"".join(parts)


def status(answer: bytes) -> str:
    """The status of an answer, or that there was none."""
    return answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.") else CLOSED


def send(lab: Lab, pair: Path | None, raw: bytes, name: str = NAME) -> bytes:
    """What comes back to ``raw`` from the gateway under ``name``."""
    with lab.connect(pair, name) as connection:
        connection.sendall(raw)
        return receive(connection)


def request(
    path: str = "/v1/x", method: str = "GET", body: bytes = b"", host: str = NAME, **headers: str
) -> bytes:
    """A request in good order, the connection's last; underscores of names are dashes."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
