"""A stand-in for Dify's console API: the calls that the set-up makes, with the answers and refusals that its
source describes (api/controllers/console of 1.17). It keeps what it is told, so that a test can look.

It does not show that the real Dify takes these calls, nor what a real plugin says to credentials: no registry
carries Dify's programs. The object store of plugins' packages is part of it, and verifies signatures."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from model_store import sigv4

INIT, PASSWORD, KEY = "init-password-of-a-test", "Adm1n-password-of-a-test", "models-key-of-a-test"
STORE = sigv4.Credentials("dify-plugin", "store-key-of-a-test", "us-east-1")
LOCKED_AFTER = 5  # log-ins with a wrong password
Json = dict[str, Any]


@dataclass
class State:
    """What this Dify knows, and how it behaves."""

    administrator: Json = field(default_factory=dict)
    permission: Json = field(default_factory=dict)
    plugins: list[Json] = field(default_factory=list)
    models: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    defaults: dict[str, Json] = field(default_factory=dict)
    packages: dict[str, bytes] = field(default_factory=dict)
    loading: int = 0  # how many more times a model's credentials are refused, because it still loads
    failing: int = 0  # how many more calls end with 503
    wrong: int = 0  # log-ins with a wrong password
    calls: list[str] = field(default_factory=list)


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        state, url = self.server.state, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            state.calls.append(f"{self.command} {url.path}")
            try:
                if state.failing:
                    state.failing -= 1
                    raise Refused(503, "not up yet")
                if url.path.startswith("/dify-plugin/"):
                    return self._send(200, self._object(state, url.path), [])
                found, cookies = self._console(state, url.path, parse_qs(url.query), raw)
                self._send(200, json.dumps(found).encode(), cookies)
            except Refused as error:
                self._send(error.code, json.dumps({"message": str(error)}).encode(), [])

    def _send(self, code: int, body: bytes, cookies: list[str]) -> None:
        self.send_response(code)
        for cookie in cookies:
            self.send_header("Set-Cookie", f"{cookie}; Secure; HttpOnly; Path=/; SameSite=Lax")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _object(self, state: State, path: str) -> bytes:
        host = self.headers["Host"]
        stamp = datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expected = sigv4.headers(STORE, host, path, {}, stamp)["authorization"]
        if self.headers["authorization"] != expected:
            raise Refused(403, "SignatureDoesNotMatch")
        name = path.removeprefix("/dify-plugin/packages/")
        if name not in state.packages:
            raise Refused(404, "NoSuchKey")
        return state.packages[name]

    def _console(self, state: State, path: str, query: Any, raw: bytes) -> tuple[Json, list[str]]:
        path = path.removeprefix("/console/api")
        if path in OPEN:
            return OPEN[path](self, state, raw)
        cookies = dict(c.strip().split("=", 1) for c in self.headers.get("Cookie", "").split(";") if "=" in c)
        token = cookies.get("__Host-csrf_token", "")
        if not token or cookies.get("__Host-access_token") != "granted":
            raise Refused(401, "Unauthorized")
        if self.headers.get("X-CSRF-Token") != token:
            raise Refused(401, "CSRF token is missing or invalid.")
        return workspace(state, self.command, path.removeprefix("/workspaces/current"), query, raw), []

    def set_up(self, state: State, raw: bytes) -> tuple[Json, list[str]]:
        if self.command == "GET":
            return {"step": "finished" if state.administrator else "not_started"}, []
        if state.administrator or "session=validated" not in self.headers.get("Cookie", ""):
            raise Refused(403, "already set up, or not validated")
        state.administrator = json.loads(raw)
        return {"result": "success"}, []

    def init(self, state: State, raw: bytes) -> tuple[Json, list[str]]:
        given = json.loads(raw)["password"]
        if given != INIT or len(given) > 30:
            raise Refused(401, "The password is incorrect. Please check the password and try again.")
        return {"result": "success"}, ["session=validated"]

    def login(self, state: State, raw: bytes) -> tuple[Json, list[str]]:
        body = json.loads(raw)
        given = base64.b64decode(body["password"]).decode()
        known = (state.administrator.get("email"), state.administrator.get("password"))
        if (body["email"], given) != known or state.wrong >= LOCKED_AFTER:
            state.wrong += 1
            raise Refused(401, "Invalid email or password.")
        return {"result": "success"}, ["__Host-access_token=granted", "__Host-csrf_token=seal"]


OPEN = {"/setup": Handler.set_up, "/init": Handler.init, "/login": Handler.login}


def workspace(state: State, method: str, path: str, query: Any, raw: bytes) -> Json:
    """Calls of somebody who has logged in."""
    if path.startswith("/plugin/"):
        return plugins(state, path, raw)
    if path == "/default-model":
        return default_model(state, method, query, raw)
    assert (
        path == "/model-providers/langgenius/openai_api_compatible/openai_api_compatible/models/credentials"
    )
    return models(state, method, query, raw)


def plugins(state: State, path: str, raw: bytes) -> Json:
    if path == "/plugin/permission/change":
        state.permission = json.loads(raw)
        return {"success": True}
    if path == "/plugin/upload/pkg":
        package = raw.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
        if not package.startswith(b"signed "):
            raise Refused(400, "plugin verification has been enabled, and the plugin has a bad signature")
        name, version = package.split()[1].decode().split(":")
        return {"unique_identifier": f"{name}:{version}@{hashlib.sha256(package).hexdigest()}"}
    if path == "/plugin/list":
        return {"plugins": state.plugins}
    if path == "/plugin/uninstall":
        gone = json.loads(raw)["plugin_installation_id"]
        state.plugins = [one for one in state.plugins if one["installation_id"] != gone]
        return {"success": True}
    if path == "/plugin/install/pkg":
        [identifier] = json.loads(raw)["plugin_unique_identifiers"]
        if any(
            p["plugin_unique_identifier"].split(":")[0] == identifier.split(":")[0] for p in state.plugins
        ):
            raise Refused(400, "plugin has already been installed")
        state.plugins.append({"plugin_unique_identifier": identifier, "installation_id": identifier[-8:]})
        return {"all_installed": False, "task_id": "task"}
    return {"task": {"status": "success", "plugins": []}}


def models(state: State, method: str, query: Any, raw: bytes) -> Json:
    if method == "GET":
        known = state.models.get((query["model"][0], query["model_type"][0]), [])
        named = [{k: one[k] for k in ("credential_id", "credential_name")} for one in known]
        return {"credentials": {}, "available_credentials": named}
    body = json.loads(raw)
    if not state.plugins:
        raise Refused(400, "Provider langgenius/openai_api_compatible does not exist.")
    if state.loading:
        state.loading -= 1
        raise Refused(400, "Credentials validation failed: Connection refused")
    known = state.models.setdefault((body["model"], body["model_type"]), [])
    if method == "POST":
        known.append({"credential_id": f"id-{len(known)}"})
    chosen = (
        known[-1]
        if method == "POST"
        else next(o for o in known if o["credential_id"] == body["credential_id"])
    )
    chosen |= {"credential_name": body["name"], "credentials": body["credentials"]}
    return {"result": "success"}


def default_model(state: State, method: str, query: Any, raw: bytes) -> Json:
    if method == "GET":
        return {"data": state.defaults.get(query["model_type"][0])}
    for chosen in json.loads(raw)["model_settings"]:
        state.defaults[chosen["model_type"]] = chosen
    return {"result": "success"}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state, self.lock = State(), threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve() -> Iterator[Server]:
    """One on loopback, new."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
