"""Events of ansible-runner become a result that can be judged."""

from typing import Any

import pytest

from bedplate import playbook


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": data}


EVENTS = [
    event("playbook_on_start"),
    event("runner_on_ok", host="a", task="Read", res={"changed": False}),
    event("runner_on_ok", host="b", task="Read", res={"changed": False}),
    event("runner_on_ok", host="a", task="Write", res={"changed": True}),
    event("runner_on_skipped", host="b", task="Write"),
    event("runner_on_failed", host="b", task="Try", ignore_errors=True, res={"msg": "ignored"}),
    event(
        "runner_on_failed",
        host="b",
        task="Break",
        res={"changed": True, "msg": "no space", "stderr": "disk full"},
    ),
    event("runner_on_unreachable", host="a", task="Break", res={"msg": "gone"}),
    event(
        "playbook_on_stats",
        processed={"a": 1, "b": 1},
        ok={"a": 2, "b": 1},
        changed={"a": 1},
        failures={"b": 1},
        dark={"a": 1},
        skipped={"b": 1},
        ignored={"b": 1},
    ),
]


@pytest.mark.parametrize("prepare", [lambda e: e, playbook.slim], ids=["whole", "slim"])
def test_counts_changes_and_failures(prepare: Any) -> None:
    result = playbook.summary([prepare(e) for e in EVENTS], 2, 1.5)
    assert result.rc == 2
    assert result.tasks == {"a": 3, "b": 3}, "skipped tasks are not executed ones"
    assert result.stats["a"] == {"ok": 2, "changed": 1, "failures": 0, "unreachable": 1, "skipped": 0}
    assert result.stats["b"] == {"ok": 1, "changed": 0, "failures": 1, "unreachable": 0, "skipped": 1}
    assert result.changed == 1
    assert result.changed_tasks == (("a", "Write"),)
    assert result.failures == (("b", "Break", "no space\ndisk full"), ("a", "Break", "gone"))


def test_of_a_loop_only_the_items_that_failed_are_told() -> None:
    items = [{"failed": True, "msg": "first"}, {"msg": "fine"}, {"failed": True, "msg": "third"}]
    assert playbook.message({"msg": "One or more items failed", "results": items}) == "first; third"


def test_a_secret_stays_one() -> None:
    hidden = "the output has been hidden due to the fact that 'no_log: true' was specified"
    assert playbook.message({"censored": hidden, "changed": False}) == hidden


def test_a_run_that_never_began_has_no_hosts() -> None:
    result = playbook.summary([event("playbook_on_start")], 4, 0.1)
    assert (result.rc, result.stats, result.tasks, result.changed) == (4, {}, {}, 0)
