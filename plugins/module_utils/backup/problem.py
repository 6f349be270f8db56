"""What went wrong, in words that say what to do."""

from __future__ import annotations

import re

_SAID = (
    (
        r"wrong password or no key found",
        "the password does not open the repository",
        "bring back the password that the repository was made with; nothing was written",
    ),
    (
        r"no space left on device|ENOSPC|disk quota exceeded|Insufficient Storage",
        "the target is full",
        "run retention (bedplate backup keep) or give it more room; older snapshots are intact",
    ),
    (
        r"already locked",
        "somebody else works on the repository",
        "let it end, or when nobody does, run `restic unlock`",
    ),
    (
        r"Is there a repository at|repository does not exist|config.*(does not exist|no such file)",
        "there is no repository",
        "mount or bring back what holds it",
    ),
    (
        r"401 Unauthorized|\(401\)|InvalidAccessKeyId|SignatureDoesNotMatch",
        "the repository's server does not know this credential",
        "compare it with the server's",
    ),
    (
        r"403 Forbidden|\(403\)|AccessDenied",
        "the credential may not do this: it can add, and neither change nor remove",
        "retention has a way of its own: bedplate backup keep",
    ),
    (
        r"x509|certificate",
        "the server's certificate is not trusted",
        "renew it, or correct the authority that is named",
    ),
    (
        r"connection refused|no such host|no route to host|i/o timeout|connection reset|unexpected EOF",
        "the repository cannot be reached",
        "look at its server and the network",
    ),
    (r"\(5\d\d\)|\b5\d\d [A-Z]", "the repository's server fails", "look at its log and at its room"),
)
_NAMED = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{8,12}\b")
_BROKEN = re.compile(
    r"error|mismatch|does not match|invalid|damaged|missing|not found|unable|fail", re.IGNORECASE
)


class BackupError(Exception):
    """A failure with a sentence for the operator, and what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}. {self.remedy[:1].upper()}{self.remedy[1:]}" if self.remedy else text


def explain(action: str, said: str) -> BackupError:
    """Pure: what a program's complaint means; its own last lines where it is not known."""
    for pattern, message, remedy in _SAID:
        if re.search(pattern, said, re.IGNORECASE):
            return BackupError(f"{action}: {message}{_detail(pattern, said)}", remedy)
    lines = [line for line in said.strip().splitlines() if line.strip() and not line.startswith("\t")]
    return BackupError(f"{action} failed: {' / '.join(lines[-4:]) or 'it said nothing'}")


def _detail(pattern: str, said: str) -> str:
    """The line that was recognised, without what a program adds about itself."""
    line = next((line for line in said.splitlines() if re.search(pattern, line, re.IGNORECASE)), "")
    line = re.sub(r"^\s*(Fatal|fatal|Load|Save|panic):?\s*", "", line).strip()
    line = re.sub(r"//[^/@\s]*@", "//", line)  # a credential in an address
    return f" ({line[:300]})" if line else ""


def damage(said: str) -> list[str]:
    """Pure: what `restic check` found broken, a line for each object that it names."""
    found: dict[str, str] = {}
    for line in said.splitlines():
        name = _NAMED.search(line)
        if name and _BROKEN.search(line):
            found.setdefault(name[0], line.strip()[:300])
    return list(found.values())
