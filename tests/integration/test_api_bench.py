"""`bedplate api`, short: figures come out and nothing fails; a key is shown once, its hash is kept."""

import hashlib
import json
import shutil
import subprocess
import sys
from typing import Any

import pytest


def api(*words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "bedplate", "api", *words, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx")
def test_figures_of_a_pair_come_out() -> None:
    found = api("bench", "--pairs", "1", "--requests", "200", "--clients", "4")
    assert found["failed"] == 0 and found["per_second"] > 10
    assert found["direct_per_second"] > found["per_second"] and found["p99_ms"] >= found["p50_ms"] > 0


def test_a_key_and_its_hash() -> None:
    found, other = api("key", "nightly", "--expires", "2027-12-31"), api("key", "nightly")
    entry = found["entry"]
    assert entry["sha256"] == hashlib.sha256(found["key"].encode()).hexdigest()
    assert entry["expires"] == "2027-12-31" and found["key"] != other["key"] and len(found["key"]) > 40
