"""Decisions of the API gateway's gate, without its programs: shares, verdicts, tokens, records."""

import base64
import json
from datetime import date
from typing import Any

import pytest

from bedplate.api import asked, bridge, routing, usage, valkey
from bedplate.api.identity import digest, identify
from bedplate.api.policy import Backend, Guard, Limits, Policy, Served, parse
from bedplate.api.refused import Refused
from bedplate.api.routing import Outcome

LIMITS = Limits(10, 1000, 0, 2, 100, 2)
TODAY = date(2026, 11, 23)


def policy(**key: str) -> Policy:
    document = {
        "models": {"chat": {"kind": "vllm", "backends": [{"name": "vllm-chat", "weight": 100}]}},
        "roles": {n: {"models": ["chat"], "limits": vars(LIMITS)} for n in ("a", "b")},
        "consumers": {"dify": {"role": "a", "limits": {"requests": 7}}},
        "groups": {"staff": "a", "boss": "b"},
    }
    return parse(document, [{"id": "k", "consumer": "dify", "sha256": digest("word")} | key])


def claims(**said: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def test_a_key_is_a_consumer_with_limits_of_its_own() -> None:
    found = identify(policy(), ["Bearer word"], "", TODAY)
    assert (found.name, found.key, found.role.limits.requests) == ("dify", "k", 7)


@pytest.mark.parametrize(("last", "good"), [("2026-11-23", True), ("2026-11-22", False)])
def test_a_key_is_good_on_its_last_day(last: str, good: bool) -> None:
    if good:
        assert identify(policy(expires=last), ["Bearer word"], "", TODAY).name == "dify"
    else:
        with pytest.raises(Refused, match="expired"):
            identify(policy(expires=last), ["Bearer word"], "", TODAY)


def test_a_person_has_an_account_that_no_program_has_and_the_first_role_counts() -> None:
    found = identify(policy(), ["Bearer x.y.z"], claims(email="dify", groups=["boss", "staff"]), TODAY)
    assert (found.name, found.role.name) == ("user:dify", "a")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"email": "a@b", "groups": []}, 403),
        ({"email": "a@b", "groups": "staff"}, 403),
        ({"groups": ["staff"]}, 401),
        ({"email": "a@b", "email_verified": False, "groups": ["staff"]}, 401),
        ({"email": "a\nb", "groups": ["staff"]}, 401),
    ],
)
def test_claims_that_do_not_suffice(said: dict[str, Any], status: int) -> None:
    with pytest.raises(Refused) as caught:
        identify(policy(), ["Bearer x.y.z"], claims(**said), TODAY)
    assert caught.value.status == status


def test_keys_of_nobody_are_no_policy() -> None:
    with pytest.raises(ValueError, match="keys of nobody: other"):
        policy(consumer="other")


# ---- what a request takes


def judged(**more: Any) -> asked.Asked:
    body = {"model": "chat", "messages": []} | more
    return asked.judge(asked.CHAT, body, 300, LIMITS, 4096)


@pytest.mark.parametrize(
    ("more", "tokens", "insert"),
    [
        ({"max_tokens": 7}, 107, ""),
        ({"max_completion_tokens": 7, "n": 2}, 114, ""),
        ({}, 200, '"max_completion_tokens":100,'),
        ({"stream": True, "max_tokens": 1}, 101, '"stream_options":{"include_usage":true},'),
        ({"stream": True, "max_tokens": 1, "stream_options": {"include_usage": True}}, 101, ""),
    ],
)
def test_the_most_that_a_request_may_take(more: dict[str, Any], tokens: int, insert: str) -> None:
    found = judged(**more)
    assert (found.tokens, found.insert) == (tokens, insert)


def test_an_answer_is_no_longer_than_half_of_the_context() -> None:
    most = Limits(1, 1, 0, 1, 100_000, 1)
    body = {"model": "chat", "messages": []}
    assert asked.judge(asked.CHAT, body, 0, most, 1000).tokens == 500
    assert asked.judge(asked.CHAT, body, 0, most, 0).tokens == asked.DEFAULT_ANSWER


# ---- shares and canaries

SERVED = Served("chat", "vllm", (Backend("old", 90), Backend("new", 10, canary=True)))


