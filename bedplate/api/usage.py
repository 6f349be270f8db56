"""From a line of the proxy's log to the record of a request: who used how much of which model. The proxy's
log has no prompt, no answer, no key and no query, so a record cannot have them either."""

import json
from dataclasses import dataclass
from typing import Any

from bedplate.api.asked import ROUTES

PATHS = {operation: path for path, operation in ROUTES.items()}
SERVER_FAULT = 500
# Envoy's response flags. A client that goes away says nothing about the back end.
CLIENT_WENT = {"DC", "DPE", "UMSDR"}
BACKEND_FAILED = {"UF", "UC", "UH", "UO", "URX", "UT", "UR", "UPE", "SI", "NC", "DF", "DI", "OM"}


@dataclass(frozen=True)
class Line:
    """One request as the proxy saw it. ``tokens`` is None where the answer did not say what it used; times
    in milliseconds."""

    time: str
    request: str
    who: str
    key: str
    group: str
    operation: str
    model: str
    backend: str
    client: str
    method: str
    status: int
    flags: frozenset[str]
    duration: float
    first_byte: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    received: int
    sent: int

    @property
    def tokens(self) -> int | None:
        """What it used altogether."""
        if self.prompt_tokens is None:
            return None
        return self.prompt_tokens + (self.completion_tokens or 0)

    @property
    def failed(self) -> bool:
        """True when the back end is to blame."""
        return self.status >= SERVER_FAULT or bool(self.flags & BACKEND_FAILED)

    @property
    def counts(self) -> bool:
        """True when the outcome says something about the back end."""
        return bool(self.backend) and (self.failed or not self.flags & CLIENT_WENT)

    @property
    def used(self) -> int:
        """Tokens to settle: what it used; nothing where the back end failed before it answered; -1 where
        nobody knows, as when a client went away in the middle."""
        if self.tokens is not None:
            return self.tokens
        return 0 if self.first_byte is None and not self.flags & CLIENT_WENT else -1


def read(text: str) -> Line:
    """A line of the log. Raises ValueError or KeyError for anything else."""
    found = json.loads(text)
    return Line(
        **{name: str(found[name] or "") for name in TEXTS},
        status=int(found["status"] or 0),
        flags=frozenset(str(found["flags"] or "-").split(",")) - {"-"},
        duration=float(found["duration"] or 0),
        first_byte=None if found["first_byte"] is None else float(found["first_byte"]),
        prompt_tokens=_count(found["prompt_tokens"]),
        completion_tokens=_count(found["completion_tokens"]),
        received=int(found["received"] or 0),
        sent=int(found["sent"] or 0),
    )


TEXTS = (
    "time",
    "request",
    "who",
    "key",
    "group",
    "operation",
    "model",
    "backend",
    "client",
    "method",
)


@dataclass(frozen=True)
class Refusal:
    """What the gate knows of a request that it said no to."""

    who: str
    operation: str
    model: str
    reason: str


def record(line: Line, refusal: Refusal | None = None) -> dict[str, Any]:
    """The audit record, in the shape that the gateway of the hosts writes (docs/audit.md), with what was
    used. Paths are those that exist: others may hold anything."""
    who, operation, model, reason = line.who, line.operation, line.model, ""
    if refusal:
        who, operation, model, reason = refusal.who, refusal.operation, refusal.model, refusal.reason
    return {
        "source": "api",
        "time": line.time,
        "request_id": line.request,
        "user": who,
        "group": line.group,
        "key": line.key,
        "client": line.client,
        "operation": operation,
        "method": line.method,
        "path": PATHS.get(operation, ""),
        "status": line.status,
        "reason": reason or ",".join(sorted(line.flags)),
        "duration": round(line.duration / 1000, 3),
        "model": model,
        "backend": line.backend,
        "prompt_tokens": line.prompt_tokens,
        "completion_tokens": line.completion_tokens,
        "received": line.received,
        "sent": line.sent,
    }


def _count(value: Any) -> int | None:
    return None if value is None or value == "" else int(value)
