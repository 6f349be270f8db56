"""Who answers on which network. Asked by neighbour discovery: no firewall filters it, no routing helps."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from .model import Desired

Run = Callable[[list[str]], "tuple[int, str, str]"]
GATEWAY, PEER = "gateway", "peer"
DISCARD = 9  # a datagram to the discard port makes the kernel look for the neighbour
ROUND_SECONDS = 1.5
PATIENCE_SECONDS = 5.0  # ends at once when everybody has answered
HEADERS = 28  # IPv4 and ICMP


@dataclass(frozen=True)
class Target:
    """An address that is directly reachable over ``device``, a gateway or a peer."""

    address: str
    device: str
    role: str
    mtu: int


def targets(desired: Desired, peers: dict[str, list[str]]) -> tuple[Target, ...]:
    """Gateways of all routes, and the peers of each network."""
    found: dict[tuple[str, str], Target] = {}
    for device in desired.devices:
        for route in device.routes:
            found[route.via, device.name] = Target(route.via, device.name, GATEWAY, device.mtu)
        for network in device.networks:
            for address in peers.get(network, []):
                found.setdefault((address, device.name), Target(address, device.name, PEER, device.mtu))
    return tuple(found.values())


def answering(run: Run, asked: Iterable[Target], patience: float = PATIENCE_SECONDS) -> set[Target]:
    """Those of ``asked`` that answer within ``patience`` seconds."""
    left = set(asked)
    for target in left:
        run(["ip", "neigh", "del", target.address, "dev", target.device])
    found: set[Target] = set()
    end = time.monotonic() + patience
    while left:
        for target in left:
            _look_for(target)
        time.sleep(ROUND_SECONDS / 3)
        known = _neighbours(run)
        found |= {t for t in left if (t.address, t.device) in known}
        left -= found
        if time.monotonic() >= end:
            break
    return found


def full_frames(run: Run, target: Target) -> bool:
    """Whether a packet as large as the network's MTU reaches ``target`` in one piece and is answered."""
    size = str(target.mtu - HEADERS - (20 if ":" in target.address else 0))
    return run(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", size, target.address])[0] == 0


def _look_for(target: Target) -> None:
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, target.device.encode())
        sender.sendto(b"", (target.address, DISCARD))


def _neighbours(run: Run) -> set[tuple[str, str]]:
    """Addresses and devices of neighbours whose hardware address the kernel knows."""
    code, out, _ = run(["ip", "-j", "neigh", "show"])
    entries = json.loads(out) if code == 0 and out.strip() else []
    return {(e["dst"], e["dev"]) for e in entries if e.get("lladdr") and "FAILED" not in e.get("state", [])}
