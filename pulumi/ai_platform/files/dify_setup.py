"""Bring a Dify to what the inventory says: first administrator, plugins, models, defaults. Run as often as
you like; what is as it should be is left alone.

Usage: dify_setup.py CONFIG.json. Secrets come in the environment (DIFY_INIT_PASSWORD, DIFY_ADMIN_PASSWORD,
MODELS_KEY, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and are never printed. Ends with 0 when everything is
done, 1 when something can never work, 2 when time is up; what is not ready yet (a model that still loads) is
tried again until then.
"""

import base64
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import sigv4  # type: ignore[import-not-found]  # beside this file where it runs

PATIENCE = 60  # seconds for one call: Dify asks the model itself before it takes its credentials
PAUSE = 15
WORKSPACE = "/workspaces/current"
MARK = "bedplate-"  # credentials whose name begins so are ours
UNAUTHORIZED, SERVER_ERROR = 401, 500
HOPELESS = 1
OUT_OF_TIME = 2

Body = dict[str, Any]
Step = tuple[str, Callable[[], str]]  # what is to be done, and how


class Hopeless(Exception):
    """Trying again would change nothing."""


class NotYet(Exception):
    """May work later."""


class Dify:
    """Dify's console API as one person sees it. Cookies are kept by hand: they are marked for HTTPS, without
    which it is spoken to inside the cluster."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._cookies: dict[str, str] = {}

    def call(self, path: str, body: object = None, *, method: str = "", package: bytes = b"") -> Body:
        """One call; ``package`` is sent as a file. Raises NotYet where nothing answers or the server fails,
        HTTPError where it refuses."""
        headers = {"Accept": "application/json"} | self._identity()
        data = None
        if package:
            data, headers["Content-Type"] = form(package)
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        wanted = method or ("GET" if data is None else "POST")
        request = Request(f"{self._address}/console/api{path}", data, headers, method=wanted)  # noqa: S310
        try:
            with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - our own service
                self._remember(answer.headers.get_all("Set-Cookie") or [])
                found: Body = json.loads(answer.read() or b"{}")
                return found
        except HTTPError as error:
            if error.code >= SERVER_ERROR:
                raise NotYet(f"{path}: {error.code}") from error
            raise
        except OSError as error:
            raise NotYet(f"{path}: {error}") from error

    def _identity(self) -> dict[str, str]:
        known = [value for name, value in self._cookies.items() if name.endswith("csrf_token")]
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return ({"Cookie": cookies} if cookies else {}) | ({"X-CSRF-Token": known[0]} if known else {})

    def _remember(self, lines: list[str]) -> None:
        for line in lines:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value.strip()


def form(package: bytes) -> tuple[bytes, str]:
    """A file as a form has it, and the form's type."""
    edge = uuid.uuid4().hex
    head = f'--{edge}\r\nContent-Disposition: form-data; name="pkg"; filename="plugin.difypkg"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    whole = head.encode() + package + f"\r\n--{edge}--\r\n".encode()
    return whole, f"multipart/form-data; boundary={edge}"


def administrator(dify: Dify, person: Body) -> str:
    """The first administrator, who logs in. Only this job knows the password that makes anybody the first."""
    done = "is there"
    if dify.call("/setup")["step"] != "finished":
        told(dify, "/init", {"password": os.environ["DIFY_INIT_PASSWORD"]}, "dify-init-password")
        dify.call("/setup", person | {"password": os.environ["DIFY_ADMIN_PASSWORD"]})
        done = "is made"
    coded = base64.b64encode(os.environ["DIFY_ADMIN_PASSWORD"].encode()).decode()
    told(dify, "/login", {"email": person["email"], "password": coded}, "dify-admin-password")
    rights = {"install_permission": "admins", "debug_permission": "noone"}
    dify.call(f"{WORKSPACE}/plugin/permission/change", rights)
    return done


def told(dify: Dify, path: str, body: Body, secret: str) -> None:
    """A call that a wrong password ends for good: Dify locks an account that is tried too often."""
    try:
        dify.call(path, body)
    except HTTPError as error:
        raise Hopeless(f"Dify refuses the password of the stack's secret {secret} ({error.code})") from error


