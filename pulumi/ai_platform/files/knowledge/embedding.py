"""Vectors of texts, from any server that speaks OpenAI's embeddings API."""

import http.client
import json
import os
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

BATCH = 32
TIMEOUT = 120.0
TRIES = 5
OK, BUSY, BROKEN = 200, 429, 500


class NoVectors(Exception):
    """The server refuses, or is away for longer than it is waited for."""


class Embedding:
    """One model behind one address. ``EMBEDDING_KEY`` of the environment is the key."""

    def __init__(self, url: str, model: str, dimensions: int) -> None:
        self.url, self.model, self.dimensions = urlsplit(url), model, dimensions

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """One for each, in order."""
        found: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            found += self._batch(texts[start : start + BATCH])
        return found

    def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        said = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(2.0**attempt, 30))
            try:
                status, body = self._post(
                    {"model": self.model, "input": list(texts), "encoding_format": "float"}
                )
            except OSError as error:
                said = str(error)
                continue
            said = f"{status} {body[:200]!r}"
            if status == OK:
                return self._checked(json.loads(body)["data"], len(texts))
            if status != BUSY and status < BROKEN:
                break
        raise NoVectors(f"{self.model} at {self.url.geturl()}: {said}")

    def _checked(self, data: list[dict[str, object]], wanted: int) -> list[list[float]]:
        ordered = sorted(data, key=lambda one: int(str(one["index"])))
        found = [[float(x) for x in one["embedding"]] for one in ordered]  # type: ignore[attr-defined]
        if len(found) != wanted or any(len(one) != self.dimensions for one in found):
            sizes = sorted({len(one) for one in found})
            raise NoVectors(
                f"{self.model} gives {len(found)} vectors of {sizes}, not {wanted} of {self.dimensions}"
            )
        return found

    def _post(self, document: object) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.url.netloc, timeout=TIMEOUT)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {os.environ['EMBEDDING_KEY']}",
        }
        try:
            connection.request("POST", f"{self.url.path}/embeddings", json.dumps(document), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
