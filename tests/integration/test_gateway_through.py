"""The whole way in: nginx with a client's certificate, then Envoy over TLS, then Dify or a model.

Real: nginx, Envoy, the gate and Valkey, with what inventories/lab and its platform render. Stand-ins: Dify's
programs and the model server, which write down what they see; node ports and pods are loopback here (who
reaches a node port is shown in test_firewall_node_ports.py). Nothing is shown of Dify's own answers."""

import json
import re
import shutil
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ai_platform import dify_site
from ai_platform.reading import read
from bedplate import evidence, paths
from bedplate.api.envoy import Listener
from bedplate.gateway.lab import Lab
from bedplate.inventory import Inventory, load
from bedplate.ports import free_port
from bedplate.service_certificate import bundle
from plugins.filter.gateway import gateway_files, gateway_upstreams
from tests.api_site import ALPHA, QUESTION, gateway
from tests.api_upstream import Model, model
from tests.gateway_client import request, send, status
from tests.gateway_upstream import GAP, TOKENS, Upstream, upstream

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
COMMAND = "pytest tests/integration/test_gateway_through.py"
NAME, DIFY = "ai.lab.example.internal", "dify.lab.example.internal"
SERVICE = "gateway.gateway.svc"
PAUSE = 0.2  # seconds between two words of the model
PROGRAMS = {"dify-api": "api", "dify-web": "web", "dify-plugin-daemon": "plugins"}


@dataclass
class Site:
    """Everything of one run; ``alice`` is a person's certificate, ``robot`` a program's."""

    nginx: Lab
    stranger: Lab  # a gateway that was given another certificate for the same port
    rotating: Lab  # one that was given the next certificate beside this one
    alice: Path
    robot: Path
    model: Model
    api: Upstream
    web: Upstream
    plugins: Upstream

    def seen(self) -> int:
        """Requests that came through to anything."""
        return sum(len(one.seen) for one in (self.model, self.api, self.web, self.plugins))

    def ask(self, host: str, path: str, pair: Path | None = None, **more: Any) -> bytes:
        return send(self.nginx, pair or self.alice, request(path, host=host, **more), host)


def record(name: str, claim: str, value: float, goal: str, unit: str = "") -> None:
    told: dict[str, Any] = {"proved_on": "program", "command": COMMAND} | ({"unit": unit} if unit else {})
    evidence.record("lab", f"gateway.through.{name}", claim, value, goal=goal, **told)


def nginx(folder: Path, inventory: Inventory, port: int, certificate: str) -> Lab:
    """The lab's gateway, whose only node of Kubernetes is loopback, as the role's filters make it."""
    values = {k: v for k, v in inventory.hosts["lab-ctl1"].items() if k.startswith("nginx_gateway_")}
    (folder / "platform").mkdir(parents=True)
    (folder / "platform/gateway.crt").write_text(certificate)
    files = gateway_files(values["nginx_gateway_upstreams"], str(folder), str(folder))
    for file in files:
        Path(file["path"]).write_text(file["content"])
        assert "PRIVATE" not in file["content"]
    here = {"lab-ctl1": {"vlan_network_addresses": {"cluster": "127.0.0.1"}}}
    nodes = {"kubernetes": ["lab-ctl1"]}
    behind = gateway_upstreams(values["nginx_gateway_upstreams"], files, nodes, here, port)
    return Lab(folder, **values | {"nginx_gateway_upstreams": behind})


def outside(folder: Path, inventory: Inventory, programs: dict[str, Upstream], pair: str) -> Listener:
    """The listener that the platform renders, but for where its files and Dify's programs are."""
    file = folder / "outside.pem"
    file.write_text(pair)
    settings = read(inventory)
    assert settings.dify
    site = dify_site.site(settings, settings.dify)
    moved = tuple(replace(p, host="127.0.0.1", port=programs[PROGRAMS[p.name]].port) for p in site.programs)
    port, sites = free_port(), (replace(site, programs=moved),)
    return Listener("outside", port, str(file), str(file), 1, sites)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, inventory = tmp_path_factory.mktemp("through"), load(paths.INVENTORIES / "lab")
    with ExitStack() as stack:
        programs = {name: stack.enter_context(upstream()) for name in PROGRAMS.values()}
        served = stack.enter_context(model(gap=PAUSE))
        pair = bundle([SERVICE])
        listener = outside(folder, inventory, programs, pair)
        stack.enter_context(gateway(folder / "api", served, outside=listener))
        first = stack.enter_context(nginx(folder / "nginx", inventory, listener.port, pair))
        other = stack.enter_context(nginx(folder / "other", inventory, listener.port, bundle([SERVICE])))
        both = bundle([SERVICE]) + pair
        third = stack.enter_context(nginx(folder / "rotating", inventory, listener.port, both))
        yield Site(first, other, third, first.client("alice"), first.client("ci-robot"), served, **programs)


