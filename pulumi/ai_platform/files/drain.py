"""Before a vLLM pod ends: let the service forget it, then wait until no request is running or waiting.

Usage: drain.py PORT MOST_SECONDS. Always exits 0: a hook that fails would only end the pod sooner.
"""

import re
import sys
import time
import urllib.request

FORGET_SECONDS = 5  # until every proxy has dropped the endpoint
BUSY = re.compile(r"^vllm:num_requests_(?:running|waiting)\b[^ ]* ([0-9.eE+]+)", re.MULTILINE)


def busy(metrics: str) -> float:
    """Requests that run or wait, from vLLM's metrics page."""
    return sum(float(count) for count in BUSY.findall(metrics))


def main(port: str, most: str) -> None:
    """Wait until idle, or gone, or out of time."""
    deadline = time.monotonic() + float(most)
    time.sleep(min(FORGET_SECONDS, float(most)))
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                if busy(answer.read().decode()) == 0:
                    return
        except OSError:
            return  # the server is gone already
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
