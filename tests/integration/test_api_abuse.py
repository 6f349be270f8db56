"""What people with bad intent, or bad programs, send to the API gateway: each is answered properly, and the
model behind (a stand-in) sees nothing of what was refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate import evidence
from bedplate.api.lab import BODY, Lab
from tests.api_site import ALPHA, QUESTION, UPSTREAM_KEY, ask, gateway, post, raw
from tests.api_upstream import Model, model

PRIVATE = "a very private question"
GOOD = json.dumps(QUESTION).encode()
KEY = f"Authorization: Bearer {ALPHA}"


@pytest.fixture(scope="module")
def behind() -> Iterator[Model]:
    """The model; its answers try to count for themselves."""
    with model(extra='"usage":{"prompt_tokens":99999,"completion_tokens":99999} ') as made:
        yield made


@pytest.fixture(scope="module")
def lab(behind: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One gateway for all of this file."""
    with gateway(tmp_path_factory.mktemp("api"), behind) as made:
        yield made


def body(**more: Any) -> bytes:
    return json.dumps(QUESTION | more).encode()


def part(kind: str, url: Any) -> bytes:
    content = [{"type": kind, kind: url}]
    return body(messages=[{"role": "user", "content": content}])


def lines(*text: str, content: bytes = b"") -> bytes:
    return "\r\n".join(text).encode() + b"\r\n\r\n" + content


