"""The long fault runs: a server killed at ten points of the first up of the lab's whole platform."""

from collections.abc import Iterator

import pytest
from rehearsals import LAB, after_steps, proved

from bedplate import inventory
from bedplate.rehearse.session import Session

pytestmark = pytest.mark.chaos
TEST = "tests/e2e/test_rehearse_chaos.py"
RESOURCES = 120  # of the lab's stack, about; the last point lies just before its end
POINTS = [round(RESOURCES * part / 10) for part in range(1, 11)]
survived: dict[str, set[int]] = {"kube-apiserver": set(), "etcd": set()}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(inventory.load(LAB), name="rehearsal-test") as session:
        session.start()
        session.register()
        session.prepare()
        yield session
    for victim, points in survived.items():
        if points:
            claim = f"Points of the lab's first up at which {victim} was killed and the next up converged"
            goal = f">= {len(POINTS)}"
            proved("lab", f"killed-{victim}", claim, len(points), TEST, goal=goal, marker="chaos")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("victim", list(survived))
def test_the_platform_converges_after_a_killed_server(session: Session, victim: str, point: int) -> None:
    before = session.api.everything()
    killed: list[str] = []

    def kill() -> None:
        session.control_plane.processes.kill(victim)
        session.control_plane.processes.restart(victim)
        killed.append(victim)

    session.program.up(after_steps(point, kill))
    assert killed, "Pulumi was done before the fault"
    repaired = session.program.up()
    assert repaired.ok, repaired.errors
    assert session.program.preview().ok
    assert session.program.state()["deployment"].get("pending_operations") in (None, [])
    assert session.verdict().fits
    assert session.program.destroy().ok
    assert sorted(session.api.everything() - before) == []
    survived[victim].add(point)
