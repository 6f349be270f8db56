"""Reads what the runs left in ``artifacts/ENV``. Whatever is missing is empty; whatever cannot be read is
named on the page instead of stopping it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.errors import Finding
from bedplate.evidence import Evidence
from bedplate.evidence import read as read_evidence

Json = dict[str, Any]


@dataclass(frozen=True)
class Records:
    """Everything that was measured in one environment.

    ``runs`` are the lines of ``runs.jsonl`` in order of time, ``acceptance`` maps a host to what its roles
    measured (role → document), ``rehearsal`` is the last rehearsal, ``unreadable`` says what was left out,
    ``findings`` are those of the inventory check (None: it was not asked).
    """

    evidence: tuple[Evidence, ...] = ()
    runs: tuple[Json, ...] = ()
    acceptance: dict[str, dict[str, Json]] = field(default_factory=dict)
    rehearsal: Json | None = None
    unreadable: tuple[str, ...] = ()
    findings: tuple[Finding, ...] | None = None


def read(environment: str) -> Records:
    """All records of ``environment``."""
    folder = paths.artifacts(environment)
    unreadable: list[str] = []
    proved: list[Evidence] = []
    try:
        proved = read_evidence(environment)
    except (ValueError, TypeError) as error:
        unreadable.append(f"evidence.jsonl: {error}")
    acceptance: dict[str, dict[str, Json]] = {}
    for file in sorted(folder.glob("hosts/*/*.json")):
        document = _document(file, folder, unreadable)
        if document is not None:
            acceptance.setdefault(file.parent.name, {})[file.stem] = document
    return Records(
        evidence=tuple(proved),
        runs=_lines(folder / "runs.jsonl", unreadable),
        acceptance=acceptance,
        rehearsal=_document(folder / "rehearsal.json", folder, unreadable),
        unreadable=tuple(unreadable),
    )


def _document(file: Path, folder: Path, unreadable: list[str]) -> Json | None:
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        unreadable.append(f"{file.relative_to(folder)}: {error}")
        return None
    if not isinstance(found, dict):
        unreadable.append(f"{file.relative_to(folder)}: is not a JSON object")
        return None
    return found


def _lines(file: Path, unreadable: list[str]) -> tuple[Json, ...]:
    found = []
    for number, line in enumerate(file.read_text().splitlines() if file.exists() else [], 1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            unreadable.append(f"{file.name} line {number}: {error}")
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return tuple(found)
