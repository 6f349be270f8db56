"""The few calls of the Kubernetes API that the rehearsal makes itself, with a client certificate, over
kept-alive connections. Objects are plain dictionaries as the API sends them."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bedplate.rehearse.pki import Pair

Object = dict[str, Any]
TIMEOUT = 30
WORKERS = 8


class ApiError(Exception):
    """An answer that is not a success; ``status`` is the HTTP code, 0 when there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Api:
    """The API server at ``port`` of 127.0.0.1, as one identity; usable from several threads."""

    def __init__(self, port: int, authority: Path, identity: Pair) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(authority))
        self._tls.load_cert_chain(identity.certificate, identity.key)
        self._local = threading.local()

    def get(self, path: str) -> Object:
        """One object or list. Raises ApiError."""
        return self._call("GET", path)

    def items(self, path: str) -> list[Object]:
        """All objects of a list."""
        items: list[Object] = self.get(path)["items"]
        return items

    def create(self, path: str, body: Object) -> Object:
        """Create an object in the collection ``path``; one that is there already is left as it is."""
        try:
            return self._call("POST", path, body)
        except ApiError as error:
            if error.status == http.client.CONFLICT:
                return body
            raise

    def create_all(self, path: str, bodies: Iterable[Object]) -> int:
        """Create many objects side by side; how many."""
        with ThreadPoolExecutor(WORKERS) as pool:
            return sum(1 for _ in pool.map(lambda body: self.create(path, body), bodies))

    def apply(self, path: str, body: Object) -> Object:
        """Server-side apply of an object at its own path."""
        return self._call(
            "PATCH", f"{path}?fieldManager=bedplate&force=true", body, "application/apply-patch+yaml"
        )

    def delete(self, path: str) -> None:
        """Delete an object; one that is gone already is fine."""
        try:
            self._call("DELETE", path)
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def everything(self) -> set[tuple[str, str, str]]:
        """(resource, namespace, name) of every object that can be listed, but events and leases."""
        found: set[tuple[str, str, str]] = set()
        groups = [f"/apis/{g['preferredVersion']['groupVersion']}" for g in self.get("/apis")["groups"]]
        for group in ["/api/v1", *groups]:
            for resource in self.get(group)["resources"]:
                name = resource["name"]
                if "list" in resource["verbs"] and "/" not in name and name not in ("events", "leases"):
                    listed = self.get(f"{group}/{name}")
                    metadata = (item.get("metadata", {}) for item in listed.get("items") or [])
                    found |= {(name, m.get("namespace", ""), m["name"]) for m in metadata if "name" in m}
        return found

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self._raw("GET", "/readyz", None, "")[0] == http.client.OK
        except ApiError:
            return False

    def _call(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        status, content = self._raw(method, path, json.dumps(body) if body is not None else None, kind)
        answer: Object = json.loads(content) if content[:1] == b"{" else {}
        if status >= http.client.BAD_REQUEST:
            raise ApiError(status, answer.get("message", content.decode(errors="replace")))
        return answer

    def _raw(self, method: str, path: str, body: str | None, kind: str) -> tuple[int, bytes]:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        fresh = connection is None
        if connection is None:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=TIMEOUT, context=self._tls
            )
            self._local.connection = connection
        try:
            connection.request(method, path, body, {"Content-Type": kind} if body is not None else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._local.connection = None
            if fresh:
                raise ApiError(0, str(error)) from error
            return self._raw(method, path, body, kind)  # the server had closed it; every call may be repeated