LENGTH = f"Content-Length: {len(GOOD)}"
TYPE = "Content-Type: application/json"
TARGET = "POST /v1/chat/completions HTTP/1.1"
CLOSE = "Connection: close"
# What is sent, and the statuses that are proper answers; 0: the connection is closed without one.
CASES: dict[str, tuple[bytes, set[int]]] = {
    "no key": (lines(TARGET, "Host: a", TYPE, LENGTH, CLOSE, content=GOOD), {401}),
    "unknown key": (post(GOOD, word="bp-guessed"), {401}),
    "empty key": (post(GOOD, word=""), {401}),
    "a key that is a wildcard": (post(GOOD, word="bp-*"), {401}),
    "SQL in the key": (post(GOOD, word="bp-' OR 1=1; --"), {401}),
    "a token that nobody signed": (post(GOOD, word="eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."), {401}),
    "basic instead of bearer": (
        lines(TARGET, "Host: a", "Authorization: Basic YTpi", TYPE, LENGTH, CLOSE, content=GOOD),
        {401},
    ),
    "two keys": (post(GOOD, "Authorization: Bearer bp-other"), {400, 401}),
    "key in the query": (post(GOOD, path=f"/v1/chat/completions?api_key={ALPHA}"), {400}),
    "key in the path": (post(GOOD, path=f"/v1/{ALPHA}"), {404}),
    "who one is, said by oneself": (
        post(GOOD, "x-bedplate-who: beta", "x-bedplate-token: e30", word="x"),
        {401},
    ),
    "claims said by oneself": (
        post(GOOD, "x-bedplate-token: eyJlbWFpbCI6ImEiLCJncm91cHMiOlsiYXV0aG9ycyJdfQ", word="x"),
        {401},
    ),
    "a model that is not allowed": (post(body(model="secret")), {404}),
    "a model that is not there": (post(body(model="../../etc")), {404}),
    "a back end chosen by the client": (post(body(model="secret"), "x-bedplate-backend: chat"), {404}),
    "no JSON": (post(b"{"), {400}),
    "no object": (post(b"[]"), {400}),
    "no body": (post(b""), {400}),
    "no UTF-8": (post(b'{"model":"chat","messages":"\xff\xfe"}'), {400}),
    "a member twice": (post(b'{"model":"chat","model":"secret","messages":[]}'), {400}),
    "a member twice, deep inside": (
        post(b'{"model":"chat","messages":[{"role":"user","role":"system"}]}'),
        {400},
    ),
    "nested without end": (
        post(b'{"model":"chat","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        {400},
    ),
    "not a number": (post(b'{"model":"chat","messages":[],"temperature":NaN}'), {400}),
    "a number of ten thousand digits": (
        post(b'{"model":"chat","messages":[],"max_tokens":' + b"9" * 10_000 + b"}"),
        {400},
    ),
    "n beyond measure": (post(body(n=1_000_000)), {400}),
    "n below nothing": (post(body(n=-1)), {400}),
    "max_tokens above the limit": (post(body(max_tokens=101)), {400}),
    "max_completion_tokens above the limit": (post(body(max_completion_tokens=101)), {400}),
    "both lengths": (post(body(max_tokens=5, max_completion_tokens=5)), {400}),
    "min_tokens above the limit": (post(body(min_tokens=500)), {400}),
    "max_tokens of text": (post(body(max_tokens="5")), {400}),
    "a stream that does not say what it used": (
        post(body(stream=True, stream_options={"include_usage": False})),
        {400},
    ),
    "a template of one's own": (post(body(chat_template="{{ cycler.__init__ }}")), {400}),
    "an address of the cloud's metadata": (
        post(part("image_url", {"url": "http://169.254.169.254/latest/meta-data"})),
        {400},
    ),
    "an address inside the cluster": (post(part("image_url", "http://kubernetes.default.svc/")), {400}),
    "a file of the server": (post(part("image_url", {"url": "file:///etc/passwd"})), {400}),
    "an address as data": (post(part("image_url", {"url": "data:text/html;base64,AAAA"})), {400}),
    "a video's address": (post(part("video_url", {"url": "http://10.0.0.1/"})), {400}),
    "no JSON by its type": (
        lines(TARGET, "Host: a", KEY, "Content-Type: text/plain", LENGTH, CLOSE, content=GOOD),
        {415},
    ),
    "a body beyond measure": (post(b'{"x":"' + b"a" * (BODY + 1000) + b'"}'), {413}),
    "headers beyond measure": (post(GOOD, *(f"x-{n}: {'a' * 1000}" for n in range(60))), {431}),
    "a thousand headers": (post(GOOD, *(f"x-{n}: a" for n in range(1000))), {431}),
    "a header with an underscore": (post(GOOD, "x_bedplate_who: beta"), {400}),
    # These two are read as HTTP allows; what they would bring in does not go on.
    "a header inside a header": (post(GOOD, "x-a: b\r\n x-bedplate-who: beta"), {200, 400}),
    "a line feed in a header": (post(GOOD, "x-a: b\nx-bedplate-who: beta"), {200, 400}),
    "a zero byte in a header": (post(GOOD, "x-a: b\0c"), {400}),
    "length and chunks": (
        lines(
            TARGET,
            "Host: a",
            KEY,
            TYPE,
            "Content-Length: 4",
            "Transfer-Encoding: chunked",
            content=b"0\r\n\r\nPOST /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        {400},
    ),
    "two lengths": (post(GOOD, "Content-Length: 3"), {400}),
    "chunks spelled strangely": (
        lines(TARGET, "Host: a", KEY, TYPE, "Transfer-Encoding: xchunked", content=b"0\r\n\r\n"),
        {400, 501},
    ),
    "a length that is none": (
        lines(TARGET, "Host: a", KEY, TYPE, "Content-Length: +5", CLOSE, content=b"{}   "),
        {400},
    ),
    "no host": (lines(TARGET, KEY, TYPE, LENGTH, CLOSE, content=GOOD), {400}),
    "a whole address as target": (
        post(GOOD, path="http://169.254.169.254/v1/chat/completions"),
        {200, 400, 404},
    ),
    "a path with dots": (post(GOOD, path="/v1/models/../chat/completions"), {200, 400, 404}),
    "a path with encoded slashes": (post(GOOD, path="/v1%2fchat%2fcompletions"), {400}),
    "the model server's other routes": (post(GOOD, path="/v1/load_lora_adapter"), {404}),
    "its metrics": (lines("GET /metrics HTTP/1.1", "Host: a", KEY, CLOSE), {404}),
    "its sleep": (post(GOOD, path="/sleep"), {404}),
    "the gate itself": (post(GOOD, path="/decide/v1/chat/completions"), {404}),
    "another method": (lines("DELETE /v1/models HTTP/1.1", "Host: a", KEY, CLOSE), {405}),
    "a tunnel": (lines("CONNECT 10.0.0.1:22 HTTP/1.1", "Host: 10.0.0.1:22", KEY), {400, 403, 404, 405}),
    "another protocol": (
        post(GOOD, "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        {200, 403},
    ),
    "HTTP/0.9": (b"GET /v1/models\r\n\r\n", {0, 400, 426}),
    "TLS where there is none": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, {0, 400}),
}


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


@pytest.mark.parametrize("name", CASES)
def test_it_is_answered_and_goes_no_further(lab: Lab, behind: Model, name: str) -> None:
    sent, proper = CASES[name]
    before = len(behind.seen)
    answer = raw(lab.replicas[0].port, sent, seconds=4)
    assert status(answer) in proper
    seen = behind.seen[before:]
    assert bool(seen) == (status(answer) == 200)
    assert b"smuggled" not in b"".join(behind.raw)
    for first, headers, asked in seen:
        assert first == "POST /v1/chat/completions HTTP/1.1" and asked["model"] == "chat"
        assert "beta" not in str(headers)
        assert headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    if status(answer) >= 400 and b"\r\n\r\n" in answer:
        assert ALPHA.encode() not in answer and PRIVATE.encode() not in answer


def test_of_the_clients_headers_only_harmless_ones_go_on(lab: Lab, behind: Model) -> None:
    sent = {
        "Cookie": "a=b",
        "X_Forwarded_For": "1.2.3.4",
        "X_Api_Key": "k",
        "Referer": "r",
        "X_Request_Id": "mine",
    }
    code, headers, _ = ask(lab.replicas[0].port, QUESTION, **sent)
    assert code == 200 and headers["server"] == "bedplate" and headers["x-request-id"] != "mine"
    seen = behind.seen[-1][1]
    assert set(seen) <= {"host", "content-type", "content-length", "x-request-id", "authorization", "accept"}
    assert ALPHA.encode() not in behind.raw[-1]


def test_the_text_of_an_answer_counts_nothing(lab: Lab) -> None:
    """The stand-in's words say that 99999 tokens were used."""
    port = lab.replicas[0].port
    assert ask(port, QUESTION | {"stream": True})[0] == ask(port, QUESTION)[0] == 200


def test_what_a_body_lacks_is_put_in_once(lab: Lab, behind: Model) -> None:
    assert ask(lab.replicas[0].port, QUESTION | {"stream": True})[0] == 200
    asked = behind.seen[-1][2]
    assert asked["max_completion_tokens"] == 100 and asked["stream_options"] == {"include_usage": True}
    assert ask(lab.replicas[0].port, QUESTION | {"max_tokens": 7})[0] == 200
    assert behind.seen[-1][2]["max_tokens"] == 7 and "max_completion_tokens" not in behind.seen[-1][2]


def test_zz_no_log_holds_a_prompt_or_a_key(lab: Lab) -> None:
    """Everything that all of the above left behind, but the stand-in's own memory."""
    kept = [p for p in Path(lab.folder).rglob("*") if p.is_file() and p.name not in ("envoy.json",)]
    assert len(kept) > 5
    found = [
        p.name for p in kept for word in (PRIVATE, ALPHA, UPSTREAM_KEY) if word.encode() in p.read_bytes()
    ]
    assert found == []
    records = [r for r in lab.replicas[0].records() if "request_id" in r]
    assert len(records) >= 50 and {r["user"] for r in records} == {"", "alpha"}
    assert {r["completion_tokens"] for r in records} <= {None, 5, 7}, "an answer counted for itself"
    evidence.record(
        "lab",
        "api.abuse_cases",
        "abusive requests are answered properly, none reaches a model, no log holds a prompt or a key",
        len(CASES),
        goal=">= 30",
        proved_on="program",
        command="pytest tests/integration/test_api_abuse.py",
    )
