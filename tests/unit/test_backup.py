"""Backups without any program: what is kept, what a configuration may say, what an error means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backup import plan, problem, state
from backup.kind import Place, against_manifest, write_manifest
from backup.plan import Keep, Snapshot
from backup.problem import BackupError
from backup.work import KINDS

from bedplate import backup as _backup  # noqa: F401  makes the package below importable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DOCUMENT = {
    "host": "lab-gpu1",
    "repository_file": "/r",
    "password_file": "/p",
    "state": "/s",
    "items": [{"name": "host", "kind": "files", "paths": ["/etc"]}],
}


def nightly(days: int, item: str = "host") -> list[Snapshot]:
    """A snapshot every night; ids count the days that they are old."""
    return [Snapshot(f"{item}{old}", NOW - timedelta(days=old, hours=9), "h", item) for old in range(days)]


def kept(found: list[Snapshot], keep: Keep = Keep(), **more: Any) -> set[str]:  # noqa: B008
    return {one.id for one in plan.retention(found, keep, NOW, **more).keep}


def test_a_week_of_days_then_weeks_then_months() -> None:
    days = {f"{one.time:%F}" for one in plan.retention(nightly(400), Keep(), NOW).keep}
    week = {f"2026-11-{day}" for day in range(17, 24)}
    sundays = {"2026-11-22", "2026-11-15", "2026-11-08"}
    months = {"2026-10-31", "2026-09-30", "2026-08-31", "2026-07-31", "2026-06-30", "2026-05-31"}
    months |= {"2026-04-30", "2026-03-31", "2026-02-28", "2026-01-31", "2025-12-31"}
    assert days == week | sundays | months


def test_a_year_of_nights_keeps_no_more_than_that() -> None:
    found = nightly(30)
    for day in range(365):  # every night: one more, and retention
        moment = NOW + timedelta(days=day)
        found.append(Snapshot(f"day{day}", moment, "h", "host"))
        found = list(plan.retention(found, Keep(), moment + timedelta(hours=1)).keep)
        newest = sorted((one.time for one in found), reverse=True)
        assert all(moment - one.time < timedelta(days=366) for one in found)
        assert len(newest) <= 7 + 4 + 12 + 1
    assert len(found) >= 20


def test_when_backups_stop_the_last_seven_stay() -> None:
    old = [replace(one, time=one.time - timedelta(days=900)) for one in nightly(7)]
    assert len(kept(old)) == 7


def test_items_do_not_push_each_other_out() -> None:
    assert kept([*nightly(3), *nightly(3, "db")]) == {
        f"{item}{n}" for item in ("host", "db") for n in range(3)
    }


@pytest.mark.parametrize(
    ("liar", "arrived"),
    [
        pytest.param(NOW + timedelta(days=365), None, id="from the future"),
        pytest.param(NOW - timedelta(days=20), NOW, id="an older day than that of its arrival"),
    ],
)
def test_a_snapshot_with_a_wrong_time_pushes_no_other_out(liar: datetime, arrived: datetime | None) -> None:
    """Hundreds of them, as from a host in other hands."""
    found = nightly(60)
    liars = [Snapshot(f"liar{n}", liar - timedelta(minutes=n), "h", "host") for n in range(300)]
    came = {one.id: arrived for one in liars} if arrived else {}
    decided = plan.retention([*found, *liars], Keep(), NOW, came)
    assert {one.id for one in decided.keep} == kept(found)
    assert {one.id for one in decided.unclear} == {one.id for one in liars}
    assert not {one.id for one in decided.remove} & {one.id for one in liars}


def test_many_snapshots_of_today_push_out_none_of_this_week() -> None:
    flood = [Snapshot(f"flood{n}", NOW - timedelta(minutes=n), "h", "host") for n in range(300)]
    assert {f"host{old}" for old in range(7)} <= kept([*nightly(10), *flood])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-23T16:57:32.647226123Z", datetime(2026, 11, 23, 16, 57, 32, 647226, UTC)),
        ("2026-11-23T17:57:32.6+01:00", datetime(2026, 11, 23, 16, 57, 32, 600000, UTC)),
        ("2026-11-23T16:57:32Z", datetime(2026, 11, 23, 16, 57, 32, 0, UTC)),
    ],
)
def test_times_of_restic(text: str, wanted: datetime) -> None:
    (found,) = plan.snapshots([{"id": "x", "time": text, "hostname": "h", "tags": ["host"]}])
    assert found == Snapshot("x", wanted, "h", "host")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"host": None}, "does not say host"),
        ({"extra": 1}, "nobody reads extra"),
        ({"items": [{"name": "a/b", "kind": "files", "paths": []}]}, "no name of an item"),
        ({"items": [{"name": "x", "kind": "tape"}]}, "'tape' is no kind"),
        ({"items": [{"name": "x", "kind": "files"}]}, "does not say paths"),
        ({"items": [{"name": "x", "kind": "files", "paths": ["etc"]}]}, "no absolute path"),
        ({"items": [{"name": "x", "kind": "etcd", "endpoint": "e", "cacert": "c"}]}, "nobody reads cacert"),
        ({"items": [{"name": "x", "kind": "files", "paths": ["/"]}] * 2}, "two items are called x"),
    ],
)
def test_a_wrong_word_is_named(change: dict[str, Any], said: str) -> None:
    document = {key: value for key, value in {**DOCUMENT, **change}.items() if value is not None}
    with pytest.raises(BackupError, match=said):
        plan.parse(document)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Fatal: wrong password or no key found", "password does not open"),
        ("write /srv/x: no space left on device", "target is full"),
        (
            "unable to create lock in backend: repository is already locked exclusively by PID 7",
            "somebody else",
        ),
        ("Is there a repository at the following location?", "there is no repository"),
        ("blob not removed, server response: 403 Forbidden (403)", "neither change nor remove"),
        ("unexpected HTTP response (401): 401 Unauthorized", "does not know this credential"),
        ('Get "https://u:hush@b:1/": x509: certificate signed by unknown authority', "not trusted"),
        ("dial tcp 10.0.0.1:8000: connect: connection refused", "cannot be reached"),
        ("server response unexpected: 500 Internal Server Error (500)", "server fails"),
        ("something new", "something new"),
    ],
)
def test_what_restic_says_is_explained(said: str, wanted: str) -> None:
    told = str(problem.explain("restic backup", said))
    assert wanted in told
    assert "hush" not in told


def test_a_broken_pack_is_named() -> None:
    pack = "0ed812ec29950c994858ed634e5a16c4514a4eb358093a9d7d815d35aef94adb"
    said = f"load indexes\nPack ID does not match, want {pack}, got {'e' * 64}\nFatal: it contains errors"
    (found,) = problem.damage(said)
    assert pack in found
    assert problem.damage("check all packs\n[0:00] 100.00%  2 / 2 packs\nno errors were found") == []


def test_a_restored_file_that_differs_is_found(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path)
    assert against_manifest(tmp_path).differences == ()
    (tmp_path / "one").write_text("eno")
    (tmp_path / "two").unlink()
    (tmp_path / "four").write_text("")
    wanted = ("two is missing", "four was not backed up", "one has another content")
    assert against_manifest(tmp_path).differences == wanted


def test_files_are_held_against_those_that_did_not_change(tmp_path: Path) -> None:
    live, restored = tmp_path / "live", tmp_path / "restored"
    for root in (live, restored / live.relative_to("/")):
        root.mkdir(parents=True)
        for name in ("same", "other", "gone", "later"):
            (root / name).write_text(name)
    item = plan.Item("host", "files", {"paths": [str(live)]})
    place = Place(tmp_path, datetime.now(UTC) + timedelta(seconds=1))
    assert KINDS["files"].compare(item, restored, place).differences == ()
    again = restored / live.relative_to("/")
    (again / "other").write_text("OTHER")
    (again / "gone").unlink()
    found = KINDS["files"].compare(item, restored, place).differences
    assert found == (f"{live}/other: has another content", f"{live}/gone is missing")
    early = Place(tmp_path, datetime.now(UTC) - timedelta(hours=1))
    since = KINDS["files"].compare(item, restored, early)
    assert (since.differences, since.changed) == ((), 4), "everything changed since: nothing can be said"


def test_an_item_that_never_succeeded_shows_as_very_old(tmp_path: Path) -> None:
    config = plan.parse(DOCUMENT)
    text = state.render(config, {"items": {}})
    assert 'bedplate_backup_last_success_seconds{item="host",kind="files"} 0' in text
    assert "bedplate_backup_ok{" not in text


def test_a_second_run_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    config = replace(plan.parse(DOCUMENT), state=tmp_path)
    with (
        state.only_one(config),
        pytest.raises(BackupError, match="another run is at work"),
        state.only_one(config),
    ):
        pass
    with state.only_one(config):
        pass
