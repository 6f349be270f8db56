"""soft-RoCE between two machines of a twin: made by the role, there again after a boot, measured by its
acceptance."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bedplate import evidence, paths, playbook
from bedplate.playbook import PlaybookResult
from bedplate.twin.lab import Twin

INVENTORY = paths.ROOT / "tests/e2e/inventories/rdma"
PLAYBOOK = str(paths.ROOT / "tests/e2e/playbooks/rdma.yml")
ACCEPTANCE = str(paths.PLAYBOOKS / "rdma_acceptance.yml")
COMMAND = "pytest tests/e2e/test_rdma.py"
TASKS_BUDGET = 5
HOSTS = ("rdma1", "rdma2")

pytestmark = [pytest.mark.twin, pytest.mark.long]


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    """Two machines, freshly booted."""
    machines = Twin.load(INVENTORY)
    machines.up()
    yield machines
    machines.down()


def run(twin: Twin, name: str, **extra: Any) -> PlaybookResult:
    return playbook.run(INVENTORY, name, overlays=[twin.overlay], extra=extra)


@pytest.fixture(scope="module")
def configured(twin: Twin) -> Twin:
    """The role has run once."""
    result = run(twin, PLAYBOOK)
    assert result.rc == 0, result.failures
    return twin


def test_a_second_run_changes_nothing_and_is_short(configured: Twin) -> None:
    result = run(configured, PLAYBOOK)
    assert result.rc == 0, result.failures
    assert result.changed == 0, result.changed_tasks
    assert max(result.tasks[host] for host in HOSTS) <= TASKS_BUDGET
    _record(
        "second_run", "Tasks that a second run of role rdma changes, two hosts", result.changed, goal="== 0"
    )


def test_every_host_moves_data_to_its_neighbour(configured: Twin) -> None:
    result = run(configured, ACCEPTANCE, target="all")
    assert result.rc == 0, result.failures
    found = {host: _result(host) for host in HOSTS}
    assert {said["peer"] for said in found.values()} == set(HOSTS)
    failed = sum(not said["pass"] for said in found.values())
    slowest = min(said["bandwidth"]["measured"] for said in found.values())
    typical = max(said["latency"]["typical"] for said in found.values())
    _record("soft.failed", "Pairs of hosts whose soft-RoCE acceptance failed", failed, goal="== 0")
    _record(
        "soft.bandwidth", "soft-RoCE between emulated machines, the slower direction", slowest, unit="Gbit/s"
    )
    _record("soft.latency", "soft-RoCE between emulated machines, typical latency", typical, unit="us")
    assert failed == 0


def _result(host: str) -> dict[str, Any]:
    file = paths.artifacts("rdma") / "hosts" / host / "rdma.json"
    said: dict[str, Any] = json.loads(file.read_text())
    return said


def _record(name: str, claim: str, value: float, *, unit: str = "", goal: str = "") -> None:
    evidence.record(
        "lab", f"hosts.rdma.{name}", claim, value, unit=unit, goal=goal, proved_on="twin", command=COMMAND
    )
