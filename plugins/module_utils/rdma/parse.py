"""What tools and the kernel say of RDMA, as values."""

from __future__ import annotations

import re

from .model import Link


def links(text: str) -> tuple[Link, ...]:
    """``rdma link show``: ``link mlx5_0/1 state ACTIVE physical_state LINK_UP netdev data0``."""
    found = []
    for line in text.splitlines():
        match = re.match(r"link (\S+)/\d+ (.*)", line.strip())
        if match:
            words = match[2].split()
            pairs = dict(zip(words[::2], words[1::2]))  # noqa: B905  `strict` is Python 3.10's
            found.append(Link(match[1], pairs.get("netdev", ""), pairs.get("state") == "ACTIVE"))
    return tuple(found)


def dscp(text: str, code: int) -> str:
    """``dcb app show dev X dscp-prio``: the mapping of one code point, ``26:3``; empty when there is none."""
    match = re.search(rf"(?<![\d:])({code}:\d+)\b", text)
    return match[1] if match else ""


def pfc(text: str, priority: int) -> str:
    """``dcb pfc show dev X prio-pfc``: ``3:on``, with other priorities that are on behind it; empty when
    unknown."""
    states = dict(re.findall(r"(?<!\S)(\d):(on|off)\b", text))
    if str(priority) not in states:
        return ""
    others = [f"{number}:on" for number, state in states.items() if state == "on" and number != str(priority)]
    return " ".join([f"{priority}:{states[str(priority)]}", *others])


def pause(text: str) -> str:
    """``ethtool -a X``: off only when both directions are; empty when unknown."""
    states = re.findall(r"^(?:RX|TX):\s+(on|off)", text, re.MULTILINE)
    return "" if not states else "on" if "on" in states else "off"


def kinds(text: str) -> dict[str, str]:
    """``ip -d -o link``: interface to vlan, bond, or ether."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\d+: ([^:@\s]+)(?:@\S+)?: ", line)
        if match:
            inner = re.search(r"\\\s+(vlan|bond|bridge|veth|dummy|macvlan) ", line)
            found[match[1]] = inner[1] if inner else "ether"
    return found
