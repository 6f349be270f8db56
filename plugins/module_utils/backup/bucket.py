"""Buckets of an S3-compatible object store: mirrored into a folder, each object by the hash of its key."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from model_store.sigv4 import Credentials, headers

from .kind import Compared, Kind, Place, digest
from .plan import Item
from .problem import BackupError, explain

INDEX = "index.json"  # {key: {file, size, etag, sha256, headers}}
_KEPT = ("content-type", "content-encoding", "content-disposition", "cache-control")
_META = "x-amz-meta-"
_TIMEOUT = 60.0
_BLOCK = 1 << 20


class Bucket(Kind):
    """The copy stays between two runs, so that only what changed is fetched."""

    def collect(self, item: Item, stage: Path) -> None:
        """Make the copy what the bucket is now."""
        store = Store.of(item)
        known = _index(stage)
        index: dict[str, Any] = {}
        for key, entry in store.objects():
            before = known.get(key, {})
            same = (before.get("size"), before.get("etag")) == (entry["size"], entry["etag"])
            index[key] = (
                before if same and (stage / before["file"]).is_file() else _fetch(store, key, entry, stage)
            )
        for name in {entry["file"] for entry in known.values()} - {entry["file"] for entry in index.values()}:
            (stage / name).unlink(missing_ok=True)
        stage.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = stage / f".{INDEX}"
        partial.write_text(json.dumps(index, indent=1, sort_keys=True), encoding="utf-8")
        partial.replace(stage / INDEX)

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Hold every object against the index, and those that are still in the bucket against it."""
        index, wrong, changed = _index(restored), [], 0
        for key, entry in index.items():
            file = restored / entry["file"]
            if not file.is_file() or digest(file) != entry["sha256"]:
                wrong.append(f"{key} has another content")
        now = dict(Store.of(item).objects())
        for key, entry in now.items():
            if key not in index or index[key]["etag"] != entry["etag"]:
                late = entry["modified"] >= place.time
                changed += late
                wrong += [] if late else [f"{key} was not backed up"]
        changed += len(set(index) - set(now))
        return Compared(len(index), sum(entry["size"] for entry in index.values()), tuple(wrong), changed)

    def load(self, item: Item, restored: Path, words: Mapping[str, str]) -> str:
        """Put every object into the bucket, or into another one (``bucket``), with its type and metadata."""
        store = Store.of(Item(item.name, item.kind, {**item.words, **words}))
        index = _index(restored)
        there = {key: entry["etag"] for key, entry in store.objects()}
        for key, entry in index.items():
            if there.get(key) != entry["etag"]:
                store.put(key, (restored / entry["file"]).read_bytes(), entry["headers"])
        return f"{len(index)} objects are in {store.bucket}"


def _credentials(file: str) -> tuple[str, str]:
    """Access key and secret key: two words in a file, or else in the environment, as a pod has them."""
    try:
        if not file:
            return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        key, secret = Path(file).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        raise BackupError(f"{file} does not hold an access key and a secret key") from None
    except KeyError as error:
        raise BackupError(f"{error.args[0]} is not set", "name a credentials_file") from None
    return key, secret


def _index(folder: Path) -> dict[str, Any]:
    file = folder / INDEX
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _fetch(store: Store, key: str, entry: Mapping[str, Any], stage: Path) -> dict[str, Any]:
    """One object into its file; its entry in the index."""
    name = hashlib.sha256(key.encode()).hexdigest()
    file = stage / name[:2] / name
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = store.get(key, file)
    if file.stat().st_size != entry["size"]:
        raise BackupError(f"object {key} changed while it was read", "it is read again in the next run")
    return {
        "file": str(file.relative_to(stage)),
        "size": entry["size"],
        "etag": entry["etag"],
        "sha256": digest(file),
        "headers": kept,
    }


@dataclass(frozen=True)
class Store:
    """One bucket of an object store."""

    endpoint: str
    bucket: str
    credentials: Credentials
    ca: str = ""

    @classmethod
    def of(cls, item: Item) -> Store:
        """The bucket that an item names; its credentials lie in a file or in the environment."""
        key, secret = _credentials(str(item.words.get("credentials_file", "")))
        region = str(item.words.get("region", "us-east-1"))
        words = (str(item.words["endpoint"]).rstrip("/"), str(item.words["bucket"]))
        return cls(*words, Credentials(key, secret, region), str(item.words.get("ca", "")))

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Keys with size, etag and time, a page at a time (ListObjectsV2)."""
        token = ""
        while True:
            query = {"list-type": "2", "max-keys": "1000", **({"continuation-token": token} if token else {})}
            answer = self._ask("GET", "", query=query)
            root = ElementTree.fromstring(answer.read())  # noqa: S314  our own object store
            answer.close()
            space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
            for found in root.iter(f"{space}Contents"):
                words = {child.tag.replace(space, ""): child.text or "" for child in found}
                yield (
                    words["Key"],
                    {
                        "size": int(words["Size"]),
                        "etag": words["ETag"].strip('"'),
                        "modified": datetime.fromisoformat(words["LastModified"][:19] + "+00:00"),
                    },
                )
            token = root.findtext(f"{space}NextContinuationToken") or ""
            if not token:
                return

    def get(self, key: str, into: Path) -> dict[str, str]:
        """Fetch an object into a file; the headers that belong to it."""
        answer = self._ask("GET", key)
        partial = into.with_name(f".{into.name}")
        with partial.open("wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
        partial.replace(into)
        found = {name.lower(): value for name, value in answer.getheaders()}
        return {name: value for name, value in found.items() if name in _KEPT or name.startswith(_META)}

    def put(self, key: str, body: bytes, kept: Mapping[str, str]) -> None:
        """Write an object."""
        self._ask("PUT", key, body=body, extra=kept).read()

    def _ask(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        extra: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """A signed request. Raises BackupError for anything but success."""
        parts = urlsplit(self.endpoint)
        path = f"{parts.path}/{self.bucket}{'/' + quote(key, safe='/-_.~') if key else ''}"
        asked = "&".join(f"{k}={quote(v, safe='-_.~')}" for k, v in sorted((query or {}).items()))
        now = datetime.now(timezone.utc)  # noqa: UP017  Python 3.11's
        how = {"method": method, "query": asked}
        signed = headers(self.credentials, parts.netloc, path, extra or {}, now, body=body, **how)
        try:
            connection = _connection(parts.scheme, parts.netloc, self.ca)
            connection.request(
                method, f"{path}?{asked}" if asked else path, body=body or None, headers=signed
            )
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise explain(f"bucket {self.bucket}", str(error)) from None
        if answer.status != http.client.OK:
            said = answer.read(2000).decode(errors="replace")
            raise explain(
                f"bucket {self.bucket}", f"{answer.status} {answer.reason} ({answer.status}) {said}"
            )
        return answer


def _connection(scheme: str, place: str, ca: str) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(place, timeout=_TIMEOUT)
    context = ssl.create_default_context(cafile=ca or None)
    return http.client.HTTPSConnection(place, timeout=_TIMEOUT, context=context)
