"""A gateway as tests use it: two models, two consumers, a person's role, and a client."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib import error, request

from bedplate.api.envoy import Issuer, Listener, Upstream
from bedplate.api.identity import digest
from bedplate.api.lab import Lab, running
from tests.api_upstream import Model

LIMITS = {"requests": 1000, "tokens": 100000, "daily_tokens": 0, "parallel": 200, "answer": 100, "choices": 2}
SPECIAL = {  # consumers of the role "some" with limits of their own
    "sixty": {"requests": 60},
    "daily": {"daily_tokens": 3000},
    "three": {"parallel": 3},
    "two": {"requests": 2},
    "cutting": {},
    "leaving": {},
}
UPSTREAM_KEY = "key-of-the-model-server"


def key(consumer: str) -> str:
    """The key of a consumer."""
    return f"bp-{consumer}-0123456789"


ALPHA, BETA = key("alpha"), key("beta")
QUESTION = {"model": "chat", "messages": [{"role": "user", "content": "a very private question"}]}


def backends(*servers: Model, **shares: int) -> list[dict[str, Any]]:
    """Back ends of a model; shares by name, a name that begins with canary is one."""
    return [
        {"name": s.name, "weight": shares.get(s.name, 100), "canary": s.name.startswith("canary")}
        for s in servers
    ]


def policy(served: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The document that the platform program writes; alpha may use chat, beta may use both."""
    models = {
        "chat": {"kind": "vllm", "context": 4096, "backends": served} | more.pop("chat", {}),
        "secret": {"kind": "vllm", "context": 4096, "backends": served},
    }
    roles = {
        "some": {"models": ["chat"], "limits": LIMITS},
        "all": {"models": ["chat", "secret"], "limits": LIMITS},
    }
    consumers: dict[str, Any] = {"alpha": {"role": "some"}, "beta": {"role": "all"}}
    consumers |= {name: {"role": "some", "limits": limits} for name, limits in SPECIAL.items()}
    return {"models": models, "roles": roles, "consumers": consumers, "groups": {"authors": "some"}} | more


def keys() -> list[dict[str, str]]:
    """One key for each consumer."""
    names = ("alpha", "beta", *SPECIAL)
    return [{"id": f"{name}-1", "consumer": name, "sha256": digest(key(name))} for name in names]


@contextmanager
def gateway(
    folder: Path,
    *servers: Model,
    replicas: int = 1,
    issuer: Issuer | None = None,
    shares: dict[str, int] | None = None,
    outside: Listener | None = None,
    **more: Any,
) -> Iterator[Lab]:
    """Running, in front of ``servers``."""
    document = policy(backends(*servers, **(shares or {})), **more)
    upstreams = tuple(Upstream(s.name, "127.0.0.1", s.port, "MODEL_KEY") for s in servers)
    told = {"MODEL_KEY": UPSTREAM_KEY}
    lab = Lab(folder, document, keys(), upstreams, issuer, environment=told, outside=outside)
    with running(lab, replicas):
        yield lab


def ask(
    port: int, body: Any = QUESTION, word: str = ALPHA, path: str = "/v1/chat/completions", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of the answer; without ``body`` it is a GET."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {word}"} if word else {})
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    made = request.Request(f"http://127.0.0.1:{port}{path}", data, sent)
    try:
        with request.urlopen(made, timeout=30) as answer:
            return answer.status, _lower(answer.headers.items()), answer.read()
    except error.HTTPError as answer:
        return answer.code, _lower(answer.headers.items()), answer.read()


def post(content: bytes, *lines: str, word: str = ALPHA, path: str = "/v1/chat/completions") -> bytes:
    """A request in good order as bytes, with further header lines."""
    head = [f"POST {path} HTTP/1.1", "Host: api", f"Authorization: Bearer {word}"]
    head += ["Content-Type: application/json", *lines, f"Content-Length: {len(content)}", "Connection: close"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


def raw(port: int, content: bytes, seconds: float = 15) -> bytes:
    """Everything that comes back within ``seconds`` to bytes sent as they are; then the connection is cut."""
    parts, deadline = [], time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            connection.sendall(content)
            while (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                if not (part := connection.recv(65536)):
                    break
                parts.append(part)
        except OSError:
            pass
    return b"".join(parts)


def _lower(pairs: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs}
