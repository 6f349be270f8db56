"""New records reach the disk, and a line that a power cut tore takes no other with it."""

import os
from pathlib import Path

import pytest

from tests.role_program import load

WHOLE = b'{"id":"1"}\n'
TORN = {
    "a line without its end": WHOLE + b'{"id":"2',
    "zeros where the disk had not written": WHOLE + b"\0" * 40,
    "nothing but the beginning of a line": b"{",
}
source, sync = load("audit_log", "audit_source"), load("audit_log", "audit_sync")


@pytest.mark.parametrize("found", TORN.values(), ids=TORN)
def test_a_torn_line_is_ended_before_the_next_record(tmp_path: Path, found: bytes) -> None:
    for name in ("mended", "written"):
        (tmp_path / f"{name}.jsonl").write_bytes(found)
    sync.mend(tmp_path)
    source.write(tmp_path / "mended.jsonl", {"id": "3"})
    source.write(tmp_path / "written.jsonl", {"id": "3"})
    for name in ("mended", "written"):
        assert (tmp_path / f"{name}.jsonl").read_bytes() == found + b'\n{"id": "3"}\n'


@pytest.mark.parametrize("found", [b"", WHOLE])
def test_what_is_whole_stays_as_it_is(tmp_path: Path, found: bytes) -> None:
    file = tmp_path / "gateway.jsonl"
    file.write_bytes(found)
    sync.mend(tmp_path)
    assert file.read_bytes() == found


class Disk:
    """Which inodes were brought to the disk, with the size that they had then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "fdatasync", self.take)

    def take(self, file: int) -> None:
        found = os.fstat(file)
        self.told.append((found.st_ino, found.st_size))


def test_only_what_grew_is_synced_and_a_rotated_file_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, file = Disk(monkeypatch), tmp_path / "gateway.jsonl"
    file.write_bytes(WHOLE)
    inode = file.stat().st_ino
    files = sync.Files(tmp_path)
    files.sync()
    files.sync()
    assert disk.told == [(inode, len(WHOLE))]
    rotated = tmp_path / "rotated"
    rotated.mkdir()
    moved = file.rename(rotated / "gateway.jsonl-1")
    with moved.open("ab") as late:
        late.write(WHOLE)
    files.sync()
    assert disk.told[1:] == [(inode, 2 * len(WHOLE))]
    for _ in range(sync.LINGER + 1):
        files.sync()
    assert files.open == {} and len(disk.told) == 2
