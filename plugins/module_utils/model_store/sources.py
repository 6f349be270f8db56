"""Where files come from: a folder, a mirror over HTTP, or an S3-compatible object store. All can begin in
the middle."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, Union
from urllib.parse import quote, urlsplit

from .model import StoreError
from .sigv4 import Credentials, headers

TIMEOUT = 30.0  # seconds in which a server has to say something
_OK, _PARTIAL, _NOT_FOUND, _TOO_FAR = 200, 206, 404, 416
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Absent(StoreError):
    """The source does not have this file."""


class Interrupted(StoreError):
    """The source failed in a way that may pass: worth another try."""


@dataclass
class Stream:
    """An open file of a source: ``begin`` is the offset of its first byte, ``total`` the size it claims, or
    None."""

    reader: Any
    begin: int
    total: int | None
    closes: tuple[Any, ...] = ()

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``; 0 at the end. Raises Interrupted."""
        try:
            return int(self.reader.readinto(buffer))
        except (OSError, http.client.HTTPException) as problem:
            raise Interrupted(f"the connection broke: {problem or type(problem).__name__}") from None

    def close(self) -> None:
        """Let go of file and connection."""
        for thing in (self.reader, *self.closes):
            thing.close()


@dataclass(frozen=True)
class FolderSource:
    """A folder of this host: a mounted share, a disk that was brought along."""

    root: Path

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(self.root)

    def open(self, path: str, offset: int) -> Stream:
        """Open a file at an offset. Raises Absent, Interrupted."""
        try:
            file: BinaryIO = (self.root / path).open("rb", buffering=0)
            total = file.seek(0, 2)
            begin = file.seek(min(offset, total))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise Absent(f"{self.name} has no {path}") from None
        except OSError as problem:
            raise Interrupted(f"{self.name}: {problem}") from None
        return Stream(file, begin, total)


@dataclass(frozen=True)
class WebSource:
    """A mirror over HTTP or HTTPS, or the bucket of an object store, whose requests are signed."""

    url: str
    token: str = ""
    ca: str = ""
    credentials: Credentials | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.url

    def open(self, path: str, offset: int) -> Stream:
        """Open a file at an offset; a server that knows no ranges begins at 0. Raises Absent, Interrupted."""
        connection = self._connect()
        try:
            response = self._ask(connection, path, offset)
            if (
                response.status == _TOO_FAR and offset
            ):  # what is here is longer than what is there: begin anew
                response.read()
                response = self._ask(connection, path, 0)
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise Interrupted(f"{self.name}: {problem or type(problem).__name__}") from None
        if response.status not in (_OK, _PARTIAL):
            connection.close()
            raise self._refused(response, path)
        begin, total = _extent(response)
        return Stream(response, begin, total, (connection,))

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
        context = ssl.create_default_context(cafile=self.ca or None)
        return http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=context)

    def _ask(
        self, connection: http.client.HTTPConnection, path: str, offset: int
    ) -> http.client.HTTPResponse:
        parts = urlsplit(self.url)
        target = f"{parts.path.rstrip('/')}/{quote(path, safe='/-_.~')}"
        wanted = {"range": f"bytes={offset}-"} if offset else {}
        if self.credentials:
            now = datetime.now(timezone.utc)  # noqa: UP017  Python 3.11's
            wanted = headers(self.credentials, parts.netloc, target, wanted, now)
        elif self.token:
            wanted["authorization"] = f"Bearer {self.token}"
        connection.request("GET", target, headers={"accept-encoding": "identity", **wanted})
        return connection.getresponse()

    def _refused(self, response: http.client.HTTPResponse, path: str) -> StoreError:
        said = f"{self.name} answers {response.status} {response.reason} to {path}"
        if response.status == _NOT_FOUND:
            return Absent(said)
        return Interrupted(said) if response.status in _TRANSIENT else StoreError(said)


Source = Union[FolderSource, WebSource]  # noqa: UP007  evaluated by Python 3.9


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Offset of the first byte, and the size of the whole file where it is said."""
    if response.status == _PARTIAL:
        found = _RANGE.fullmatch(response.getheader("content-range", "") or "")
        if not found:
            raise Interrupted("a partial answer does not say which part it is")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.getheader("content-length")
    return 0, int(length) if length and length.isdigit() else None


def source_of(words: Mapping[str, Any]) -> Source:
    """A source as an inventory writes it: ``url`` (file, http, https, s3), and what its kind needs. Raises
    ValueError."""
    url = str(words["url"])
    parts = urlsplit(url)
    ca = str(words.get("ca") or "")
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return FolderSource(Path(parts.path))
    if parts.scheme in ("http", "https") and parts.netloc:
        return WebSource(url.rstrip("/"), str(words.get("token") or ""), ca)
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError(f"{url} is no source: write file:///PATH, http(s)://HOST/PATH or s3://BUCKET/PREFIX")
    absent = [key for key in ("endpoint", "access_key", "secret_key") if not words.get(key)]
    if absent:
        raise ValueError(f"{url} needs {', '.join(absent)} besides")
    base = f"{str(words['endpoint']).rstrip('/')}/{parts.netloc}{parts.path.rstrip('/')}"
    region = str(words.get("region") or "us-east-1")
    return WebSource(base, "", ca, Credentials(str(words["access_key"]), str(words["secret_key"]), region))
