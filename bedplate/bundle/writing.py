"""Files of a bundle come into being whole or not at all, and a full disk is said in one line."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bedplate.errors import BedplateError


def write(path: Path, content: bytes) -> None:
    """Write a file that everybody may read; the same content again leaves it alone."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.chmod(0o644)
    partial.replace(path)


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """Say a full disk in words; what a program below says about it too."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _full(folder) from error
    except BedplateError as error:
        if any(words in str(error).lower() for words in ("no space left", "quota exceeded")):
            raise _full(folder) from error
        raise


def _full(folder: Path) -> BedplateError:
    return BedplateError(
        f"the disk of {folder} is full; the bundle is not finished",
        remedy="make room and run the same again: what has come is kept",
    )
