"""Who reaches a pod through a node port: real nftables and routing in network namespaces. A stand-in leads
the port on as kube-proxy does (a rule of its own in `nat prerouting`); pods are addresses of namespaces."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from firewall import policy, ruleset

from bedplate import evidence

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft", path="/usr/sbin:/usr/bin"), reason="needs root and nft"
)
NODE, POD, FAR, GATEWAY = "10.9.0.1", "10.9.1.2", "10.9.0.3", "10.9.0.2"
PORTS = {
    30443: f"{POD}:80",
    30444: f"{POD}:80",
    30445: f"{FAR}:80",
}  # the last leads to a pod of another node
PREFIX = f"bp{os.getpid()}"


def run(*words: str, text: str | None = None) -> None:
    subprocess.run(words, input=text, text=True, check=True, capture_output=True)


def inside(place: str, *words: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", f"{PREFIX}{place}", *words)


def wire(stack: ExitStack) -> None:
    """node: a bridge `data` to gateway, stranger and a pod far away; a link `cni0` to its own pod."""
    for place in ("node", "gateway", "stranger", "far", "pod"):
        run("ip", "netns", "add", f"{PREFIX}{place}")
        stack.callback(run, "ip", "netns", "delete", f"{PREFIX}{place}")
        run(*inside(place, "ip", "link", "set", "lo", "up"))
    run(*inside("node", "ip", "link", "add", "data", "type", "bridge"))
    for place, address in (("gateway", GATEWAY), ("far", FAR), ("stranger", "10.9.0.4"), ("pod", POD)):
        own = "cni0" if place == "pod" else f"to-{place}"
        peer = ("peer", "name", "eth0", "netns", f"{PREFIX}{place}")
        run(*inside("node", "ip", "link", "add", own, "type", "veth", *peer))
        run(*inside("node", "ip", "link", "set", own, "up"))
        if place != "pod":
            run(*inside("node", "ip", "link", "set", own, "master", "data"))
        run(*inside(place, "ip", "address", "add", f"{address}/24", "dev", "eth0"))
        run(*inside(place, "ip", "link", "set", "eth0", "up"))
    for own, address in (("data", NODE), ("cni0", "10.9.1.1")):
        run(*inside("node", "ip", "address", "add", f"{address}/24", "dev", own))
        run(*inside("node", "ip", "link", "set", own, "up"))
    run(*inside("pod", "ip", "route", "add", "default", "via", "10.9.1.1"))
    run(*inside("node", "sysctl", "-qw", "net.ipv4.ip_forward=1"))


def filtered() -> None:
    """What leads ports on, and our table."""
    led = "".join(f"    ip daddr {NODE} tcp dport {port} dnat to {to}\n" for port, to in PORTS.items())
    proxy = f"""table ip kube-proxy {{
  chain prerouting {{ type nat hook prerouting priority dstnat;\n{led}  }}
  chain postrouting {{ type nat hook postrouting priority srcnat; ct status dnat masquerade; }}
}}"""
    run(*inside("node", "nft", "-f", "-"), text=proxy)
    named = [{"port": port, "from": [GATEWAY]} for port in (30443, 30445)]
    usual: dict[str, Any] = {"forward": [], "log_per_minute": 10, "session": None}
    allowed = policy({"compute": ["data"]}, {}, {}, trusted=["cni0"], node_ports=named, **usual)
    run(*inside("node", "nft", "-f", "-"), text=ruleset(allowed))


def served(stack: ExitStack, place: str) -> None:
    """A pod that answers."""
    words = inside(place, "python3", "-m", "http.server", "80", "--directory", "/proc/self/fdinfo")
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.kill)
    wait = ("--retry", "20", "--retry-all-errors", "--retry-delay", "1")
    run(*inside(place, "curl", "-s", *wait, "-o", "/dev/null", "http://127.0.0.1"))


@pytest.fixture(scope="module")
def site() -> Iterator[None]:
    with ExitStack() as stack:
        wire(stack)
        filtered()
        for place in ("pod", "far"):
            served(stack, place)
        yield


REACHED = [
    ("gateway", 30443, True),
    ("gateway", 30445, True),
    ("gateway", 30444, False),
    ("stranger", 30443, False),
    ("stranger", 30445, False),
    ("stranger", 30444, False),
]


def reaches(place: str, port: int) -> bool:
    words = inside(place, "curl", "-s", "-m", "2", "-o", "/dev/null", f"http://{NODE}:{port}")
    return subprocess.run(words, check=False).returncode == 0


def test_only_gateways_reach_pods_and_only_at_the_ports_that_are_named(site: None) -> None:
    found = [(place, port, reaches(place, port)) for place, port, _ in REACHED]
    evidence.record(
        "lab",
        "gateway.through.node_port",
        "Of six ways through a node port, here and to another node, as many are open as the firewall names",
        sum(one[2] for one in found),
        unit="ways",
        goal="== 2",
        proved_on="program",
        command="pytest tests/integration/test_firewall_node_ports.py",
    )
    assert found == REACHED
