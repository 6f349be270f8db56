"""What perftest measured, and whether it is enough."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Share of the line rate that a healthy port reaches with large messages: 92.4 of 100 Gbit/s over RoCE
# (DeepOps, roce-perf-k8s), 180 of 200 and 380 of 400 with GPUs (Azure's health checks): the lowest of them.
GATE = 0.9


_ROW = r"^\s*(\d+)\s+(\d+)\s+(\d.*)$"
_TAIL = 5  # after least, most, typical, average and deviation: the 99th percentile


class Unclear(ValueError):
    """perftest did not say what was asked."""


@dataclass(frozen=True)
class Bandwidth:
    """One line of ib_*_bw: bytes of a message, repetitions, average in Gbit/s."""

    size: int
    repetitions: int
    gbits: float


@dataclass(frozen=True)
class Latency:
    """One line of ib_*_lat: bytes of a message, repetitions, microseconds (smallest, typical, 99th
    percentile)."""

    size: int
    repetitions: int
    least: float
    typical: float
    tail: float


# What soft-RoCE finishes in reasonable time even on an emulated processor, and a longer timeout of its queue
# pairs:
# with the usual one messages are sent again until the connection is given up (seen on virtual machines).
_SOFT = ("-u", "21")
_SOFT_BANDWIDTH = ("-s", "65536", "-n", "100", "-t", "4")
_SOFT_LATENCY = ("-n", "100")


def command(
    what: str, device: Mapping[str, Any], settings: Mapping[str, int], *, soft: bool, peer: str = ""
) -> list[str]:
    """The command line for ``bandwidth`` or ``latency``; with ``peer`` that of the client, without of the
    server.

    ``device`` has the keys device and gid (None where the link has no choice of GIDs), ``settings`` those of
    the role's rdma_acceptance: with a ``gpu`` (not -1), cards read and write its memory, by dma-buf.
    """
    wide = what == "bandwidth"
    program = ["ib_write_bw" if wide else "ib_send_lat", "-d", str(device["device"]), "-F"]
    program += ["--report_gbits"] if wide else []
    program += ["-x", str(device["gid"])] if device.get("gid") is not None else []
    if soft:
        program += [*_SOFT, *(_SOFT_BANDWIDTH if wide else _SOFT_LATENCY)]
    elif wide:
        program += ["-s", str(settings["size"]), "-n", str(settings["repetitions"])]
        program += [f"--use_cuda={settings['gpu']}", "--use_cuda_dmabuf"] if settings["gpu"] >= 0 else []
    else:
        program += ["-n", str(settings["latency_repetitions"])]
    return ["timeout", str(settings["patience"]), *program, *([peer] if peer else [])]


def bandwidth(text: str) -> list[Bandwidth]:
    """The table of ``ib_write_bw --report_gbits``; in MB/s it is converted. Raises Unclear."""
    head = re.search(r"#bytes\s+#iterations\s+BW peak\[(\S+?)\]\s+BW average\[(\S+?)\]", text)
    if not head:
        raise Unclear(_reason(text))
    units = {"Gb/sec": 1.0, "MB/sec": 8 * 2**20 / 1e9, "MiB/sec": 8 * 2**20 / 1e9}
    factor = units[head[2]]
    rows = re.findall(r"^\s*(\d+)\s+(\d+)\s+([\d.]+|inf)\s+([\d.]+)", text[head.end() :], re.MULTILINE)
    if not rows:
        raise Unclear(_reason(text))
    return [Bandwidth(int(size), int(count), float(average) * factor) for size, count, _, average in rows]


def latency(text: str) -> list[Latency]:
    """The table of ``ib_send_lat``. Raises Unclear."""
    head = re.search(r"#bytes\s+#iterations\s+t_min\[usec\].*", text)
    found = []
    for size, count, rest in re.findall(_ROW, text[head.end() :], re.MULTILINE) if head else ():
        # Every figure has two decimals, and wide ones run into each other: 2465.901216.65 are two of them.
        figures = [float(figure) for figure in re.findall(r"\d+\.\d\d", rest)]
        if len(figures) > _TAIL:
            found.append(Latency(int(size), int(count), figures[0], figures[2], figures[_TAIL]))
    if not found:
        raise Unclear(_reason(text))
    return found


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if re.search(r"fail|error|unable|couldn't|mismatch|No such", line, re.I)]
    return (said or lines or ["perftest said nothing"])[-1]


def verdict(measured: float, link_gbits: float, soft: bool) -> dict[str, object]:
    """Bandwidth against the gate of its link; soft-RoCE is measured, not judged by a line rate."""
    if soft:
        passed = measured > 0
        return {
            "measured": round(measured, 3),
            "gate": 0.0,
            "unit": "Gbit/s",
            "judged": "moves",
            "pass": passed,
        }
    gate = round(GATE * link_gbits, 1)
    return {
        "measured": round(measured, 1),
        "gate": gate,
        "unit": "Gbit/s",
        "judged": f"{GATE:.0%} of {link_gbits:g} Gbit/s",
        "pass": measured >= gate,
    }
