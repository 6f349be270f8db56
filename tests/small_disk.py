"""A file system so small that it is full soon, and more room in it later."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

mounts = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")


class Disk:
    """A mounted one at ``place``."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def room(self, mib: int) -> None:
        """So large from now on."""
        subprocess.run(["mount", "-o", f"remount,size={mib}m", self.place], check=True)

    @property
    def free(self) -> int:
        """Bytes."""
        found = os.statvfs(self.place)
        return found.f_bavail * found.f_frsize


@contextmanager
def disk(place: Path, mib: int, owner: str = "root") -> Iterator[Disk]:
    """An empty one of ``mib`` MiB until the end of the block."""
    place.mkdir(exist_ok=True)
    words = f"size={mib}m,mode=0700,uid={owner},gid={owner}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", words, "tmpfs", place], check=True)
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", place], check=True)
