#!/usr/bin/python3
"""Brings new audit records to the disk, several times a second.

``audit_sync keep FOLDER``. What programs write stays in memory for half a minute otherwise, and a power cut
would take it. ``audit_sync mend FOLDER``, before anything is written after a boot: a line that a power cut
tore is ended, so that the record after it begins a line of its own. The torn one becomes an unreadable
record, with its hash.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import audit_chain

SECONDS = 0.2  # between two looks; what a power cut can take, and the time that the disk needs
LINGER = 300  # looks at a file that was rotated and grew no more: nginx goes on writing until it is told


class Files:
    """Files of records that are open, by inode, and how large they were when the disk had them."""

    def __init__(self, folder):
        self.folder = folder
        self.open = {}
        self.sizes = {}
        self.idle = {}

    def sync(self):
        """What was written before this call is on the disk when it returns."""
        here = self._look()
        for inode, file in list(self.open.items()):
            size = os.fstat(file).st_size
            if size != self.sizes[inode]:
                os.fdatasync(file)
                self.sizes[inode], self.idle[inode] = size, 0
            elif inode not in here:
                self._forget_later(inode)

    def _look(self):
        here = set()
        for path in self.folder.glob("*.jsonl"):
            with suppress(FileNotFoundError):  # rotated meanwhile
                inode = path.stat().st_ino
                if inode not in self.open:
                    self.open[inode] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                    self.sizes[inode] = self.idle[inode] = 0
                here.add(inode)
        return here

    def _forget_later(self, inode):
        self.idle[inode] += 1
        if self.idle[inode] > LINGER:
            os.close(self.open.pop(inode))
            del self.sizes[inode], self.idle[inode]


def mend(folder):
    """End every line that was torn."""
    for path in folder.glob("*.jsonl"):
        with path.open("a+b") as file:
            if audit_chain.is_torn(file):
                file.write(b"\n")


def main():
    folder = Path(sys.argv[2])
    if sys.argv[1] == "mend":
        mend(folder)
        return
    files = Files(folder)
    while True:
        try:
            files.sync()
        except OSError as error:
            print(f"{folder}: {error}", file=sys.stderr)
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
