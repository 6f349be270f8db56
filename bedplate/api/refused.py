"""A request that is refused, as clients of OpenAI's API understand it."""

import json
from dataclasses import dataclass, field


@dataclass(eq=False)
class Refused(Exception):
    """``code`` is for programs; ``message`` never repeats what the client sent, which may be secret."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The answer."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004 - HTTP
        error = {"message": self.message, "type": kind, "code": self.code}
        return json.dumps({"error": error}, separators=(",", ":")).encode()
