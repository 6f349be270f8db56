"""Which files of records a host sends again when its shipper starts."""

import json
import os
from pathlib import Path

import pytest

from tests.role_program import load

NOW = 1_763_892_000.0
SIZE = 400


CASES = {
    "read to its end, long ago": (json.dumps({"curr_offs": SIZE}), 3600, False),
    "read to its end, just now": (json.dumps({"curr_offs": SIZE}), 60, True),
    "not read to its end": (json.dumps({"curr_offs": SIZE - 1}), 3600, True),
    "a note that is empty": ("", 3600, True),
    "a note that says something else": ("[1]", 3600, True),
}


@pytest.mark.parametrize(("note", "age", "again"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("name", ["gateway.jsonl", "rotated/gateway.jsonl-20261123100000"])
def test_what_is_sent_again(tmp_path: Path, name: str, note: str, age: int, again: bool) -> None:
    file, spool = tmp_path / "log" / name, tmp_path / "spool"
    file.parent.mkdir(parents=True)
    spool.mkdir()
    file.write_bytes(b"x" * SIZE)
    os.utime(file, (NOW - age, NOW - age))
    noted = spool / f"imfile-state:{file.stat().st_ino}:8d660a95c47daf2c"
    noted.write_text(note)
    other = spool / "imfile-state:1:8d660a95c47daf2c"  # of a file that is gone
    other.write_text(note)
    assert load("audit_log", "audit_resend").forget(tmp_path / "log", spool, NOW) == (
        [noted] if again else []
    )
