"""docs/faults.md: every service has every fault, and every test that it names is one of ours."""

import re
from functools import cache

import pytest

from bedplate import paths

FAULTS = ("pod killed", "node lost", "disk full", "secret rotated", "wrong secret", "dependency late")
SERVICES = ("PostgreSQL", "Valkey", "Object store", "MLflow", "Milvus", "Chroma", "Dify", "API gateway")
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
UNTRIED = "not tried: "
FEW = 10  # cells that may say so


def sections() -> dict[str, list[tuple[str, ...]]]:
    """Rows of each service's table: fault, what happens, shown by."""
    found = {}
    for part in (paths.ROOT / "docs/faults.md").read_text().split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("|")][2:]
        found[title] = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return found


@cache
def known() -> frozenset[tuple[str, str]]:
    """File and function of every test of the repository."""
    files = (paths.ROOT / "tests").rglob("test_*.py")
    return frozenset((f.name, name) for f in files for name in re.findall(r"def (test_\w+)\(", f.read_text()))


@pytest.mark.parametrize(("service", "rows"), sections().items(), ids=sections())
def test_a_service_has_every_fault_and_no_empty_cell(service: str, rows: list[tuple[str, ...]]) -> None:
    assert tuple(row[0] for row in rows) == FAULTS
    assert [row for row in rows if len(row) != 3 or not all(row)] == []
    for fault, _, shown in rows:
        assert NAMED.search(shown) or shown.startswith(UNTRIED), (service, fault)


def test_every_service_is_there_and_few_cells_are_untried() -> None:
    found = sections()
    assert set(SERVICES) <= set(found)
    assert sum(row[2].startswith(UNTRIED) for rows in found.values() for row in rows) <= FEW


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall((paths.ROOT / "docs/faults.md").read_text())
    assert len(named) > 40
    assert set(named) - known() == set()
