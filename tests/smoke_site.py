"""A platform to be asked, small: stand-ins of the programs that speak HTTP and cannot be had here or are too
large, and the real PostgreSQL, Valkey, SeaweedFS and squid on loopback.

The stand-ins answer as the programs' documentation says. They do not show that vLLM, Triton, Milvus, Dify,
MLflow, Prometheus or Grafana answer so; they show that the probes tell a good answer from a bad one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bedplate.smoke.targets import SecretKey, Target
from bedplate.smoke.web import Address, Broken

KEY = "key-of-a-test"
Json = dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """Answers for all of them; ``server.mode`` names what is wrong."""

    server: "Server"

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, body: Json) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        status, found = self._found(path, body)
        if self.server.mode == "garbage":
            found = "<html>"
        if self.server.mode == "failing":
            status = 500
        text = (found if isinstance(found, str) else json.dumps(found)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _found(self, path: str, body: Json) -> tuple[int, Any]:
        if path.startswith("/v2/vectordb/"):
            return self._vectors(path.removeprefix("/v2/vectordb/"), body)
        if path in PAGES:
            return 200, PAGES[path]
        if path.endswith("/infer"):
            return 200, {
                "outputs": [{"name": "embedding", "shape": [1, 1024], "data": body["inputs"][0]["data"]}]
            }
        return OTHERS.get(path, Handler._unknown)(self, body)

    def _unknown(self, _: Json) -> tuple[int, Any]:
        return (200, {}) if self.path.endswith("/ready") else (404, {"message": "not found"})

    def _known(self, name: str, value: str) -> bool:
        return self.server.mode == "open" or self.headers.get(name) == value

    def chat(self, body: Json) -> tuple[int, Any]:
        if not self._known("Authorization", f"Bearer {KEY}"):
            return 401, {"error": "Unauthorized"}
        count = 0 if self.server.mode == "silent" else body["max_tokens"]
        return 200, {"choices": [{"message": {"content": "Yes."}}], "usage": {"completion_tokens": count}}

    def code(self, _: Json) -> tuple[int, Any]:
        if not self._known("X-Api-Key", KEY):
            return 401, {"code": -401, "message": "Unauthorized", "data": None}
        said = "41" if self.server.mode == "silent" else "42"
        return 200, {"code": 0, "message": "success", "data": {"stdout": f"{said}\n", "error": ""}}

    def step(self, _: Json) -> tuple[int, Any]:
        return 200, {"step": "not_started" if self.server.mode == "new" else "finished"}

    def stranger(self, _: Json) -> tuple[int, Any]:
        return (200, []) if self.server.mode == "open" else (401, {"message": "Unauthorized"})

    def up(self, _: Json) -> tuple[int, Any]:
        value = "0" if self.server.mode == "silent" else "1"
        return 200, {"data": {"result": [{"value": [0, value]}, {"value": [0, "0"]}]}}

    def _vectors(self, what: str, body: Json) -> tuple[int, Any]:
        if self.headers.get("Authorization") != f"Bearer dify:{KEY}":
            return 200, {"code": 1800, "message": "user hasn't authenticated"}
        name = body["collectionName"]
        if what == "entities/insert":
            self.server.rows[name] = body["data"]
        if what == "collections/drop":
            self.server.rows.pop(name, None)
        if what != "entities/search":
            return 200, {"code": 0, "data": {}}
        wanted = body["data"][0]

        def far(row: Json) -> float:
            return sum((a - b) ** 2 for a, b in zip(row["vector"], wanted, strict=True))

        rows = sorted(self.server.rows[name], key=far, reverse=self.server.mode == "silent")
        return 200, {"code": 0, "data": [{"id": rows[0]["id"], "distance": far(rows[0])}]}


PAGES: dict[str, Any] = {
    "/health": {"status": "ok", "version": "1.17.1"},
    "/health/check": {"status": "ok"},
    "/apps": "<html>apps</html>",
    "/-/healthy": "OK",
    "/api/health": {"database": "ok", "version": "13.1.3"},
    "/v2/health/ready": "",
}
OTHERS = {
    "/v1/chat/completions": Handler.chat,
    "/v1/sandbox/run": Handler.code,
    "/console/api/setup": Handler.step,
    "/api/2.0/mlflow/experiments/search": Handler.stranger,
    "/api/search": Handler.stranger,
    "/api/v1/query": Handler.up,
}


class Server(ThreadingHTTPServer):
    """One for everything that speaks HTTP."""

    daemon_threads = True

    def __init__(self, mode: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode, self.asked = mode, list[str]()
        self.rows: dict[str, list[Json]] = {}

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.server_address[1])


@contextmanager
def serve(mode: str = "") -> Iterator[Server]:
    """One on loopback, new."""
    with Server(mode) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


class Here:
    """Components of this machine by name; secrets by (name, key), the test's key where none is given."""

    def __init__(self, places: dict[str, Address], secrets: dict[tuple[str, str], str] | None = None) -> None:
        self._places, self._secrets = places, secrets or {}

    @contextmanager
    def address(self, target: Target) -> Iterator[Address]:
        if target.component not in self._places:
            raise Broken(f"{target.namespace}/{target.service} cannot be reached", "start it")
        yield self._places[target.component]

    def secret(self, key: SecretKey) -> str:
        return self._secrets.get((key.name, key.key), KEY)
