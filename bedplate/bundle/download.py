"""Files over HTTP that go on where they were cut."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bedplate.errors import BedplateError

Say = Callable[[str], None]
PIECE = 1024**2
PATIENCE = 60  # seconds without a byte
_PARTIAL, _BEYOND = 206, 416


def download(url: str, target: Path, say: Say, remedy: str) -> None:
    """Fetch ``url`` into ``target``, after what is there of it. Raises BedplateError with ``remedy``."""
    begin = target.stat().st_size if target.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begin}-"} if begin else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - catalogue's addresses
            total = begin + int(answer.headers.get("Content-Length", 0))
            with target.open("ab" if answer.status == _PARTIAL else "wb") as file:
                while piece := answer.read(PIECE):
                    file.write(piece)
                    say(f"{url.rpartition('/')[2]} {file.tell() // PIECE} of {total // PIECE} MiB")
    except urllib.error.HTTPError as error:
        if error.code == _BEYOND:  # it is whole, or no part of this file: its digest tells
            return
        raise BedplateError(f"{url} cannot be had: {error}", remedy=remedy) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise BedplateError(
            f"{url} cannot be had: {getattr(error, 'reason', error)}", remedy=remedy
        ) from error
