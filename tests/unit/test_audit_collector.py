"""The end of an archive: what is confirmed is in it once, whatever went wrong before."""

import io
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import audit_chain
import pytest

from bedplate import paths
from tests.audit_site import record
from tests.role_program import load

PROGRAM = paths.ROLES / "audit_log/files/audit_collector.py"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("audit_log", "audit_collector")
    monkeypatch.setattr(module, "now", lambda: NOON)
    return module


def lines(*numbers: int) -> list[bytes]:
    return [b"10.0.0.1 " + json.dumps(record(number)).encode() + b"\n" for number in numbers]


def say(collector: ModuleType, folder: Path, *numbers: int) -> list[str]:
    """Hand records over; the answers."""
    out = io.StringIO()
    collector.collect(collector.Archive(folder), lines(*numbers), out)
    return out.getvalue().splitlines()


def ids(folder: Path) -> list[int]:
    entries = audit_chain.entries(audit_chain.files(folder))
    return [int(json.loads(line)["record"]["id"], 16) for _, _, line in entries]


def whole(folder: Path) -> bool:
    return audit_chain.verify(audit_chain.entries(audit_chain.files(folder))).broken is None


def test_what_is_confirmed_is_in_the_archive(collector: ModuleType, tmp_path: Path) -> None:
    assert say(collector, tmp_path, 1, 2, 3) == ["OK"] * 4
    assert (ids(tmp_path), whole(tmp_path)) == ([1, 2, 3], True)
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-23.jsonl"]


def test_what_was_sent_twice_is_written_once_after_a_new_start_too(
    collector: ModuleType, tmp_path: Path
) -> None:
    say(collector, tmp_path, 1, 2, 2, 1)
    assert say(collector, tmp_path, 2, 3, 1) == ["OK"] * 4
    assert (ids(tmp_path), whole(tmp_path)) == ([1, 2, 3], True)


def test_the_window_forgets_the_oldest(collector: ModuleType, tmp_path: Path) -> None:
    archive = collector.Archive(tmp_path, window=2)
    collector.collect(archive, lines(1, 2, 3, 2, 1), io.StringIO())
    assert ids(tmp_path) == [1, 2, 3, 1]


def test_a_day_is_a_file_and_the_chain_goes_through(
    collector: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(collector, tmp_path, 1)
    monkeypatch.setattr(collector, "now", lambda: NOON + timedelta(days=1))
    say(collector, tmp_path, 2)
    monkeypatch.setattr(collector, "now", lambda: NOON)  # the clock jumps back
    say(collector, tmp_path, 3)
    assert [path.stem for path in audit_chain.files(tmp_path)] == ["2026-11-23", "2026-11-24"]
    assert (ids(tmp_path), whole(tmp_path)) == ([1, 2, 3], True)


@pytest.mark.parametrize(
    "rest", [b'{"hash":"12', b"\0" * 4096, b"\0" * 100 + b"\n"], ids=["half", "zeros", "zeros, end"]
)
def test_what_a_power_cut_left_is_set_aside(collector: ModuleType, tmp_path: Path, rest: bytes) -> None:
    say(collector, tmp_path, 1, 2)
    file = tmp_path / "2026-11-23.jsonl"
    with file.open("ab") as out:
        out.write(rest)
    assert say(collector, tmp_path, 3) == ["OK", "OK"]
    assert (ids(tmp_path), whole(tmp_path)) == ([1, 2, 3], True)
    assert file.with_suffix(".torn").read_bytes() == rest


def test_old_files_go(collector: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(4):
        monkeypatch.setattr(collector, "now", lambda day=day: NOON + timedelta(days=day))
        say(collector, tmp_path, day)
    collector.prune(tmp_path, keep_days=2)
    assert (ids(tmp_path), whole(tmp_path)) == ([1, 2, 3], True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program where no file can be larger than 1,500 bytes: its disk is full after two records."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(tmp_path), "--keep-days", "180"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(paths.ROOT / "plugins/module_utils"), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit,  # noqa: PLW1509
    )
    yield process
    process.kill()
    process.wait()


def test_a_full_disk_confirms_nothing_and_leaves_no_half_record(
    small: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert small.stdin is not None
    assert small.stdout is not None
    small.stdin.write(b"".join(lines(1, 2, 3, 4)))
    small.stdin.flush()
    answers = [small.stdout.readline().decode().strip() for _ in range(5)]
    good = answers.count("OK") - 1
    assert 0 < good < 4
    assert answers[: good + 1] == ["OK"] * (good + 1)
    assert all(answer.startswith("the archive takes no record: ") for answer in answers[good + 1 :])
    assert (ids(tmp_path), whole(tmp_path)) == (list(range(1, good + 1)), True)
    assert audit_chain.files(tmp_path)[0].read_bytes().endswith(b"\n")
