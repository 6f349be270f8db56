"""The chain of an audit archive: whatever is done to it is found, and named."""

import io
import json
from datetime import date
from pathlib import Path

import audit_chain
import pytest
from audit_chain import Head
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit_site import record

DAYS = ("2026-11-21", "2026-11-22", "2026-11-23")


def chain(count: int, head: Head = Head()) -> tuple[list[bytes], list[Head]]:  # noqa: B008
    lines, heads = [], []
    for number in range(1, count + 1):
        line, head = audit_chain.link(head, record(number))
        lines.append(line)
        heads.append(head)
    return lines, heads


LINES, HEADS = chain(9)


def verify(lines: list[bytes], known: Head | None = None) -> audit_chain.Verdict:
    return audit_chain.verify((("day.jsonl", n, line) for n, line in enumerate(lines, 1)), known)


def test_a_chain_that_nobody_touched_is_whole() -> None:
    found = verify(LINES, HEADS[4])
    assert (found.broken, found.first, found.records, found.head) == (None, 1, 9, HEADS[-1])


def test_an_empty_archive_is_whole() -> None:
    assert verify([]) == audit_chain.Verdict(0, Head())


def test_the_beginning_may_have_been_pruned() -> None:
    found = verify(LINES[3:])
    assert (found.broken, found.first, found.records) == (None, 4, 6)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(b"".join(LINES)) - 1), st.integers(1, 255))
def test_any_byte_that_changed_is_found_by_name(place: int, flip: int) -> None:
    text = bytearray(b"".join(LINES))
    number = text[:place].count(b"\n")  # the record of that byte; its newline is its own
    text[place] ^= flip
    found = verify(io.BytesIO(text).readlines())
    assert found.broken is not None
    assert (found.broken.line, found.records) == (number + 1, number)
    assert found.broken.seq == (number + 1 if number else 0), "the first of all may have any number"


def rewritten(lines: list[bytes], number: int) -> list[bytes]:
    """Record ``number`` made anew with a hash that fits: what somebody would do who knows the format."""
    entry = json.loads(lines[number - 1])
    line, _ = audit_chain.link(
        Head(number - 1, entry["previous"]), entry["record"] | {"user": "somebody else"}
    )
    return [*lines[: number - 1], line, *lines[number:]]


TAMPERED = {
    "a record is left out": (LINES[:4] + LINES[5:], 5, "is missing: record 4 is followed by 6"),
    "two records change places": ([*LINES[:3], LINES[4], LINES[3], *LINES[5:]], 4, "is missing"),
    "a record comes twice": ([*LINES[:3], LINES[2], *LINES[3:]], 4, "is missing: record 3 is followed by 3"),
    "a record is replaced, hash and all": (rewritten(LINES, 5), 5, "it was replaced"),
    "a line is no entry": ([*LINES[:2], b"{}\n", *LINES[3:]], 3, "not an entry"),
    "a line is no JSON": ([*LINES[:2], b"\xff\n", *LINES[3:]], 3, "not an entry"),
    "a line has lost its end": ([*LINES[:8], LINES[8][:-1]], 9, "it was changed"),
}


@pytest.mark.parametrize(("lines", "seq", "why"), TAMPERED.values(), ids=TAMPERED)
def test_tampering_is_found_by_name(lines: list[bytes], seq: int, why: str) -> None:
    found = verify(lines)
    assert found.broken is not None
    assert (found.broken.seq, found.broken.line) == (seq, seq)
    assert why in found.broken.why


def test_an_end_that_was_cut_off_is_found_by_the_head_that_was_noted() -> None:
    found = verify(LINES[:6], HEADS[7])
    assert found.broken is not None
    assert found.broken.why == "the chain ends at record 6, and record 8 was there before"


def test_a_chain_that_was_written_anew_is_found_by_the_head_that_was_noted() -> None:
    entries = [json.loads(line)["record"] | {"user": "somebody else"} for line in LINES]
    head, anew = Head(), []
    for entry in entries:
        line, head = audit_chain.link(head, entry)
        anew.append(line)
    assert verify(anew).broken is None, "the chain alone cannot tell"
    found = verify(anew, HEADS[7])
    assert found.broken is not None
    assert (found.broken.seq, found.broken.record) == (8, record(8)["id"])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for day, lines in zip(DAYS, (LINES[:3], LINES[3:6], LINES[6:]), strict=True):
        (tmp_path / f"{day}.jsonl").write_bytes(b"".join(lines))
    (tmp_path / "notes.jsonl").write_text("not a day\n")
    return tmp_path


def test_an_archive_is_its_days_in_order(archive: Path) -> None:
    paths = audit_chain.files(archive)
    assert [path.stem for path in paths] == list(DAYS)
    assert audit_chain.verify(audit_chain.entries(paths), HEADS[-1]).records == 9


@pytest.mark.parametrize(("keep", "due"), [(3, []), (2, []), (1, ["2026-11-21"]), (0, list(DAYS[:2]))])
def test_files_go_once_they_are_old_and_the_last_one_stays(archive: Path, keep: int, due: list[str]) -> None:
    found = audit_chain.expired(audit_chain.files(archive), keep, date(2026, 11, 23))
    assert [path.stem for path in found] == due


def test_files_that_went_too_early_are_missed(archive: Path) -> None:
    paths, today = audit_chain.files(archive)[1:], date(2026, 11, 23)
    assert "younger than 180 days are missing" in audit_chain.missing(paths, 4, 180, today)
    assert audit_chain.missing(paths, 4, 1, today) == ""
    assert audit_chain.missing(paths, 1, 180, today) == ""
