"""What a probe means: pure functions from its JSON document to the ``hardware_`` variables of one host."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bedplate.inventory import Vars

KIB, MIB, GIB, TIB = 1024, 1024**2, 1024**3, 1024**4
GB, TB = 1000**3, 1000**4
SMALLEST_MARKETED = 100 * GB  # below, a disk is virtual, and its size a round binary number
MEMORY_STEPS = 16  # memory is plugged in sixteenths of the next smaller power of two
ETHERNET, INFINIBAND = 1, 32  # ARPHRD_ of <linux/if_arp.h>
GUID_BYTES = 8


@dataclass(frozen=True)
class Hardware:
    """One host: ``variables`` as they stand in hardware.yml, ``remarks`` on what could not be told."""

    variables: Vars
    remarks: tuple[str, ...] = ()


def interpret(probe: Vars, catalogue: Vars) -> Hardware:
    """The ``hardware_`` part of one host. ``catalogue`` is ``catalogue_gpus`` of inventories/_common."""
    gpus, remarks = _gpus(probe["accelerators"], catalogue)
    disks, unnamed = _disks(probe["disks"])
    variables: Vars = {"hardware_cpus": probe["cpus"], "hardware_memory": memory(**probe["memory"])}
    if gpus:
        variables["hardware_gpus"] = gpus
    variables["hardware_disks"] = disks
    nics = [_nic(nic) for nic in probe["nics"] if _is_own(nic)]
    variables["hardware_nics"] = nics
    remarks += unnamed
    remarks += [f"{nic['name']} does not say its speed: write it" for nic in nics if "speed" not in nic]
    return Hardware(variables, tuple(remarks))


def memory(usable: int, plugged: int) -> str:
    """Memory as it was bought: the kernel keeps part of it for itself, so what it may use is rounded up."""
    amount = plugged
    if not usable <= plugged <= usable * 1.25:
        step = max(MIB * 256, 1 << max(usable.bit_length() - 1, 0)) // MEMORY_STEPS
        amount = -(-usable // step) * step
    return f"{amount // GIB}GiB" if amount % GIB == 0 else f"{round(amount / MIB)}MiB"


def size(amount: int) -> str:
    """A disk's size as it is sold: 3,840,755,982,336 bytes are 3.84TB; round binary sizes stay binary."""
    if amount < SMALLEST_MARKETED and amount % MIB == 0:
        return f"{amount // GIB}GiB" if amount % GIB == 0 else f"{amount // MIB}MiB"
    if amount >= TB:
        return f"{_short(amount / TB)}TB"
    return f"{round(amount / GB)}GB"


def speed(megabits: int) -> str:
    """A link's speed: 100000 is 100Gbit."""
    return f"{_short(megabits / 1000)}Gbit" if megabits >= 1000 else f"{megabits}Mbit"  # noqa: PLR2004


def mac(address: str) -> str:
    """Six bytes in lower case; of an InfiniBand port's 20 bytes those of its GUID that make a MAC address."""
    parts = address.lower().split(":")
    guid = parts[-GUID_BYTES:]
    return ":".join(guid[:3] + guid[5:]) if len(parts) > GUID_BYTES else ":".join(parts)


def _disks(tree: list[Vars]) -> tuple[list[Vars], list[str]]:
    found, remarks = [], []
    for disk in tree:
        if disk["type"] != "disk" or disk["virtual"] or disk["usb"] or disk["rm"] or not disk["size"]:
            continue
        serial = (disk.get("serial") or "").strip()
        if not serial:
            remarks.append(f"{disk['name']} has no serial number and cannot be named: left out")
            continue
        entry = {"serial": serial, "class": _class(disk), "size": size(int(disk["size"]))}
        if "/" in _mount_points(disk):
            entry["use"] = "system"
        found.append(entry)
    return sorted(found, key=lambda entry: "use" not in entry), remarks


def _class(disk: Vars) -> str:
    if disk["name"].startswith("nvme"):
        return "nvme"
    return "hdd" if disk["rota"] else "ssd"


def _mount_points(disk: Vars) -> Iterator[str]:
    yield from (point for point in disk.get("mountpoints") or [] if point)
    for child in disk.get("children", []):
        yield from _mount_points(child)


def _is_own(nic: Vars) -> bool:
    return nic["type"] in (ETHERNET, INFINIBAND) and not nic["virtual_function"] and not nic["usb"]


def _nic(nic: Vars) -> Vars:
    entry = {"name": nic["name"], "mac": mac(nic["address"])}
    infiniband = re.match(r"([\d.]+) Gb/sec", nic["rate"]) if nic["type"] == INFINIBAND else None
    megabits = round(float(infiniband[1]) * 1000) if infiniband else max(nic["speed"], 0) or nic["fastest"]
    if megabits:
        entry["speed"] = speed(megabits)
    return entry | {"kind": "infiniband" if nic["type"] == INFINIBAND else "ethernet"}


def _gpus(accelerators: list[Vars], catalogue: Vars) -> tuple[Vars, list[str]]:
    known = {(id_, "10de"): model for model, gpu in catalogue.items() for id_ in _ids(gpu)}
    cards = [card for card in accelerators if card["class"].startswith(("0302", "0300", "1200"))]
    models = Counter(known[key] for card in cards if (key := (card["device"], card["vendor"])) in known)
    strangers = sorted(
        {card["device"] for card in cards if card["vendor"] == "10de"} - {key[0] for key in known}
    )
    remarks = [f"GPU 10de:{device} is not in inventories/_common/gpus.yml: add it" for device in strangers]
    if len(models) > 1:
        listed = ", ".join(f"{count} of {model}" for model, count in models.items())
        remarks.append(f"GPUs of several models ({listed}): an inventory knows one model per host")
    if not models:
        return {}, remarks
    model, count = models.most_common(1)[0]
    return {"model": model, "count": count}, remarks


def _ids(gpu: Vars) -> Iterable[str]:
    ids: list[Any] = gpu.get("device_ids", [])
    return (str(id_).lower().removeprefix("0x") for id_ in ids)


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
