"""The load programs of `bedplate gateway`, short: figures come out, and nothing fails in steady load."""

import json
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not shutil.which("nginx") or not shutil.which("ab"), reason="no nginx or no ab"
)


def gateway(*words: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bedplate", "gateway", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(json.loads(done.stdout))


def test_half_a_minute_of_steady_load_has_no_error() -> None:
    """make long runs ten minutes of it: bedplate gateway soak."""
    found = gateway("soak", "--seconds", "30", "--clients", "4")
    assert found["errors"] == 0 and found["requests"] > 100 and found["reloads"] >= 4
    assert found["revoked_after"] < 10


def test_figures_of_a_pair_come_out() -> None:
    found = gateway("bench", "--pairs", "1", "--requests", "1000")
    assert found["failed"] == 0
    assert found["requests_per_second"] > 100 and found["handshakes_per_second"] > 5
    assert 0.3 < found["ratio"] < 2
