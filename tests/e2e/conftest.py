"""Fixtures of the end-to-end tests that several files share."""

from collections.abc import Iterator
from dataclasses import dataclass

import cluster
import platforms
import pytest

from bedplate import paths
from bedplate.twin.lab import Twin

CHANGE = ("test_site.py", "test_storage_faults.py", "test_network_rollback.py", "test_platform_changes.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What changes the lab's machines or the platform comes after the tests that want them as they were."""
    items.sort(key=lambda item: item.path.name in CHANGE)


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
def kubernetes() -> Iterator[cluster.Made]:
    """The cluster on two machines, made once for all tests."""
    with cluster.made() as made:
        yield made


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[platforms.Platform]:
    """Production's platform on a real control plane, brought up once for all tests; those that change it
    come last."""
    with platforms.session(tmp_path_factory.mktemp("inventories")) as session:
        yield platforms.start(session)
