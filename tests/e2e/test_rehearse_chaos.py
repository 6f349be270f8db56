"""The long fault runs: a server killed at ten points of the first up of the lab's whole platform."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from platforms import eventually
from rehearsals import LAB, after_steps, proved

from bedplate import inventory
from bedplate.rehearse.session import Session

pytestmark = pytest.mark.chaos
TEST = "tests/e2e/test_rehearse_chaos.py"
PARTS = range(1, 11)
LAST = 0.98  # of all steps: the last point lies just before the end
survived: dict[str, set[int]] = {"kube-apiserver": set(), "etcd": set()}


@dataclass(frozen=True)
class Lab:
    """A session on the lab's nodes, and how many steps the first up of its platform has."""

    session: Session
    steps: int


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Session(inventory.load(LAB), name="rehearsal-test") as session:
        session.start()
        session.register()
        session.prepare()
        undisturbed = session.program.up()
        assert undisturbed.ok, undisturbed.errors
        assert session.program.destroy().ok
        yield Lab(session, sum(undisturbed.changes.values()))
    for victim, points in survived.items():
        if points:
            claim = f"Points of the lab's first up at which {victim} was killed and the next up converged"
            goal = f">= {len(PARTS)}"
            proved("lab", f"killed-{victim}", claim, len(points), TEST, goal=goal, marker="chaos")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("victim", list(survived))
def test_the_platform_converges_after_a_killed_server(lab: Lab, victim: str, part: int) -> None:
    session, point = lab.session, round(lab.steps * LAST * part / len(PARTS))
    before = session.api.everything()
    killed: list[str] = []

    def kill() -> None:
        session.control_plane.processes.kill(victim)
        session.control_plane.processes.restart(victim)
        killed.append(victim)

    session.program.up(after_steps(point, kill))
    assert killed, "Pulumi was done before the fault"
    assert eventually(session.api.ready, 120)
    repaired = session.program.up()
    assert repaired.ok, repaired.errors
    assert session.program.preview().ok
    assert session.program.state()["deployment"].get("pending_operations") in (None, [])
    assert session.verdict().fits
    assert session.program.destroy().ok
    assert sorted(session.api.everything() - before) == []
    survived[victim].add(part)