def test_shares_are_kept_and_fall_to_the_others() -> None:
    chosen = [routing.choose(SERVED, f"request-{n}", "a", ()).name for n in range(10_000)]
    assert 0.09 < chosen.count("new") / 10_000 < 0.11
    assert {routing.choose(SERVED, str(n), "a", {"new"}).name for n in range(100)} == {"old"}
    with pytest.raises(Refused):
        routing.choose(SERVED, "1", "a", {"new", "old"})


GUARD = Guard(errors=0.05, latency=2.0, least=20, seconds=60)
QUICK, SLOW = ((routing.bin_of(50), 100),), ((routing.bin_of(150), 100),)


@pytest.mark.parametrize(
    ("canary", "others", "why"),
    [
        (Outcome(5, 1), Outcome(100, 0, QUICK), ""),
        (Outcome(5, 2), Outcome(100, 0, QUICK), "2 of 5 requests failed"),
        (Outcome(100, 5, QUICK), Outcome(100, 0, QUICK), ""),
        (Outcome(100, 6, QUICK), Outcome(100, 0, QUICK), "6 of 100"),
        (Outcome(100, 0, SLOW), Outcome(100, 0, QUICK), "first byte"),
        (Outcome(100, 0, SLOW), Outcome(10, 0, QUICK), ""),
        (Outcome(), Outcome(), ""),
    ],
)
def test_a_canary_is_taken_back_for_a_reason(canary: Outcome, others: Outcome, why: str) -> None:
    found = routing.verdict(GUARD, canary, others)
    assert why in found and bool(found) == bool(why)


# ---- the record

LINE = {
    "time": "2026-11-23T20:00:00.000Z",
    "request": "r",
    "who": "dify",
    "key": "k",
    "group": "a",
    "operation": "chat.completions",
    "model": "chat",
    "backend": "vllm-chat",
    "client": "10.0.0.1",
    "method": "POST",
    "status": 200,
    "flags": "-",
    "duration": 1234,
    "first_byte": 99,
    "prompt_tokens": "12",
    "completion_tokens": "30",
    "received": 100,
    "sent": 200,
}


@pytest.mark.parametrize(
    ("more", "used", "failed", "counts"),
    [
        ({}, 42, False, True),
        ({"completion_tokens": None}, 12, False, True),
        ({"prompt_tokens": None, "flags": "DC"}, -1, False, False),
        ({"prompt_tokens": None, "flags": "DC", "first_byte": None, "status": 0}, -1, False, False),
        ({"prompt_tokens": None, "flags": "UF,URX", "first_byte": None, "status": 503}, 0, True, True),
        ({"prompt_tokens": None, "flags": "UC"}, -1, True, True),
        ({"status": 500, "prompt_tokens": None}, -1, True, True),
    ],
)
def test_what_a_line_says(more: dict[str, Any], used: int, failed: bool, counts: bool) -> None:
    line = usage.read(json.dumps(LINE | more))
    assert (line.used, line.failed, line.counts) == (used, failed, counts)


def test_a_record_has_who_which_model_how_many_tokens_and_how_long() -> None:
    found = usage.record(usage.read(json.dumps(LINE)))
    wanted = {
        "user": "dify",
        "model": "chat",
        "prompt_tokens": 12,
        "completion_tokens": 30,
        "duration": 1.234,
    }
    assert wanted.items() <= found.items() and found["path"] == "/v1/chat/completions"
    refusal = usage.Refusal("dify", "", "", "unknown_path")
    assert usage.record(usage.read(json.dumps(LINE)), refusal)["path"] == ""


# ---- the bridge to Triton, and Valkey's protocol


def test_texts_go_to_triton_and_vectors_come_back() -> None:
    sent = bridge.question(["a", "b"], "text")
    assert sent["inputs"][0] == {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]}
    said = {"outputs": [{"shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.0]}]}
    found = bridge.answer(said, "search", ["a", "b"])
    assert [one["embedding"] for one in found["data"]] == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(ValueError, match="not one vector"):
        bridge.answer(said, "search", ["a"])


@pytest.mark.parametrize("wrong", [[1, 2], [], [""], None, {"a": 1}])
def test_what_is_no_text_is_refused(wrong: Any) -> None:
    with pytest.raises(Refused):
        bridge.texts({"input": wrong})


def test_a_command_cannot_hold_another() -> None:
    assert (
        valkey.encode("SET", "a\r\nFLUSHALL", 1) == b"*3\r\n$3\r\nSET\r\n$11\r\na\r\nFLUSHALL\r\n$1\r\n1\r\n"
    )
