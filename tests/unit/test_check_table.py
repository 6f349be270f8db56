"""More than a hundred wrong inventories. Each is a sound one with one mistake, and must give exactly one
error, with the file to edit, the key, the value, the reason and the remedy."""

from datetime import date

import pytest

from bedplate.check import compatibility
from tests.inventory_samples import outcome
from tests.wrong_inventories import (
    backup,
    containers,
    gateway,
    gpu_policy,
    gpus,
    hardware,
    hosts,
    kubernetes,
    models,
    network,
    rdma,
    site,
    storage,
    versions,
)

CASES = [
    case
    for part in (
        hardware,
        gpus,
        gpu_policy,
        versions,
        network,
        storage,
        models,
        containers,
        gateway,
        rdma,
        backup,
        kubernetes,
        hosts,
        site,
    )
    for case in part.CASES
]


def test_there_are_a_hundred_different_mistakes():
    assert len({wrong.name for wrong in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("wrong", CASES, ids=lambda wrong: wrong.name)
def test_one_mistake_is_one_error_with_place_reason_and_remedy(wrong):
    errors = outcome("production", *wrong.edits).errors
    assert len(errors) == 1, "\n".join(map(str, errors))
    (error,) = errors
    assert error.file.endswith(wrong.file)
    assert error.key == wrong.key
    assert wrong.value is None or error.value == wrong.value
    assert wrong.why in error.why
    assert wrong.remedy in error.remedy


@pytest.mark.parametrize("environment", ["lab", "staging", "production"])
def test_our_own_inventories_are_right(environment, monkeypatch):
    """Not even a warning, on the day on which their versions were last looked at."""
    monkeypatch.setattr(compatibility, "today", lambda: date(2026, 11, 23))
    assert outcome(environment).findings == ()