def question(site: Site, pair: Path, word: str, **more: Any) -> bytes:
    told = {"Authorization": f"Bearer {word}"} if word else {}
    body = json.dumps(QUESTION | more).encode()
    headers = {"Content_Type": "application/json"} | told
    return site.ask(NAME, "/v1/chat/completions", pair, method="POST", body=body, **headers)


def test_a_person_gets_dify_by_its_name_and_dify_learns_who_it_is(site: Site) -> None:
    ways = [
        ("/", site.web),
        ("/apps", site.web),
        ("/console/api/setup", site.api),
        ("/v1/messages", site.api),
    ]
    ways.append(("/e/hook?a=1", site.plugins))
    got = [(status(site.ask(DIFY, path)), one.seen[-1].path) for path, one in ways]
    right = sum(one == ("200", path) for one, (path, _) in zip(got, ways, strict=True))
    record(
        "people", "Of five pages and calls by Dify's name, answered to a person's certificate", right, "== 5"
    )
    assert right == len(ways)
    told = {name: site.api.seen[-1].header(name) for name in ("Host", "X-Client-Name", "X-Forwarded-For")}
    assert told == {"Host": [DIFY], "X-Client-Name": ["alice"], "X-Forwarded-For": ["127.0.0.1"]}
    assert site.api.seen[-1].header("X-Forwarded-Proto") == ["https"]
    assert site.plugins.seen[-1].header("Dify-Hook-Url") == [f"https://{DIFY}/e/hook?a=1"]


def test_what_is_sent_to_dify_arrives_whole_and_once(site: Site) -> None:
    body, before = b"x" * 9_000_000, len(site.api.seen)
    assert status(site.ask(DIFY, "/console/api/files/upload", method="POST", body=body)) == "200"
    assert site.api.seen[-1].body == body, "more than the gate of models would hold"
    site.api.fault = "cut"
    try:
        assert status(site.ask(DIFY, "/console/api/apps", method="POST", body=b"{}")) in ("502", "503")
    finally:
        site.api.fault = ""
    assert len(site.api.seen) - before == 2


def test_programs_get_models_by_the_other_name_with_their_key_only(site: Site) -> None:
    answers = [status(question(site, site.robot, word)) for word in (ALPHA, "", "bp-wrong-key")]
    through = answers.count("200")
    record(
        "programs", "Of a key, none and a wrong one, those with which a program gets a model", through, "== 1"
    )
    assert answers == ["200", "401", "401"] and len(site.model.seen) == 1


def apart(site: Site) -> list[tuple[str, str, str, int]]:
    """Name, path, status, and how many requests came through to what is not there under that name."""
    found = []
    for host, path, pair, wrong in (
        (NAME, "/", site.alice, (site.web, site.api, site.plugins)),
        (NAME, "/console/api/setup", site.alice, (site.web, site.api, site.plugins)),
        (NAME, "/e/hook", site.alice, (site.web, site.api, site.plugins)),
        (NAME, "/v1/messages", site.alice, (site.web, site.api, site.plugins)),
        (DIFY, "/v1/chat/completions", site.alice, (site.model,)),
        (DIFY, "/apps", site.robot, (site.web, site.api, site.plugins, site.model)),
    ):
        before = sum(len(one.seen) for one in wrong)
        answer = status(site.ask(host, path, pair, Authorization=f"Bearer {ALPHA}"))
        found.append((host, path, answer, sum(len(one.seen) for one in wrong) - before))
    return found


def test_nobody_gets_dify_by_the_name_of_models_or_models_by_dify_s(site: Site) -> None:
    found = apart(site)
    through = sum(one[3] for one in found)
    record(
        "apart",
        "Of six requests by the wrong name or group, so many come through",
        through,
        "== 0",
        "requests",
    )
    assert [one[2] for one in found] == ["404", "404", "404", "404", "200", "403"]
    assert through == 0


def test_a_platform_with_another_certificate_is_not_believed(site: Site) -> None:
    before = site.seen()
    pair = site.stranger.client("alice")
    answers = {
        status(send(site.stranger, pair, request(path, host=DIFY), DIFY)) for path in ("/", "/console/api/x")
    }
    record(
        "other_certificate",
        "Requests that reach a platform whose certificate is not the one that the gateway was given",
        site.seen() - before,
        "== 0",
        "requests",
    )
    assert (answers, site.seen()) == ({"502"}, before)


def test_while_a_certificate_is_exchanged_the_one_before_is_still_believed(site: Site) -> None:
    pair = site.rotating.client("alice")
    assert status(send(site.rotating, pair, request("/apps", host=DIFY), DIFY)) == "200"


