"""Machines that are network namespaces on one switch, for programs that move addresses. Needs root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def space(name: str, switch: str, address: str) -> Iterator[str]:
    """A network namespace on the switch, with one address."""
    made = f"bp-{os.getpid()}-{name}"
    ip("netns", "add", made)
    try:
        ip("-n", switch, "link", "add", f"to-{name}", "type", "veth", "peer", "name", "net0", "netns", made)
        ip("-n", switch, "link", "set", f"to-{name}", "master", "switch", "up")
        for device in ("lo", "net0"):
            ip("-n", made, "link", "set", device, "up")
        ip("-n", made, "address", "add", f"{address}/24", "dev", "net0")
        yield made
    finally:
        pids = subprocess.check_output(["ip", "netns", "pids", made], text=True).split()
        for pid in pids:
            subprocess.run(["kill", "-9", pid], check=False, capture_output=True)
        ip("netns", "delete", made)


@contextmanager
def switch() -> Iterator[str]:
    made = f"bp-{os.getpid()}-switch"
    ip("netns", "add", made)
    try:
        ip("-n", made, "link", "add", "switch", "type", "bridge")
        ip("-n", made, "link", "set", "switch", "up")
        yield made
    finally:
        ip("netns", "delete", made)
