"""Rendered objects before judges that are not ours: no finding of theirs without a reason beside it."""

import pytest
from judges import JUDGES, Found, Judge, findings

from bedplate import evidence
from tests.rendered import ENVIRONMENTS

pytestmark = pytest.mark.rehearsal
each_judge = pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)


@pytest.mark.parametrize("env", ENVIRONMENTS)
@each_judge
def test_a_judge_finds_nothing_that_is_not_argued(judge: Judge, env: str) -> None:
    reasons = judge.reasons()
    left = [f for f in findings(judge, env) if not any(reason.explains(f) for reason in reasons)]
    evidence.record(
        env,
        f"platform.judges.{judge.name}.{env}",
        f"{judge.name} finds nothing in the platform's objects that is not argued",
        len(left),
        unit="findings",
        goal="== 0",
        proved_on="program",
        command="pytest tests/e2e/test_platform_judges.py",
    )
    assert not left, "\n".join(f"{f.check} {f.subject}: {f.words}" for f in left)


@each_judge
def test_every_reason_explains_something(judge: Judge) -> None:
    found: list[Found] = [one for env in ENVIRONMENTS for one in findings(judge, env)]
    idle = [reason for reason in judge.reasons() if not any(reason.explains(one) for one in found)]
    assert not idle
