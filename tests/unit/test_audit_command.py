"""`bedplate audit verify` as somebody uses it."""

import json
from pathlib import Path

import audit_chain
import pytest
from typer.testing import CliRunner

from bedplate.cli import app
from tests.audit_site import record

TODAY_IS_FAR = "99999"  # days: whatever is here is younger


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    head, text = audit_chain.Head(), b""
    for number in range(1, 41):
        line, head = audit_chain.link(head, record(number))
        text += line
    (tmp_path / "2026-11-23.jsonl").write_bytes(text)
    return tmp_path


def ask(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", "verify", *words])
    return done.exit_code, done.output


def test_a_whole_archive(archive: Path) -> None:
    assert ask("--folder", str(archive)) == (
        0,
        f"✓ {archive}: 40 records, 1 to 40, follow each other unchanged\n",
    )


def test_a_changed_record_is_named(archive: Path) -> None:
    file = archive / "2026-11-23.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[16] = lines[16].replace("jürgen".encode(), b"jurgen")
    file.write_bytes(b"".join(lines))
    code, said = ask("--folder", str(archive))
    assert code == 1
    assert f"record 17 ({17:032x}) in 2026-11-23.jsonl, line 17: it was changed" in said


def test_an_end_that_was_cut_off_since_the_last_time(archive: Path) -> None:
    code, said = ask("--folder", str(archive), "--json")
    head = json.loads(said)[0]["head"]
    file = archive / "2026-11-23.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:30]))
    assert (code, ask("--folder", str(archive))[0]) == (0, 0)
    code, said = ask("--folder", str(archive), "--known", head)
    assert code == 1
    assert "the chain ends at record 30, and record 40 was there before" in said


def test_files_that_are_missing_too_early(archive: Path) -> None:
    file = archive / "2026-11-23.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[10:]))
    code, said = ask("--folder", str(archive), "--keep-days", TODAY_IS_FAR)
    assert code == 1
    assert "begins on 2026-11-23 with record 11" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "say which archives"),
        (["-i", "inventories/lab", "--folder", "."], "say which archives"),
        (["--folder", "nowhere"], "nowhere is no folder"),
        (["--folder", ".", "--known", "7"], "no head of a chain"),
    ],
)
def test_wrong_words(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = CliRunner().invoke(app, ["audit", "verify", *words])
    assert done.exit_code != 0
    assert why in f"{done.output}{done.exception}"
