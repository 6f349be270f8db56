#!/usr/bin/python3
"""Puts the audit records that rsyslog hands over behind the chain of an archive.

rsyslog runs it with omprog and confirmMessages: a line comes in, ``SENDER RECORD``, and OK goes out once the
record is in the archive. Anything else than OK makes rsyslog keep the record and try again, so a full disk
loses nothing. What was sent twice (a host that lost its power sends its files again) is written once. The
disk is told to keep what was written every second: the power of the collector itself may cost that second,
which is why a site has two.
"""

import argparse
import errno
import fcntl
import hashlib
import json
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import audit_chain

WINDOW = 1_000_000  # records among which one that comes again is recognised: about 100 MB
SYNC_SECONDS = 1


def understand(line):
    """A record of a line; what cannot be read is recorded as that, with its hash."""
    sender, _, text = line.decode(errors="replace").strip().partition(" ")
    try:
        found = json.loads(text)
        record = {name: found[name] for name in audit_chain.FIELDS}
    except (ValueError, TypeError, KeyError):
        record = audit_chain.unreadable("record", text, "collector", now().isoformat(timespec="milliseconds"))
    return {**record, "sender": sender}


def now():
    return datetime.now(timezone.utc)


class Archive:
    """The end of an archive, on which it goes on."""

    def __init__(self, folder, window=WINDOW):
        self.folder = folder
        self.head = audit_chain.Head()
        self.recent = deque(maxlen=window)
        self.known = set()
        self.file = None
        self.day = ""
        self.lock = threading.Lock()
        self.dirty = False
        for path in self._recent_files(window):
            self._read(path)

    def add(self, record):
        """Put ``record`` at the end, unless it came before. Raises OSError, with the archive as it was."""
        key = self._key(record)
        if key in self.known:
            return
        with self.lock:
            self._open()
            line, head = audit_chain.link(self.head, record)
            end = self.file.tell()
            try:
                if self.file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):
                    self.file.truncate(end)
                    self.file.seek(end)
                raise
            self.head, self.dirty = head, True
        self._remember(key)

    def sync(self):
        """What was written is on the disk when this returns."""
        with self.lock:
            if self.dirty:
                os.fdatasync(self.file.fileno())
                self.dirty = False

    def _open(self):
        # A clock that jumps back does not send the chain back into an older file.
        day = max(now().date().isoformat(), self.day)
        if self.file is not None and day == self.day:
            return
        if self.file is not None:
            os.fdatasync(self.file.fileno())
            self.file.close()
        self.day = day
        self.file = (self.folder / f"{day}.jsonl").open("ab", buffering=0)

    def _recent_files(self, window):
        """The newest files that hold ``window`` records, oldest first."""
        found, records = [], 0
        for path in reversed(audit_chain.files(self.folder)):
            if records >= window:
                break
            found.insert(0, path)
            with path.open("rb") as lines:
                records += sum(1 for _ in lines)
        return found

    def _read(self, path):
        """Continue behind ``path``."""
        good, wrong = 0, False
        with path.open("rb") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    head, key = audit_chain.Head(entry["seq"], entry["hash"]), self._key(entry["record"])
                    wrong = not line.endswith(b"\n")
                except (ValueError, KeyError, TypeError):
                    wrong = True
                if wrong:
                    break
                self.head, good = head, good + len(line)
                self._remember(key)
        if wrong:
            self._set_aside(path, good)
        self.day = path.stem

    @staticmethod
    def _set_aside(path, good):
        """What a power cut left behind the last whole record was never confirmed, and will come again."""
        rest = path.read_bytes()[good:]
        aside = path.with_suffix(".torn")
        with aside.open("ab") as file:
            file.write(rest)
        os.truncate(path, good)
        print(
            f"{path.name}: {len(rest)} bytes behind the last record are now in {aside.name}", file=sys.stderr
        )

    @staticmethod
    def _key(record):
        """Eight bytes for a record's name."""
        name = "\0".join(str(record[part]) for part in ("host", "source", "id"))
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")

    def _remember(self, key):
        if len(self.recent) == self.recent.maxlen:
            self.known.discard(self.recent[0])
        self.recent.append(key)
        self.known.add(key)


def prune(folder, keep_days):
    """Remove files older than ``keep_days``."""
    for path in audit_chain.expired(audit_chain.files(folder), keep_days, now().date()):
        path.unlink()
        print(f"{path.name}: older than {keep_days} days, removed", file=sys.stderr)


def collect(archive, lines, out):
    """Confirm every line once it is in the archive, or say why it is not."""
    out.write("OK\n")  # ready
    out.flush()
    for line in lines:
        try:
            archive.add(understand(line))
            answer = "OK"
        except OSError as error:
            answer = f"the archive takes no record: {error.strerror}"
        out.write(f"{answer}\n")
        out.flush()


def tend(archive, keep_days, stop):
    """Until ``stop``: sync every second, and remove old files once a day."""
    day = ""
    while not stop.wait(SYNC_SECONDS):
        try:
            archive.sync()
            if day != archive.day:
                day = archive.day
                prune(archive.folder, keep_days)
        except OSError as error:
            print(f"{archive.folder}: {error}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep-days", type=int, required=True)
    options = parser.parse_args()
    os.umask(0o027)
    # The collector before this one may still be writing down what it was given: two would fork the chain.
    alone = os.open(options.folder, os.O_RDONLY)
    fcntl.flock(alone, fcntl.LOCK_EX)
    archive, stop = Archive(options.folder), threading.Event()
    threading.Thread(target=tend, args=(archive, options.keep_days, stop), daemon=True).start()
    try:
        collect(archive, sys.stdin.buffer, sys.stdout)
    finally:
        stop.set()
        archive.sync()


if __name__ == "__main__":
    main()
