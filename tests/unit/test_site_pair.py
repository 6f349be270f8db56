"""A switch-over as a decision: what is done, what is refused and in which words; and who may start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from site_pair import buckets, config, metrics
from site_pair.plan import NONE, PRIMARY, STANDBY, Plan, Seen, decide, may_start, seen
from site_pair.problem import SiteError
from site_pair.settings import render, slot

WRITES = Seen("a", running=True, role=PRIMARY, connected=True, synchronous=True)
COPY = Seen("b", running=True, role=STANDBY, connected=True)
BEHIND = replace(COPY, connected=False)
AWAY = Seen("a", reachable=False)
STOPPED = Seen("a", role=PRIMARY)
TOOK_OVER = Seen("b", running=True, role=PRIMARY)
WHOLE = (("a", "fence"), ("b", "promote"), ("a", "follow"), ("b", "synchronous"))

STEPS: list[tuple[str, Seen, Seen, dict[str, Any], tuple[tuple[str, str], ...]]] = [
    ("both are well", WRITES, COPY, {}, WHOLE),
    ("the old one crashed and can be fenced", STOPPED, COPY, {}, WHOLE),
    ("it is off, somebody says", AWAY, COPY, {"confirm": "a is off"}, (("b", "promote"),)),
    ("its power was switched off", AWAY, COPY, {"powered_off": True}, (("b", "promote"),)),
    ("the copy hangs back and that is accepted", WRITES, BEHIND,
     {"confirm": "lose what b has not"}, WHOLE),
    ("it took over before and the old one is back", replace(STOPPED, fenced=True), TOOK_OVER, {},
     (("a", "follow"), ("b", "synchronous"))),
    ("it took over and the copy streams, not yet waited for", replace(COPY, site="a"), TOOK_OVER, {},
     (("b", "synchronous"),)),
    ("everything was done", replace(COPY, site="a"), replace(TOOK_OVER, synchronous=True), {}, ()),
    ("it took over and the old one is away", AWAY, TOOK_OVER, {}, ()),
]  # fmt: skip

REFUSED: list[tuple[str, Seen, Seen, dict[str, Any], str, str]] = [
    ("nobody knows", AWAY, COPY, {}, "nobody knows whether it takes writes", "a is off"),
    ("other words", AWAY, COPY, {"confirm": "b is off"}, "a cannot be asked", "a is off"),
    ("other words again", AWAY, COPY, {"confirm": "lose what b has not"}, "a cannot be asked", "a is off"),
    ("the copy hangs back", WRITES, BEHIND, {}, "gets nothing from a", "lose what b has not"),
    ("both write", WRITES, TOOK_OVER, {}, "both take writes", ""),
    ("both write, and words do not help", WRITES, TOOK_OVER, {"confirm": "a is off"}, "both take writes", ""),
    ("there is no copy", WRITES, Seen("b"), {}, "has no running copy", ""),
    ("the copy does not run", WRITES, replace(COPY, running=False), {}, "has no running copy", ""),
    ("it is away itself", WRITES, Seen("b", reachable=False), {}, "b does not answer", ""),
]  # fmt: skip


def decided(old: Seen, new: Seen, **words: Any) -> Plan:
    return decide([old, new], "b", **words)


@pytest.mark.parametrize(("old", "new", "words", "steps"), [c[1:] for c in STEPS], ids=[c[0] for c in STEPS])
def test_what_is_done(old: Seen, new: Seen, words: Any, steps: Any) -> None:
    plan = decided(old, new, **words)
    assert (plan.steps, plan.refusals) == (steps, ())


@pytest.mark.parametrize(
    ("old", "new", "words", "why", "asked"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_is_refused(old: Seen, new: Seen, words: Any, why: str, asked: str) -> None:
    plan = decided(old, new, **words)
    assert plan.steps == ()
    assert why in plan.refusals[0]
    assert plan.words == asked


def test_nothing_is_promoted_before_the_other_one_cannot_write() -> None:
    """Over everything that two sites can be: unless somebody said more, a promotion comes after a fence."""
    states = [
        Seen("x", reachable, running, role, connected=connected, fenced=fenced)
        for reachable in (True, False)
        for running in (True, False)
        for role in (PRIMARY, STANDBY, NONE)
        for connected in (True, False)
        for fenced in (True, False)
    ]
    promoted = 0
    for one in states:
        for other in states:
            steps = list(decided(replace(one, site="a"), replace(other, site="b")).steps)
            if ("b", "promote") in steps:
                promoted += 1
                assert steps.index(("a", "fence")) < steps.index(("b", "promote"))
    assert promoted > 10


def test_a_site_that_is_not_one_of_them() -> None:
    assert "there is no site c; there are a and b" in decide([WRITES, COPY], "c").refusals[0]


def test_a_loss_is_said_before_it_happens() -> None:
    assert decided(replace(STOPPED, synchronous=True), COPY).notes == ()
    assert "had not received is lost" in decided(STOPPED, COPY).notes[0]


# Fenced, a standby, the other site, synchronous, alone; and why it may not.
STARTS: list[tuple[tuple[bool, bool, Seen, bool, bool], str]] = [
    ((True, False, AWAY, True, True), "this site is fenced"),
    ((True, True, AWAY, True, True), "this site is fenced"),
    ((False, True, WRITES, False, False), ""),
    ((False, False, WRITES, True, True), "a takes writes"),
    ((False, False, replace(COPY, site="a"), False, False), ""),
    ((False, False, AWAY, False, False), "cannot be asked"),
    ((False, False, AWAY, True, False), ""),
    ((False, False, AWAY, False, True), ""),
]


@pytest.mark.parametrize(("told", "why"), STARTS)
def test_who_may_start(told: tuple[bool, bool, Seen, bool, bool], why: str) -> None:
    found = may_start(*told)
    assert why in found
    assert bool(found) is bool(why)


def test_what_a_site_says_is_what_it_is() -> None:
    document = {"site": "other", "running": True, "role": "standby", "lag": 2.5, "more": 1}
    assert seen("b", document) == Seen("b", running=True, role=STANDBY, lag=2.5)
    assert not seen("b", None).reachable


def document(**more: Any) -> dict[str, Any]:
    database = {name: f"/{name}" for name in ("data", "programs", "settings", "socket", "password_file")}
    database |= {
        "address": "10.0.0.1",
        "peer_address": "10.1.0.1",
        "port": 5432,
        "start": ["s"],
        "stop": ["t"],
    }
    return {"site": "dr-1", "peer": "prod", "state": "/s", "synchronous": True, "database": database} | more


def test_settings_wait_for_the_other_site_or_do_not() -> None:
    read = config.parse(document())
    assert "synchronous_standby_names = 'FIRST 1 (\"prod\")'" in render(read, synchronous=True)
    text = render(read, synchronous=False)
    assert "synchronous_standby_names = ''" in text
    assert "host=10.1.0.1 port=5432 user=replication" in text
    assert "sslmode=require" in text
    assert f"primary_slot_name = '{slot('dr-1')}'" in text
    assert slot("dr-1") == "site_dr_1"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sites": 1}, "nobody reads sites"),
        ({"database": {}}, "does not say address"),
        ({"buckets": [{"name": "x"}]}, "a bucket does not say source"),
    ],
)
def test_a_word_that_is_wrong_is_named(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(SiteError, match=why):
        config.parse(document(**wrong))


def test_a_bucket_is_not_emptied_at_once() -> None:
    copy = config.BucketCopy("files", "a:files", "b:files", most_removed=7)
    words = buckets.command(copy, "/r")
    assert words[:4] == ["rclone", "sync", "a:files", "b:files"]
    assert "--max-delete=7" in words


def test_what_is_shown(tmp_path: Path) -> None:
    told = {"files": {"whole": 1000.5, "ok": 1, "seconds": 2.0}, "new": {"ok": 0}}
    text = metrics.render(replace(COPY, lag=3.0), told)
    for line in (
        "bedplate_site_primary 0",
        "bedplate_site_lag_seconds 3.0",
        'bedplate_site_bucket_whole_seconds{bucket="files"} 1000.5',
        'bedplate_site_bucket_ok{bucket="new"} 0',
    ):
        assert line in text.splitlines()
    assert 'whole_seconds{bucket="new"}' not in text
    metrics.write(tmp_path / "site.prom", text)
    assert (tmp_path / "site.prom").read_text() == text
