"""Which connection this process came in by: read from the processes that it descends from, because sudo
forgets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SERVERS = ("sshd", "sshd-session")
STATUS_PARENT, STATUS_START = 1, 19  # fields of /proc/PID/stat after the name


def ssh_connection() -> str:
    """SSH_CONNECTION of the session (client, its port, our address, our port); empty without one."""
    for pid in _ancestors():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for entry in environment:
            if entry.startswith(b"SSH_CONNECTION="):
                return entry.partition(b"=")[2].decode()
    return ""


def began() -> float | None:
    """When the connection was made, in seconds since boot; None where it is not one of sshd's."""
    for pid in _ancestors():
        try:
            name, fields = _status(pid)
        except OSError:
            continue
        if name in SERVERS:
            return int(fields[STATUS_START]) / os.sysconf("SC_CLK_TCK")
    return None


def _ancestors() -> Iterator[int]:
    """This process, its parent and so on, init excluded."""
    pid = os.getpid()
    while pid > 1:
        yield pid
        try:
            pid = int(_status(pid)[1][STATUS_PARENT])
        except OSError:
            return


def _status(pid: int) -> tuple[str, list[str]]:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    before, _, after = text.rpartition(")")
    return before.partition("(")[2], after.split()