def plugin(dify: Dify, package: bytes) -> str:
    """A package installed, in place of another version of the same plugin."""
    wanted = dify.call(f"{WORKSPACE}/plugin/upload/pkg", package=package)["unique_identifier"]
    installed = dify.call(f"{WORKSPACE}/plugin/list?page=1&page_size=256")["plugins"]
    if any(one["plugin_unique_identifier"] == wanted for one in installed):
        return "is there"
    for one in installed:
        if one["plugin_unique_identifier"].partition(":")[0] == wanted.partition(":")[0]:
            dify.call(f"{WORKSPACE}/plugin/uninstall", {"plugin_installation_id": one["installation_id"]})
    task = dify.call(f"{WORKSPACE}/plugin/install/pkg", {"plugin_unique_identifiers": [wanted]})
    while not task.get("all_installed"):
        time.sleep(min(PAUSE, 2))
        state = dify.call(f"{WORKSPACE}/plugin/tasks/{task['task_id']}")["task"]
        if state["status"] == "failed":
            raise NotYet("; ".join(str(p.get("message")) for p in state.get("plugins", [])))
        task = task | {"all_installed": state["status"] == "success"}
    return "is installed"


def model(dify: Dify, provider: str, entry: Body) -> str:
    """A model of ours, offered in Dify. The name of its credentials tells whether they are still right."""
    credentials = entry["credentials"] | {"api_key": os.environ["MODELS_KEY"]}
    text = json.dumps(credentials, sort_keys=True).encode()
    name = MARK + hashlib.sha256(text).hexdigest()[:8]
    place = f"{WORKSPACE}/model-providers/{provider}/models/credentials"
    kind = {"model": entry["model"], "model_type": entry["type"]}
    known = dify.call(f"{place}?{urlencode(kind)}").get("available_credentials") or []
    ours = [one for one in known if one["credential_name"].startswith(MARK)]
    if any(one["credential_name"] == name for one in ours):
        return "is there"
    body = kind | {"name": name, "credentials": credentials}
    if ours:
        dify.call(place, body | {"credential_id": ours[0]["credential_id"]}, method="PUT")
        return "is changed"
    dify.call(place, body)
    return "is offered"


def default(dify: Dify, provider: str, kind: str, name: str) -> str:
    """The model that is taken where nobody chose one; what people chose meanwhile stays."""
    if dify.call(f"{WORKSPACE}/default-model?model_type={kind}").get("data"):
        return "is chosen"
    chosen = {"model_type": kind, "provider": provider, "model": name}
    dify.call(f"{WORKSPACE}/default-model", {"model_settings": [chosen]})
    return "is set"


def fetch(store: Body, name: str) -> bytes:
    """A package out of the object store."""
    url = urlsplit(store["endpoint"])
    path = quote(f"/{store['bucket']}/{store['folder']}/{name}")
    keys = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    signed = sigv4.headers(sigv4.Credentials(*keys, store["region"]), url.netloc, path, {}, datetime.now(UTC))
    try:
        with urlopen(Request(f"{store['endpoint']}{path}", headers=signed), timeout=PATIENCE) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found
    except OSError as error:
        raise NotYet(f"{name} cannot be fetched: {error}") from error


def bring(dify: Dify, store: Body, name: str) -> str:
    """A plugin out of the object store into Dify."""
    return plugin(dify, fetch(store, name))


def steps(dify: Dify, config: Body) -> Iterator[Step]:
    """Everything that is to be done, in this order."""
    provider = config["provider"]
    yield "administrator", partial(administrator, dify, config["administrator"])
    for name in config["plugins"]:
        yield f"plugin {name}", partial(bring, dify, config["store"], name)
    for entry in config["models"]:
        yield f"model {entry['model']}", partial(model, dify, provider, entry)
    for kind, name in config["defaults"].items():
        yield f"default {kind}", partial(default, dify, provider, kind, name)


def attempt(left: list[Step]) -> list[Step]:
    """Do what can be done now; what is left. Without the first step the others have no right to anything."""
    undone: list[Step] = []
    for place, (what, do) in enumerate(left):
        try:
            say(f"{what}: {do()}")
        except (NotYet, HTTPError) as error:
            said = error.read().decode(errors="replace")[:300] if isinstance(error, HTTPError) else ""
            say(f"{what}: not yet ({error} {said})".replace("\n", " "))
            undone.append((what, do))
            if what == "administrator" or getattr(error, "code", 0) == UNAUTHORIZED:
                return undone + left[place + 1 :]
    return undone


def say(text: str) -> None:
    """One line of the job's log, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(file: str) -> int:
    """Everything, until it is done or time is up."""
    config = json.loads(Path(file).read_text())
    deadline = time.monotonic() + config["seconds"]
    left = list(steps(Dify(config["address"]), config))
    while True:
        try:
            left = attempt(left)
        except Hopeless as error:
            say(f"given up: {error}")
            return HOPELESS
        if not left:
            return 0
        if time.monotonic() > deadline:
            say(f"time is up; not done: {', '.join(what for what, _ in left)}")
            return OUT_OF_TIME
        time.sleep(config.get("pause", PAUSE))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
