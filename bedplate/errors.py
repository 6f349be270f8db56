"""Errors as a user sees them, and the exit codes of the command line.

Exit codes: 0 done; 1 the verdict is no (a check, a claim or a capacity question failed); 2 bad usage or bad
input, nothing was changed; 3 something outside failed (a program, a host, a network), see the message;
130 interrupted.
"""

from dataclasses import asdict, dataclass
from typing import Any

VERDICT_NO = 1
BAD_INPUT = 2
OUTSIDE_FAILED = 3


@dataclass(frozen=True)
class Finding:
    """One thing wrong with what the user wrote.

    ``file`` is relative to the project (with ``:line`` where known), ``key`` is the dotted path of the value,
    ``why`` names the rule, ``remedy`` says what to write instead. ``level`` is ``error`` or ``warning``.
    """

    file: str
    key: str
    value: str
    why: str
    remedy: str
    level: str = "error"

    def __lt__(self, other: "Finding") -> bool:
        """Findings sort in the order of files and lines."""
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, int, str, str, str]:
        file, _, line = self.file.partition(":")
        return (file, int(line) if line.isdigit() else 0, self.level, self.key, self.why)

    def __str__(self) -> str:
        return f"{self.file}: {self.key} = {self.value}: {self.why}. {self.remedy}"

    def as_dict(self) -> dict[str, Any]:
        """The finding as a program reads it (``--json``)."""
        return asdict(self)


class BedplateError(Exception):
    """A failure with a message for the user; the command line prints it without a traceback."""

    def __init__(self, message: str, *, remedy: str = "", code: int = OUTSIDE_FAILED) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code


class BadInput(BedplateError):
    """What the user gave cannot be used; carries every finding, not only the first."""

    def __init__(self, findings: list[Finding] | Finding) -> None:
        self.findings = [findings] if isinstance(findings, Finding) else findings
        super().__init__("\n".join(str(f) for f in self.findings), code=BAD_INPUT)
