"""What ``nvidia-smi -q -x`` says of the fabric between a host's GPUs. Pure.

A running fabric manager is not enough: a GPU is part of the fabric when its state is Completed and its status
Success, and CUDA does not start before (error 802).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

COMPLETED, SUCCESS = "Completed", "Success"
_UNSAID = ("N/A", "")
_UNHEALTHY = ("Unhealthy", "Limited Capacity")


@dataclass(frozen=True)
class GpuFabric:
    """One GPU: its PCI address; ``state``, ``status`` and ``health`` in nvidia-smi's words."""

    address: str
    state: str
    status: str
    health: str = ""

    @property
    def waiting(self) -> bool:
        """It may still come: registration takes minutes on large boards."""
        return self.state in ("In Progress", "Not Started")

    @property
    def ready(self) -> bool:
        """CUDA can start on it."""
        return (
            self.state == COMPLETED and self.status in (SUCCESS, *_UNSAID) and self.health not in _UNHEALTHY
        )


class NotUnderstood(ValueError):
    """The text is not what ``nvidia-smi -q -x`` prints."""


def parse(text: str) -> list[GpuFabric]:
    """Every GPU of the output. Raises NotUnderstood."""
    try:
        root = ET.fromstring(text)  # noqa: S314  written by the driver's own tool on this host
    except ET.ParseError as error:
        raise NotUnderstood(f"nvidia-smi -q -x printed no XML: {error}") from None
    if root.tag != "nvidia_smi_log":
        raise NotUnderstood(f"nvidia-smi -q -x printed <{root.tag}>, not <nvidia_smi_log>")
    return [_gpu(node) for node in root.findall("gpu")]


def _gpu(node: ET.Element) -> GpuFabric:
    def said(path: str) -> str:
        return (node.findtext(path) or "").strip()

    health = said("fabric/health/summary")
    return GpuFabric(
        node.get("id", ""),
        said("fabric/state"),
        said("fabric/status"),
        "" if health in _UNSAID else health,
    )


def problems(gpus: Sequence[GpuFabric], count: int) -> list[str]:
    """What is wrong with the fabric of a host that should have ``count`` GPUs; nothing when it is whole.

    The fabric manager carries on without GPUs that are missing on the bus, so they are counted here.
    """
    found = []
    if len(gpus) != count:
        found.append(
            f"nvidia-smi shows {len(gpus)} GPUs, and the inventory has {count}; see the kernel log for Xid 79"
        )
    for gpu in gpus:
        if gpu.ready:
            continue
        said = ", ".join(filter(None, [gpu.state or "no state", gpu.status, gpu.health]))
        found.append(f"GPU {gpu.address}: fabric {said}; {_remedy(gpu)}")
    return found


def _remedy(gpu: GpuFabric) -> str:
    if gpu.waiting:
        return "see `systemctl status nvidia-fabricmanager`: it has ended, or is not of the driver's version"
    if gpu.state in _UNSAID or gpu.state == "Not Supported":
        return "this GPU is on no NVSwitch board; correct hardware_gpus, or replace the board"
    return (
        "reset all GPUs together: stop the fabric manager, `nvidia-smi -r`, start it; then see the switches"
    )
