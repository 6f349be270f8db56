"""Two sites with real databases and object stores: one is killed under writes, the other one takes over, and
the first one takes no writes when it is back. The whole drill with its figures is scripts/drill_site.py."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bedplate import evidence
from tests import backup_services as services
from tests.site_pair import PROGRAMS, Pair, Writers, lost

COMMAND = "pytest tests/integration/test_disaster_recovery.py"

pytestmark = pytest.mark.skipif(
    not (services.have("rclone") and list(PROGRAMS.glob("*/bin/initdb"))),
    reason="needs PostgreSQL's server and rclone (make setup)",
)


def note(name: str, claim: str, value: float, goal: str, unit: str = "") -> None:
    evidence.record(
        "lab", f"recovery.{name}", claim, value, unit=unit, goal=goal, proved_on="program", command=COMMAND
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that PostgreSQL, which runs as another user, may pass."""
    with tempfile.TemporaryDirectory(prefix="sites-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_site_that_dies_under_writes_loses_none_and_stays_away_from_users(
    folder: Path, stack: ExitStack
) -> None:
    """Synchronous: killed, taken over by the playbook, refused when it comes back, and made a copy."""
    pair = Pair(folder, synchronous=True)
    pair.begin(stack)
    with Writers(pair, 4) as writers:
        time.sleep(1)
        pair.a.kill()
        killed = time.monotonic()
        done = pair.switch("b", away=["a"])
        assert done.rc != 0 and "a is off" in done.output, done.output
        assert pair.b.do("observe")["role"] == "standby", "it refused, and changed nothing"
        done = pair.switch("b", away=["a"], confirm="a is off")
        assert done.rc == 0, done.output
        seconds = writers.first_at(pair.b) - killed
        # The first site comes back, as systemd would start it: the guard finds the other one serving.
        back = pair.a.start()
        assert back.returncode != 0 and "b takes writes" in back.stderr, back.stderr
        assert pair.a.do("observe")["fenced"]
        assert pair.switch("b").rc == 0, "it is made a copy"
        again = pair.switch("b")
        assert (again.rc, again.changed) == (0, 0), "and then there is nothing left to do"
    assert pair.a.do("observe")["role"] == "standby"
    gone = lost(writers.acknowledged, pair.b)
    note("lost.small", "Acknowledged writes that a synchronous switch-over lost", len(gone), "== 0")
    claim = (
        "Seconds from the kill of the first site to the first write at the other one, a refusal on the way"
    )
    note("seconds.small", claim, round(seconds, 1), "<= 30", "s")
    assert gone == []


def test_an_old_primary_that_nobody_guards_gets_no_write_acknowledged(folder: Path, stack: ExitStack) -> None:
    """Started past its guard after the other one took over: a commit waits for the copy that is not there."""
    pair = Pair(folder, synchronous=True)
    pair.begin(stack)
    pair.a.kill()
    assert pair.switch("b", away=["a"], confirm="a is off").rc == 0
    unguarded = pair.a.words()["database"]["start"][2].partition(" && ")[2]
    pair.a.run_as(["sh", "-c", unguarded.partition(" -- ")[2] or unguarded])
    with pytest.raises(subprocess.TimeoutExpired):
        pair.a.sql("INSERT INTO written VALUES (-1)", seconds=5)
    # Both take writes now, and nobody may choose for the owner whose are given up.
    done = pair.switch("a")
    assert done.rc != 0 and "both take writes" in done.output, done.output
    assert pair.a.do("fence")["fenced"]
    assert pair.switch("b").rc == 0
    assert pair.a.sql("SELECT count(*) FROM written WHERE n = -1").strip() == "0"


def test_a_planned_switch_loses_nothing_even_when_nobody_waits(folder: Path, stack: ExitStack) -> None:
    pair = Pair(folder, synchronous=False)
    pair.begin(stack)
    with Writers(pair, 4) as writers:
        time.sleep(1)
        done = pair.switch("b")
        assert done.rc == 0, done.output
        writers.first_at(pair.b)
        time.sleep(0.5)
    assert lost(writers.acknowledged, pair.b) == []
    # Without synchronous copies a crashed site may not start while it cannot ask.
    pair.b.kill()
    pair.a.stop()
    refused = pair.b.start()
    assert refused.returncode != 0 and "cannot be asked" in refused.stderr


def test_power_is_switched_off_before_anything_is_promoted(folder: Path, stack: ExitStack) -> None:
    pair = Pair(folder, synchronous=True)
    pair.begin(stack)
    off = folder / "off"
    no = pair.switch("b", away=["a"], power_off={"a": ["false"]})
    assert no.rc != 0 and "a is off" in no.output
    yes = pair.switch("b", away=["a"], power_off={"a": ["sh", "-c", f"touch {off}"]})
    assert yes.rc == 0, yes.output
    assert off.exists() and pair.b.do("observe")["role"] == "primary"


def test_buckets_follow_and_their_age_is_shown(folder: Path, stack: ExitStack) -> None:
    pair = Pair(folder, synchronous=False, stores=True)
    pair.begin(stack)
    first = services.store(pair.a.store, "files", folder / "a/s3")
    other = services.store(pair.b.store, "files", folder / "b/s3")
    for number in range(30):
        first.put(f"many/{number} ü", str(number).encode(), {"content-type": "text/plain"})
    pair.b.do("replicate")
    assert dict_of(other) == dict_of(first)
    shown = (folder / "b/site.prom").read_text()
    assert 'bedplate_site_bucket_ok{bucket="files"} 1' in shown and "bedplate_site_connected 1" in shown
    # The site that writes copies nothing onto itself.
    other.put("stray", b"x", {})
    pair.a.do("replicate")
    assert "stray" not in dict_of(first)
    assert pair.a.weed and not pair.a.weed.kill()
    failed = pair.b.ask("replicate")
    assert failed.returncode != 0 and "files:" in failed.stderr
    assert 'bedplate_site_bucket_ok{bucket="files"} 0' in (folder / "b/site.prom").read_text()


def dict_of(store: services.OwnedStore) -> dict[str, object]:
    return {key: entry["etag"] for key, entry in store.objects()}
