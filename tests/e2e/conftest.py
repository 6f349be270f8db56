"""Fixtures of the end-to-end tests that several files share."""

from collections.abc import Iterator
from dataclasses import dataclass

import platforms
import pytest

from bedplate import paths
from bedplate.twin.lab import Twin

CONFIGURE = ("test_site.py", "test_storage_faults.py", "test_network_rollback.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What configures the lab's machines comes after the tests that want them bare."""
    items.sort(key=lambda item: item.path.name in CONFIGURE)


@dataclass(frozen=True)
class LabTwin:
    """The lab's twin, and how many seconds each machine that this run booted took."""

    twin: Twin
    booted: dict[str, float]


@pytest.fixture(scope="session")
def lab_twin() -> Iterator[LabTwin]:
    """The lab's machines, booted once for all tests. A twin that was up already stays up afterwards."""
    twin = Twin.load(paths.INVENTORIES / "lab")
    found = twin.exists
    booted = {machine.name: machine.booted_in for machine in twin.up()}
    yield LabTwin(twin, booted)
    if not found:
        twin.down()


@pytest.fixture(scope="session")
def platform() -> Iterator[platforms.Platform]:
    """Production's platform on a real control plane, brought up once for all tests that only look at it
    or tidy up after themselves."""
    with platforms.session() as session:
        yield platforms.start(session)
