"""Signature of a request to an S3-compatible object store (AWS Signature Version 4), with the standard
library only."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Access key, secret key and region of an object store."""

    access_key: str
    secret_key: str
    region: str


def headers(
    credentials: Credentials,
    host: str,
    path: str,
    extra: Mapping[str, str],
    now: datetime,
    *,
    method: str = "GET",
    query: str = "",
    body: bytes = b"",
) -> dict[str, str]:
    """All headers of a signed request for ``path`` (percent-encoded). ``query`` is percent-encoded and in the
    order of its names; ``now`` is UTC.

    Source: Signature Calculations for the Authorization Header, AWS S3 API reference.
    """
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    content = hashlib.sha256(body).hexdigest()
    fields = {"host": host, "x-amz-content-sha256": content, "x-amz-date": stamp}
    fields.update({name.lower(): value for name, value in extra.items()})
    names = ";".join(sorted(fields))
    listed = "".join(f"{name}:{fields[name].strip()}\n" for name in sorted(fields))
    request = "\n".join([method, path, query, listed, names, content])
    scope = f"{day}/{credentials.region}/s3/aws4_request"
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    scoped = f"Credential={credentials.access_key}/{scope}"
    fields["authorization"] = f"{_ALGORITHM} {scoped},SignedHeaders={names},Signature={signature}"
    return fields
