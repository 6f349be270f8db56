"""HTTP as probes speak it: one request, what came back, and in words what did not."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

PATIENCE = 60.0  # seconds; the first answer of a model may be slow
MOST = 2**20  # bytes of an answer that are read


class Broken(Exception):
    """A component does not do what its clients want of it; ``remedy`` says where to look."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True)
class Address:
    """Where a component is reached from here."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """Status, headers in lower case, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; Broken where it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            said = self.body[:80].decode(errors="replace")
            raise Broken(f"it answers {self.status} {said!r}, which is no JSON", LOGS) from error


LOGS = "read the log of its pods (kubectl logs)"
PODS = "look at its pods and events (kubectl get pods,events)"


def ask(
    address: Address,
    path: str,
    body: Any = None,
    *,
    method: str = "",
    headers: dict[str, str] | None = None,
    raw: bytes | None = None,
) -> Answer:
    """One request. Raises Broken where nothing comes back; a refusal is an answer."""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if body is not None else {}
    connection = HTTPConnection(address.host, address.port, timeout=PATIENCE)
    try:
        connection.request(method or ("GET" if data is None else "POST"), path, data, kind | (headers or {}))
        found = connection.getresponse()
        named = {name.lower(): value for name, value in found.getheaders()}
        return Answer(found.status, named, found.read(MOST))
    except (OSError, HTTPException) as error:
        raise Broken(f"no answer: {error or type(error).__name__}", PODS) from error
    finally:
        connection.close()


def expect(answer: Answer, status: int, what: str, remedy: str = LOGS) -> Answer:
    """The answer where it has this status. Raises Broken with what it says otherwise."""
    if answer.status != status:
        said = " ".join(answer.body[:160].decode(errors="replace").split())
        raise Broken(f"{what} is answered with {answer.status}: {said}", remedy)
    return answer
