"""Make the buckets, then try the store: what it answers now is what Milvus, Dify and backups build upon.

The gate: write, read, list, delete; a large object in parts; and many writers who each want to be the first
to write one key (If-None-Match: *), of whom exactly one may succeed, again and again. A store that lets two
win loses data of whoever keeps a log in it. Everything may be done again.

Environment: S3_ENDPOINT, S3_REGION, S3_BUCKETS, S3_GATE, S3_TRIES, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY;
S3_PATIENCE is for how many seconds a store that is late is waited for.
"""

import http.client
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from model_store.sigv4 import Credentials, headers

ROUNDS = 20
PART = 5 << 20  # the least that S3 takes, but for the last
OK, NO_CONTENT, BROKEN, CONFLICTS = 200, 204, 500, (409, 412)
SAY = 30  # seconds between words about waiting
TIMEOUT = 30.0


class Store:
    """An S3 endpoint and who we are there."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        self.url, self.credentials = urlsplit(endpoint), credentials

    def ask(
        self, method: str, path: str, query: str = "", body: bytes = b"", extra: Mapping[str, str] = {}
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers of one request; OSError where nobody answers."""
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.url.netloc, timeout=TIMEOUT)
        path = quote(path)
        signed = headers(
            self.credentials,
            self.url.netloc,
            path,
            extra,
            datetime.now(UTC),
            method=method,
            query=query,
            body=body,
        )
        try:
            connection.request(method, f"{path}?{query}" if query else path, body, dict(signed))
            answer = connection.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()


def wait(store: Store, patience: float) -> None:
    """Until the store answers; a dependency that is late is no error."""
    end, said = time.monotonic() + patience, 0.0
    while True:
        try:
            status, text, _ = store.ask("GET", "/")
            if status < BROKEN:
                return
        except OSError as error:
            text = str(error).encode()
        if time.monotonic() > end:
            raise SystemExit(f"no object store after {patience:.0f} s: {text[:200]!r}")
        if time.monotonic() - said > SAY:
            said = time.monotonic()
            print(f"waiting for {store.url.geturl()}", flush=True)
        time.sleep(2)


def make(store: Store, bucket: str) -> str:
    """The bucket, made or found."""
    status, text, _ = store.ask("HEAD", f"/{bucket}")
    if status == OK:
        return "is there"
    status, text, _ = store.ask("PUT", f"/{bucket}")
    if status not in (OK, 409):
        raise SystemExit(f"bucket {bucket} cannot be made: {status} {text[:300]!r}")
    return "made"


def round_trip(store: Store, bucket: str) -> None:
    """What is written is read back and listed at once, and is gone when it is deleted."""
    key, content = f"/{bucket}/{uuid.uuid4().hex}", os.urandom(1000)
    expect("PUT", store.ask("PUT", key, body=content)[0], OK)
    status, read, _ = store.ask("GET", key)
    expect("GET", (status, read == content), (OK, True))
    listed = store.ask("GET", f"/{bucket}", query="list-type=2")[1].decode()
    expect("LIST after PUT", key.rpartition("/")[2] in listed, True)
    expect("DELETE", store.ask("DELETE", key)[0], NO_CONTENT)
    expect("GET after DELETE", store.ask("GET", key)[0], 404)
    listed = store.ask("GET", f"/{bucket}", query="list-type=2")[1].decode()
    expect("LIST after DELETE", key.rpartition("/")[2] in listed, False)


def in_parts(store: Store, bucket: str) -> None:
    """An object of two parts."""
    key, parts = f"/{bucket}/{uuid.uuid4().hex}", [os.urandom(PART), b"the end"]
    status, text, _ = store.ask("POST", key, query="uploads=")
    expect("POST uploads", status, OK)
    answer = ElementTree.fromstring(text)  # noqa: S314 - our own store's
    upload = next(e.text for e in answer.iter() if e.tag.endswith("UploadId"))
    done = ""
    for number, content in enumerate(parts, 1):
        status, _, answered = store.ask(
            "PUT", key, f"partNumber={number}&uploadId={quote(str(upload))}", content
        )
        expect("PUT part", status, OK)
        done += f"<Part><PartNumber>{number}</PartNumber><ETag>{answered['etag']}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{done}</CompleteMultipartUpload>".encode()
    expect("POST complete", store.ask("POST", key, f"uploadId={quote(str(upload))}", body)[0], OK)
    status, read, _ = store.ask("GET", key)
    expect("GET of parts", (status, read == b"".join(parts)), (OK, True))
    store.ask("DELETE", key)


def race(store: Store, bucket: str, writers: int) -> list[int]:
    """How many of ``writers`` won, for each round; a right store says 1 every time, and keeps what the winner
    wrote."""
    won = []
    with ThreadPoolExecutor(writers) as pool:
        for _ in range(ROUNDS):
            key = f"/{bucket}/{uuid.uuid4().hex}"

            def write(number: int, key: str = key) -> int:
                return store.ask("PUT", key, body=str(number).encode(), extra={"if-none-match": "*"})[0]

            statuses = list(pool.map(write, range(writers)))
            winners = [number for number, status in enumerate(statuses) if status == OK]
            others = {status for status in statuses if status != OK}
            expect("answers to those who came late", others <= set(CONFLICTS), True)
            kept = store.ask("GET", key)[1].decode()
            won.append(len(winners) if kept in map(str, winners) else 0)
            store.ask("DELETE", key)
    return won


def expect(what: str, found: object, wanted: object) -> None:
    """End with what is wrong."""
    if found != wanted:
        raise SystemExit(f"the store fails the gate: {what} gave {found}, not {wanted}")


def main() -> None:
    """Everything, in order; prints one JSON document."""
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    store = Store(os.environ["S3_ENDPOINT"], Credentials(key, secret, os.environ["S3_REGION"]))
    wait(store, float(os.environ.get("S3_PATIENCE", "900")))
    buckets = {bucket: make(store, bucket) for bucket in os.environ["S3_BUCKETS"].split()}
    gate = os.environ["S3_GATE"]
    make(store, gate)
    round_trip(store, gate)
    in_parts(store, gate)
    won = race(store, gate, int(os.environ["S3_TRIES"]))
    print(json.dumps({"buckets": buckets, "winners": won}))
    if set(won) != {1}:
        sys.exit("the store fails the gate: conditional writes are not atomic")


if __name__ == "__main__":
    main()