SPOOFED = [
    ("another host than asked for in TLS", NAME, {"host": DIFY}, "421"),
    ("and the other way round", DIFY, {"host": NAME}, "421"),
    ("a host that was forwarded", NAME, {"host": NAME, "X_Forwarded_Host": DIFY}, "404"),
    (
        "a host in another header",
        NAME,
        {"host": NAME, "X_Original_Host": DIFY, "Forwarded": f"host={DIFY}"},
        "404",
    ),
]


@pytest.mark.parametrize(("_", "name", "headers", "answer"), SPOOFED, ids=[one[0] for one in SPOOFED])
def test_a_host_is_what_tls_says(site: Site, _: str, name: str, headers: dict[str, Any], answer: str) -> None:
    before = site.seen()
    assert status(send(site.nginx, site.alice, request("/console/api/setup", **headers), name)) == answer
    assert site.seen() == before


def test_dify_is_told_nothing_that_a_client_made_up(site: Site) -> None:
    lies = ("X_Forwarded_Host", "X_Forwarded_For", "CF_Connecting_IP", "X_Client_Name", "X_Forwarded_Port")
    told: dict[str, Any] = dict.fromkeys(lies, "evil.example")
    assert status(site.ask(DIFY, "/console/api/login", **told)) == "200"
    assert "evil.example" not in str(site.api.seen[-1].headers)


def arrivals(site: Site, host: str, raw: bytes, pattern: bytes) -> list[float]:
    """When each match came."""
    found: list[float] = []
    with site.nginx.connect(site.alice, host) as connection:
        connection.settimeout(30)
        connection.sendall(raw)
        said = b""
        while part := read_some(connection):
            said += part
            found += [time.monotonic()] * (len(re.findall(pattern, said)) - len(found))
    return found


def read_some(connection: ssl.SSLSocket) -> bytes:
    try:
        return connection.recv(65536)
    except ssl.SSLError:
        return b""


def test_tokens_come_one_by_one_from_dify_and_from_models(site: Site) -> None:
    body = json.dumps(QUESTION | {"stream": True}).encode()
    asked = request(
        "/v1/chat/completions",
        "POST",
        body,
        NAME,
        Authorization=f"Bearer {ALPHA}",
        Content_Type="application/json",
    )
    streams = {
        DIFY: arrivals(site, DIFY, request("/console/api/stream", "POST", b"{}", DIFY), rb"data: token"),
        NAME: arrivals(site, NAME, asked, rb'"content"'),
    }
    spread = {host: (times[-1] - times[0]) / (len(times) - 1) for host, times in streams.items()}
    record(
        "stream.dify",
        "Seconds between two parts that Dify sends",
        round(spread[DIFY], 3),
        f">= {GAP * 0.8}",
        "s",
    )
    record(
        "stream.models",
        "Seconds between two words of a model",
        round(spread[NAME], 3),
        f">= {PAUSE * 0.8}",
        "s",
    )
    assert (len(streams[DIFY]), len(streams[NAME])) == (TOKENS, site.model.words)
    assert spread[DIFY] >= GAP * 0.8 and spread[NAME] >= PAUSE * 0.8


def test_a_web_socket_passes_to_dify_and_nowhere_else(site: Site) -> None:
    def opened(path: str) -> bytes:
        upgrade: dict[str, Any] = {
            "Upgrade": "websocket",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec_WebSocket_Version": "13",
        }
        raw = request(path, host=DIFY, **upgrade).replace(b"Connection: close", b"Connection: Upgrade")
        with site.nginx.connect(site.alice, DIFY) as connection:
            connection.sendall(raw)
            connection.settimeout(10)
            said = connection.recv(4096)
            if b" 101 " in said:
                connection.sendall(b"a frame")
                said += connection.recv(4096)
            return said

    found = opened("/socket.io/?transport=websocket")
    record(
        "websocket",
        "Bytes that a web socket through both gateways brings back",
        len(found.rpartition(b"\r\n")[2]),
        "== 7",
    )
    assert found.startswith(b"HTTP/1.1 101") and found.endswith(b"a frame")
    assert not opened("/apps").startswith(b"HTTP/1.1 101")


def test_the_record_says_who_asked_dify_and_not_for_what(site: Site) -> None:
    answer = site.ask(DIFY, "/console/api/apps?word=secret-word")
    head = answer.partition(b"\r\n\r\n")[0]
    assert (status(answer), head.lower().count(b"x-request-id")) == ("200", 1)
    deadline = time.monotonic() + 10
    while not (found := [json.loads(line) for line in site.nginx.audit() if "/console/api/apps" in line]):
        assert time.monotonic() < deadline, "the access was not recorded"
        time.sleep(0.05)
    last = found[-1]
    assert f"X-Request-Id: {last['id']}".encode() in head
    assert (last["user"], last["operation"]) == ("alice", "dify: GET /console/api/apps")
    assert "secret-word" not in "".join(site.nginx.audit())
