"""Where documents come from: a folder, or a bucket of an S3 store."""

import hashlib
import http.client
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from model_store.sigv4 import Credentials, headers

TIMEOUT = 60.0
OK = 200


class Unavailable(Exception):
    """The source does not answer as it should; nothing is concluded from what it did not say."""


class Source(Protocol):
    """Documents by name."""

    def documents(self) -> dict[str, str]:
        """Name to a tag that changes whenever the content does."""

    def read(self, name: str) -> bytes:
        """The content. Unavailable, or FileNotFoundError where it has vanished since."""


class Folder:
    """Every file below a folder, hidden ones left out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def documents(self) -> dict[str, str]:
        """A folder that is not there is no empty folder."""
        if not self.path.is_dir():
            raise Unavailable(f"{self.path} is not a folder")
        found = {}
        for file in sorted(self.path.rglob("*")):
            name = file.relative_to(self.path).as_posix()
            if (
                file.is_file()
                and not file.is_symlink()
                and not any(p.startswith(".") for p in name.split("/"))
            ):
                found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def read(self, name: str) -> bytes:
        """The file."""
        return (self.path / name).read_bytes()


class Bucket:
    """Every object below a prefix. Its ETag is the tag: it changes with the content."""

    def __init__(self, endpoint: str, region: str, bucket: str, prefix: str = "") -> None:
        self.url, self.bucket, self.prefix = urlsplit(endpoint), bucket, prefix
        self.credentials = Credentials(
            os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], region
        )

    def documents(self) -> dict[str, str]:
        """All pages of the list, or none of it."""
        found: dict[str, str] = {}
        token = ""
        while True:
            asked = {"list-type": "2", "prefix": self.prefix} | (
                {"continuation-token": token} if token else {}
            )
            status, body = self.ask(
                "GET", f"/{self.bucket}", urlencode(sorted(asked.items()), quote_via=quote)
            )
            if status != OK:
                raise Unavailable(f"the list of bucket {self.bucket} is refused: {status} {body[:200]!r}")
            page = ElementTree.fromstring(body)  # noqa: S314 - our own store's answer
            space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
            for entry in page.iter(f"{space}Contents"):
                key, tag, size = (entry.findtext(f"{space}{name}") or "" for name in ("Key", "ETag", "Size"))
                if not key.endswith("/"):
                    found[key.removeprefix(self.prefix)] = f"{tag}/{size}"
            token = page.findtext(f"{space}NextContinuationToken") or ""
            if page.findtext(f"{space}IsTruncated") != "true" or not token:
                return found

    def read(self, name: str) -> bytes:
        """The object."""
        status, body = self.ask("GET", f"/{self.bucket}/{self.prefix}{name}")
        if status == http.client.NOT_FOUND:
            raise FileNotFoundError(name)
        if status != OK:
            raise Unavailable(f"{name} is refused: {status} {body[:200]!r}")
        return body

    def write(self, bucket: str, key: str, body: bytes) -> None:
        """An object of ours, elsewhere."""
        status, said = self.ask("PUT", f"/{bucket}/{key}", body=body)
        if status != OK:
            raise Unavailable(f"{bucket}/{key} is refused: {status} {said[:200]!r}")

    def ask(self, method: str, path: str, query: str = "", body: bytes = b"") -> tuple[int, bytes]:
        """Status and body; Unavailable where nobody answers."""
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.url.netloc, timeout=TIMEOUT)
        path = quote(path)
        more: dict[str, str] = {}
        signed = headers(
            self.credentials,
            self.url.netloc,
            path,
            more,
            datetime.now(UTC),
            method=method,
            query=query,
            body=body,
        )
        try:
            connection.request(method, f"{path}?{query}" if query else path, body, dict(signed))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            raise Unavailable(f"{self.url.geturl()}: {error}") from error
        finally:
            connection.close()


def source(wanted: Mapping[str, Any]) -> "Folder | Bucket":
    """As the orders say."""
    if "folder" in wanted:
        return Folder(Path(wanted["folder"]))
    return Bucket(wanted["endpoint"], wanted["region"], wanted["bucket"], wanted.get("prefix", ""))
