"""Limits of the API gateway with the real programs: two replicas, one Valkey, parallel clients, faults. What
answers is a stand-in; its tokens are those that it says."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bedplate import evidence
from bedplate.api.lab import PASSWORD, Lab
from bedplate.api.valkey import Address, Valkey
from tests.api_site import QUESTION, ask, gateway, key, post, raw
from tests.api_upstream import PROMPT, Model, model

COMMAND = "pytest tests/integration/test_api_limits.py"


@pytest.fixture(scope="module")
def behind() -> Iterator[Model]:
    """The model."""
    with model() as made:
        yield made


@pytest.fixture(scope="module")
def lab(behind: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two replicas. Tests that break something put it right again."""
    with gateway(tmp_path_factory.mktemp("api"), behind, replicas=2) as made:
        yield made


def proved(name: str, claim: str, value: float, goal: str, unit: str = "") -> None:
    evidence.record(
        "lab", f"api.{name}", claim, value, unit=unit, goal=goal, proved_on="program", command=COMMAND
    )


def counted(lab: Lab, consumer: str) -> int:
    """Tokens of the day in a consumer's account."""

    async def look() -> int:
        store = Valkey(Address("127.0.0.1", int(lab.environment["VALKEY_PORT"]), "", PASSWORD))
        names: Any = await store.command("KEYS", f"gateway:a:{consumer}:d:*")
        counts: list[Any] = [await store.command("GET", name) for name in names]
        return sum(int(count) for count in counts)

    return asyncio.run(look())


def early_in_a_minute(seconds: int) -> None:
    """Windows are whole minutes: what follows must not cross the end of one."""
    if (left := 60 - time.time() % 60) < seconds:
        time.sleep(left + 0.2)


def many(lab: Lab, count: int, consumer: str, **more: Any) -> list[int]:
    """Statuses of requests in parallel, over all replicas in turn."""
    ports = [lab.replicas[n % len(lab.replicas)].port for n in range(count)]
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda port: ask(port, QUESTION | more, key(consumer))[0], ports))


def records(lab: Lab, consumer: str) -> list[dict[str, Any]]:
    """What was written down of a consumer."""
    return [r for replica in lab.replicas for r in replica.records() if r.get("user") == consumer]


def settled(lab: Lab, consumer: str, count: int, seconds: float = 20) -> None:
    """Until so many requests are in the records."""
    deadline = time.monotonic() + seconds
    while len(records(lab, consumer)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_tokens_are_never_more_than_the_limit_and_end_as_what_was_used(lab: Lab) -> None:
    limit, each = 3000, PROMPT + 5
    statuses = many(lab, 120, "daily", max_tokens=60)
    settled(lab, "daily", 120)
    used = statuses.count(200) * each
    assert set(statuses) <= {200, 429} and counted(lab, "daily") == used <= limit
    sent = 120
    while ask(lab.replicas[sent % 2].port, QUESTION | {"max_tokens": 60}, key("daily"))[0] == 200:
        used, sent = used + each, sent + 1
        settled(lab, "daily", sent)
    assert limit - 120 < used <= limit and counted(lab, "daily") == used
    proved("tokens_over_limit", "a day's tokens are never exceeded", max(0, used - limit), "== 0", "tokens")


def test_what_nobody_counted_stays_taken(lab: Lab, behind: Model) -> None:
    """A stream that its client cuts: nobody knows what it used, so what was taken is not given back."""
    content = json.dumps(QUESTION | {"stream": True, "max_tokens": 50}).encode()
    behind.gap, behind.words = 0.1, 50
    try:
        answer = raw(lab.replicas[0].port, post(content, word=key("cutting")), seconds=1.5)
        assert b"text/event-stream" in answer and b"[DONE]" not in answer
        settled(lab, "cutting", 1)
        deadline = time.monotonic() + 10
        while not behind.broken and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        behind.gap, behind.words = 0.0, 5
    assert behind.broken == 1, "the model goes on for nobody"
    (record,) = records(lab, "cutting")
    assert record["completion_tokens"] is None and record["reason"]
    assert counted(lab, "cutting") == -(-len(content) // 3) + 50


def test_parallel_requests_are_limited_and_given_back(lab: Lab, behind: Model) -> None:
    behind.delay = 3.0
    try:
        statuses = many(lab, 9, "three")
    finally:
        behind.delay = 0
    assert statuses.count(200) == 3 and statuses.count(429) == 6
    settled(lab, "three", 9)
    time.sleep(0.5)
    assert many(lab, 3, "three").count(200) == 3


def test_a_consumer_does_not_take_from_another(lab: Lab) -> None:
    early_in_a_minute(15)
    port = lab.replicas[0].port
    assert [ask(port, word=key("two"))[0] for _ in range(3)] == [200, 200, 429]
    status, headers, body = ask(port, word=key("two"))
    assert status == 429 and 0 < int(headers["retry-after"]) <= 60 and b"rate_limit_exceeded" in body
    assert ask(port)[0] == 200


def test_a_key_that_is_taken_away_is_refused_within_seconds(lab: Lab) -> None:
    ports, word = [replica.port for replica in lab.replicas], key("leaving")
    assert [ask(port, word=word)[0] for port in ports] == [200, 200]
    lab.keys = [entry for entry in lab.keys if entry["consumer"] != "leaving"]
    begun = time.monotonic()
    lab.write()
    while any(ask(port, word=word)[0] == 200 for port in ports):
        assert time.monotonic() - begun < 20
    claim = "a key that is no longer in the file is refused by both replicas"
    proved("key_removed", claim, round(time.monotonic() - begun, 2), "< 5", "s")
    assert lab.replicas[0].person("revoke", "beta-1") == {"revoke": "beta-1", "changed": True}
    assert [ask(port, word=key("beta"))[0] for port in ports] == [401, 401], "from the next request on"


def test_a_policy_that_cannot_be_read_leaves_the_old_one(lab: Lab) -> None:
    right, lab.policy = lab.policy, {"models": {}}
    lab.write()
    deadline = time.monotonic() + 20
    while not (said := [r for r in lab.replicas[0].records() if r.get("event") == "policy refused"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "KeyError" in said[0]["reason"] and ask(lab.replicas[0].port)[0] == 200
    lab.policy = right
    lab.write()


def test_requests_are_counted_exactly_over_replicas_and_restarts(lab: Lab, behind: Model) -> None:
    """Nothing is let through while nobody can count, and what was counted before still counts."""
    early_in_a_minute(40)
    first = many(lab, 30, "sixty")
    assert first.count(200) == 30
    for replica in lab.replicas:
        replica.stop(envoy=False, how=signal.SIGKILL)
    assert ask(lab.replicas[0].port, word=key("sixty"))[0] == 503, "the gate is away"
    lab.stop_store()
    for replica in lab.replicas:
        replica.start_gate()
    assert ask(lab.replicas[0].port, word=key("sixty"))[0] == 503, "the counters are away"
    lab.start_store(int(lab.environment["VALKEY_PORT"]))
    while {ask(replica.port)[0] for replica in lab.replicas} != {200}:
        time.sleep(0.2)
    others = len(behind.seen)
    statuses = first + many(lab, 90, "sixty")
    assert statuses.count(200) == 30 + len(behind.seen) - others == 60
    assert statuses.count(429) == 60
    claim = "60 requests a minute are 60 over two replicas, with gates killed and Valkey restarted in between"
    proved("requests_over_limit", claim, statuses.count(200) - 60, "== 0", "requests")
