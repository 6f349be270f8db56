"""The configuration of the SSH server at another place, where sshd judges it before it is put in force. Pure.

sshd has to see all of it: a drop-in that is right by itself may be wrong, or without any effect, together
with the rest.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_INCLUDE = re.compile(r"^(\s*include[\s=]+)(.+?)\s*$", re.IGNORECASE)


def relocated(text: str, folder: str, place: str) -> str:
    """``text`` with every Include of files in ``folder`` leading to the same files below ``place``."""
    return "".join(f"{_moved(line, folder, place)}\n" for line in text.splitlines())


def _moved(line: str, folder: str, place: str) -> str:
    found = _INCLUDE.match(line)
    if not found:
        return line
    patterns = (_absolute(pattern, folder) for pattern in found[2].split())
    return found[1] + " ".join(
        place + p[len(folder) :] if p.startswith(f"{folder}/") else p for p in patterns
    )


def includes(text: str, path: str, folder: str) -> bool:
    """Does a configuration read the file at ``path``, before any Match block and any setting of its own?

    A setting that stands first wins, so what comes before the Include could overrule the file.
    """
    for line in text.splitlines():
        words = line.split("#")[0].split()
        found = _INCLUDE.match(line)
        if found and any(_names(_absolute(pattern, folder), path) for pattern in found[2].split()):
            return True
        if words and not found:
            return False
    return False


def _absolute(pattern: str, folder: str) -> str:
    bare = pattern.strip('"')
    return bare if bare.startswith("/") else f"{folder}/{bare}"


def _names(pattern: str, path: str) -> bool:
    """A star does not match a slash in a path."""
    return pattern.count("/") == path.count("/") and fnmatchcase(path, pattern)
