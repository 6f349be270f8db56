"""``docs/evidence.md``: every measured claim of every environment in one table, written from the records."""

from dataclasses import dataclass
from pathlib import Path

from bedplate import evidence, paths
from bedplate.errors import BedplateError
from bedplate.report import units
from bedplate.report.runs import machine_words

FILE = paths.ROOT / "docs" / "evidence.md"
_HEAD = """# Evidence

Written by `bedplate report --docs` from the records of the last full runs (`artifacts/ENV/evidence.jsonl`);
not edited by hand. A verdict follows from value and goal; `info` was measured without a goal. "Proved on"
says what the figure was seen on: a `twin` is virtual machines, a `rehearsal` a real control plane with played
kubelets, a `program` a real program on one machine, `gpu` real GPUs, `unit` pure functions.

| id | claim | value | goal | verdict | proved on | command | date |
|---|---|---:|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """A record with the environment that it comes from."""

    environment: str
    record: evidence.Evidence


def write() -> Path:
    """Read the records of all environments and write the table.

    Raises BedplateError when there is no record: a table that others link to is never emptied by mistake.
    """
    folder = paths.ROOT / "artifacts"
    names = sorted(file.parent.name for file in folder.glob("*/evidence.jsonl"))
    rows = [Row(name, record) for name in names for record in evidence.read(name)]
    if not rows:
        raise BedplateError(f"there is no record under {folder}", remedy="run `make up` or `make test` first")
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(table(rows))
    return FILE


def table(rows: list[Row]) -> str:
    """The document; rows by id, then environment, whatever order they come in."""
    ordered = sorted(rows, key=lambda row: (row.record.id, row.environment))
    seen: set[str] = set()
    lines = []
    for row in ordered:
        lines.append(_line(row, anchored=row.record.id not in seen))
        seen.add(row.record.id)
    return _HEAD + "".join(lines)


def _line(row: Row, anchored: bool) -> str:
    record = row.record
    machine = machine_words(record.machine)
    value = " ".join(word for word in (units.number(record.value), record.unit) if word)
    name = f'<a id="{record.id}"></a>`{record.id}`' if anchored else f"`{record.id}`"
    cells = (
        name,
        _cell(record.claim),
        _cell(value),
        _cell(units.goal(record.goal)),
        record.verdict,
        _cell(f"{record.proved_on} `{row.environment}`; {machine}"),
        f"`{_cell(record.command)}`",
        record.time[:10],
    )
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
