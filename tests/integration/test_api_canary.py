"""A canary at ten percent, with the real programs: it gets its share, and is taken back by itself when it
fails or is slow, in every replica. What answers is a stand-in."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bedplate import evidence
from bedplate.api.lab import Lab
from tests.api_site import QUESTION, ask, gateway
from tests.api_upstream import model

SHARES = {"chat": 90, "canary": 10}
GUARD: dict[str, Any] = {"errors": 0.05, "latency": 5.0, "least": 10, "seconds": 60}


def many(lab: Lab, count: int) -> list[int]:
    ports = [lab.replicas[n % len(lab.replicas)].port for n in range(count)]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda port: ask(port, QUESTION)[0], ports))


def withdrawn(lab: Lab) -> dict[str, str]:
    return dict(lab.replicas[-1].person("withdrawn"))


def test_a_canary_that_fails_is_taken_back_everywhere(tmp_path: Path) -> None:
    """First it is well and keeps its share; then it fails."""
    more = {"chat": {"guard": GUARD}}
    with (
        model() as good,
        model(name="canary") as new,
        gateway(tmp_path, good, new, replicas=2, shares=SHARES, **more) as lab,
    ):
        assert set(many(lab, 200)) == {200}
        share = len(new.seen) / 200
        assert 0.03 < share < 0.2 and withdrawn(lab) == {}
        new.fault, before, begun = "500", len(new.seen), time.monotonic()
        failed = 0
        while not (why := withdrawn(lab)):
            failed += sum(status == 500 for status in many(lab, 20))
            assert time.monotonic() - begun < 60
        seconds = time.monotonic() - begun
        assert "requests failed" in why["canary"]
        time.sleep(2.5)  # the other replica looks every second
        seen = len(new.seen)
        assert set(many(lab, 60)) == {200} and len(new.seen) == seen
        record(
            "canary_failed_requests",
            "requests that a failing canary at 10 % spoils",
            failed,
            "<= 20",
            "requests",
        )
        record("canary_rollback", "seconds until a failing canary is out", round(seconds, 1), "< 60", "s")
        assert seen - before <= failed + 5
        assert lab.replicas[0].person("readmit", "canary")["changed"] is True
        new.fault = ""
        time.sleep(2.5)


def test_a_canary_that_is_slow_is_taken_back(tmp_path: Path) -> None:
    more = {"chat": {"guard": GUARD}}
    with (
        model() as good,
        model(name="canary", delay=1.5) as new,
        gateway(tmp_path, good, new, shares={"chat": 60, "canary": 40}, **more) as lab,
    ):
        deadline = time.monotonic() + 90
        while not (why := withdrawn(lab)) and time.monotonic() < deadline:
            assert set(many(lab, 16)) == {200}
        assert "first byte" in why["canary"]


def record(name: str, claim: str, value: float, goal: str, unit: str) -> None:
    command = "pytest tests/integration/test_api_canary.py"
    evidence.record(
        "lab", f"api.{name}", claim, value, unit=unit, goal=goal, proved_on="program", command=command
    )


def test_a_b_gives_a_consumer_always_the_same(tmp_path: Path) -> None:
    with (
        model(name="a") as first,
        model(name="b") as second,
        gateway(tmp_path, first, second, shares={"a": 50, "b": 50}, chat={"sticky": True}) as lab,
    ):
        assert set(many(lab, 10)) == {200}
        assert sorted((len(first.seen), len(second.seen))) == [0, 10]
