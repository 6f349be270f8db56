"""The three environments' platforms against real control planes of their nodes, from nothing to nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rehearsals import proved

from bedplate import inventory
from bedplate.rehearse.session import Session

pytestmark = pytest.mark.rehearsal
TEST = "tests/e2e/test_rehearse.py"
AGAIN = 3  # runs that change nothing; the fastest tells the program from what else the machine does
GOALS = {"lab": {"first-up": "< 60", "second-up": "< 5"}, "production": {"second-up": "< 20"}}


class Life:
    """One environment from nothing to nothing, each step once."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        with Session(inventory.load(Path("inventories") / environment), name="rehearsal-test") as session:
            session.start()
            session.register()
            session.prepare()
            before = session.api.everything()
            self.first = session.program.up(watch=session.watcher())
            self.verdict = session.verdict()
            self.again = [session.program.up() for _ in range(AGAIN)]
            self.second = min(self.again, key=lambda run: run.seconds)
            self.preview = session.program.preview()
            self.refresh = session.program.refresh()
            self.state = session.program.state()
            self.created = session.api.everything() - before
            self.destroy = session.program.destroy()
            self.left = session.api.everything() - before
            self.lost = before - session.api.everything()


@pytest.fixture(scope="module", params=["lab", "staging", "production"])
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    lived = Life(request.param)
    goals = GOALS.get(lived.environment, {})
    claims = {"first-up": "pulumi up, first run", "second-up": f"pulumi up, second run (fastest of {AGAIN})"}
    for name, run in (("first-up", lived.first), ("second-up", lived.second)):
        machine = {"load": round(os.getloadavg()[0], 1)}
        goal = goals.get(name, "")
        proved(lived.environment, name, claims[name], run.seconds, TEST, unit="s", goal=goal, machine=machine)
    claim = "Processor time of a pulumi up that changes nothing, all programs together"
    cpu = min(run.cpu for run in lived.again)
    proved(lived.environment, "second-up-cpu", claim, cpu, TEST, unit="s")
    proved(
        lived.environment,
        "drift",
        "Resources that a refresh finds changed",
        lived.refresh.changed,
        TEST,
        goal="== 0",
    )
    proved(
        lived.environment, "left", "Objects that destroy leaves behind", len(lived.left), TEST, goal="== 0"
    )
    return lived


def test_the_platform_comes_up_and_everything_fits(life: Life) -> None:
    assert life.first.errors == ()
    assert [entry.sentence for entry in life.verdict.waiting if not entry.may_wait] == []
    assert life.verdict.refused == ()
    assert life.first.ok


def test_a_second_run_changes_nothing(life: Life) -> None:
    assert [(run.ok, run.changed) for run in life.again] == [(True, 0)] * AGAIN
    assert life.preview.ok
    assert life.second.changes["same"] == life.first.changes["create"]


def test_a_refresh_finds_no_drift(life: Life) -> None:
    assert (life.refresh.ok, life.refresh.changed) == (True, 0)


def test_secrets_are_not_in_the_state_as_clear_text(life: Life) -> None:
    secrets = [
        resource
        for resource in life.state["deployment"]["resources"]
        if resource["type"] == "kubernetes:core/v1:Secret"
    ]
    assert secrets, "the program keeps no secret"
    for resource in secrets:
        for field in ("data", "stringData"):
            value = resource["inputs"].get(field)
            assert value is None or "ciphertext" in value, f"{resource['urn']} shows {field}"


def test_destroy_leaves_nothing_behind(life: Life) -> None:
    assert life.destroy.ok
    assert len(life.created) >= life.first.changes["create"] - 20, "the listing does not see what was created"
    assert (sorted(life.left), sorted(life.lost)) == ([], [])
