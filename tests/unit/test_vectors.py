"""Memory and index of a collection, from its rows and dimensions."""

import json

import pytest
from typer.testing import CliRunner

from bedplate.capacity.vectors import Collection, advise, advise_all, indexes, lists
from bedplate.cli import app

GIB = 2**30
MILLION = Collection("million", 1_000_000, 1024)


@pytest.mark.parametrize(
    ("kind", "memory", "disk"),
    [
        ("FLAT", 1_000_000 * 4096 * 1.01 * 1.25, 0),
        ("HNSW", 1_000_000 * (4096 + 2 * 18 * 4) * 1.25, 0),
        ("IVF_SQ8", 1_000_000 * 4096 * 0.27 * 1.25, 0),
        ("DISKANN", 1_000_000 * 4096 * 0.25 * 1.25, 2 * 1_000_000 * 4096),
    ],
)
def test_memory_is_that_of_the_sources(kind: str, memory: float, disk: float) -> None:
    [found] = [one for one in indexes(MILLION) if one.kind == kind]
    assert found.memory == pytest.approx(memory, rel=1e-6)
    assert found.disk == disk


@pytest.mark.parametrize(
    ("rows", "memory", "nvme", "wanted"),
    [
        (20_000, 0, 0, "FLAT"),
        (1_000_000, 0, 0, "HNSW"),
        (1_000_000, 8 * GIB, 0, "HNSW"),
        (1_000_000, 4 * GIB, 0, "IVF_SQ8"),
        (1_000_000, 4 * GIB, 100 * GIB, "DISKANN"),
        (1_000_000, GIB, 100 * GIB, None),
    ],
)
def test_the_best_that_fits_is_advised(rows: int, memory: int, nvme: int, wanted: str | None) -> None:
    found = advise(Collection("one", rows, 1024), memory, nvme)
    assert (found.kind if found else None) == wanted


def test_copies_cost_as_much_again() -> None:
    twice = Collection("twice", 1_000_000, 1024, replicas=2)
    assert [one.memory for one in indexes(twice)] == [2 * one.memory for one in indexes(MILLION)]


def test_collections_share_the_memory_and_the_smallest_is_served_first() -> None:
    several = [MILLION, Collection("small", 10_000, 256)]
    found = {one.name: index.kind if index else None for one, index in advise_all(several, 4 * GIB, 0)}
    assert found == {"small": "FLAT", "million": "IVF_SQ8"}
    assert advise_all([MILLION, MILLION], 2 * GIB, 0)[1][1] is None


@pytest.mark.parametrize(("rows", "wanted"), [(100, 128), (1_000_000, 4096), (10**12, 65_536)])
def test_lists_are_a_power_of_two_in_milvus_range(rows: int, wanted: int) -> None:
    assert lists(rows) == wanted


def test_the_command_shows_it() -> None:
    said = CliRunner().invoke(
        app, ["vectors", "--rows", "1000000", "--dimensions", "1024", "--memory", "8GiB", "--json"]
    )
    assert said.exit_code == 0
    assert json.loads(said.stdout)["advice"] == "HNSW"
    small = CliRunner().invoke(
        app, ["vectors", "--rows", "1000000", "--dimensions", "1024", "--memory", "1GiB"]
    )
    assert "Nothing fits" in small.stdout
