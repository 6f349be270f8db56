"""Which kernel module a host's GPUs want: open or proprietary. Pure.

GPUs are known by PCI ids, not by names: the pci.ids of a distribution may be years older than the GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NVIDIA = "10de"
GPU, NVSWITCH = "gpu", "nvswitch"
# Base class and subclass: 3D controller and VGA controller; other bridge (NVSwitch of generations 1 to 3).
_KINDS = {"0302": GPU, "0300": GPU, "0680": NVSWITCH}
OPEN, PROPRIETARY, AUTO = "open", "proprietary", "auto"


@dataclass(frozen=True)
class Device:
    """An NVIDIA device on the PCI bus; ``device`` is its id, four hexadecimal digits."""

    address: str
    device: str
    kind: str


@dataclass(frozen=True)
class Flavour:
    """``module`` is open or proprietary, empty when refused."""

    module: str
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def devices(bus: Mapping[str, Mapping[str, str]]) -> list[Device]:
    """NVIDIA's GPUs and NVSwitches. ``bus`` maps addresses to vendor, device and class as sysfs has them."""
    found = []
    for address, words in sorted(bus.items()):
        vendor, device, kind = (
            words.get(key, "").strip().lower()[2:] for key in ("vendor", "device", "class")
        )
        if vendor == NVIDIA and kind[:4] in _KINDS:
            found.append(Device(address, device, _KINDS[kind[:4]]))
    return found


def gpus(found: Iterable[Device]) -> int:
    """How many of these devices are GPUs."""
    return sum(device.kind == GPU for device in found)


def choose(
    wished: str, model: str, catalogue: Mapping[str, Mapping[str, Any]], found: Iterable[Device]
) -> Flavour:
    """The kernel module for the inventory's GPU ``model`` and the GPUs that were found.

    Open where every GPU can have it (Turing and later), proprietary where one cannot (Volta and older). An id
    that no row knows is newer than the table, and newer GPUs are open only.
    """
    known = {device: name for name, row in catalogue.items() for device in row["device_ids"]}
    claims: dict[str, set[str]] = {}
    if model in catalogue:
        claims[f"{model} (inventory)"] = set(catalogue[model]["kernel_modules"])
    warnings = []
    for device in found:
        if device.kind != GPU:
            continue
        name = known.get(device.device)
        if name:
            claims[f"{name} at {device.address}"] = set(catalogue[name]["kernel_modules"])
        else:
            claims[f"{NVIDIA}:{device.device} at {device.address}"] = {OPEN}
            warnings.append(
                f"the GPU {NVIDIA}:{device.device} at {device.address} is not in catalogue_gpus; taken for a"
                " newer one, which wants the open kernel module"
            )
    return _settle(wished, claims, tuple(warnings))


def _settle(wished: str, claims: Mapping[str, set[str]], warnings: tuple[str, ...]) -> Flavour:
    possible = set.intersection({OPEN, PROPRIETARY}, *claims.values())
    if not possible:
        told = "; ".join(f"{who} wants {' or '.join(sorted(what))}" for who, what in claims.items())
        return Flavour("", warnings, (f"no kernel module drives all GPUs of this host: {told}",))
    if wished == AUTO:
        return Flavour(OPEN if OPEN in possible else PROPRIETARY, warnings)
    if wished not in possible:
        who = ", ".join(name for name, what in claims.items() if wished not in what)
        remedy = f"write {sorted(possible)[0]}, or auto"
        return Flavour("", warnings, (f"the {wished} kernel module does not drive {who}; {remedy}",))
    return Flavour(wished, warnings)
