#!/usr/bin/python3
"""Before a shipper starts: lets it forget where it was in files of which not all may have arrived.

``audit_resend FOLDER SPOOL``. rsyslog notes how far it read, not what the collector confirmed: what was
under way when it stopped, or when the power went, would be missing. Files that it had not read to their end,
and those written in the last quarter of an hour, are read again from their beginning; the archive takes each
record once.
"""

import json
import sys
import time
from pathlib import Path

RECENT_SECONDS = 900  # more than rsyslog, TLS and the window of RELP can hold back


def forget(folder, spool, now):
    """The notes (files of ``spool``) that must go."""
    files = {path.stat().st_ino: path.stat() for path in folder.rglob("*.jsonl*") if path.is_file()}
    return [note for note in spool.glob("imfile-state:*") if _is_open(note, files, now)]


def _is_open(note, files, now):
    inode = note.name.split(":")[1]
    found = files.get(int(inode)) if inode.isdigit() else None
    if found is None:
        return False  # the file is gone, and rsyslog forgets it by itself
    try:
        read = json.loads(note.read_text())["curr_offs"]
    except (ValueError, KeyError, TypeError):
        return True
    return read != found.st_size or now - found.st_mtime < RECENT_SECONDS


def main():
    folder, spool = map(Path, sys.argv[1:3])
    spool.mkdir(parents=True, exist_ok=True)
    for note in forget(folder, spool, time.time()):
        note.unlink()


if __name__ == "__main__":
    main()
