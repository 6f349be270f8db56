"""Rules of disks and storage tiers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bedplate import units
from bedplate.check.problem import Problem
from bedplate.check.rules import View, fleet_rule, host_rule
from bedplate.check.words import choose

Data = Mapping[str, Any]

# Members that a level needs, and how many of n hold data: the tables of plugins/module_utils/storage_tiers;
# a contract test holds one against the other.
SMALLEST = {0: 1, 1: 2, 5: 3, 6: 4, 10: 4}
_TIER_NAME = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,16}[a-z0-9])?"
)  # md keeps 32 bytes for its own name of the array
_MOUNT = re.compile(r"/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")


def data_disks(level: int, count: int) -> int:
    """Members that hold data rather than parity or copies."""
    return {0: count, 1: 1, 5: count - 1, 6: count - 2, 10: count // 2}[level]


def usable(tier: Data, disks: Sequence[Data]) -> int:
    """Bytes that a tier gives on these disks, before metadata; the smallest disk counts for all."""
    return min(units.parse_bytes(disk["size"]) for disk in disks) * data_disks(tier["raid"], len(disks))


@host_rule
def system_disk(hardware_disks: Sequence[Data]) -> Iterator[Problem]:
    """Exactly one disk carries the operating system."""
    marked = [index for index, disk in enumerate(hardware_disks) if disk.get("use") == "system"]
    if not marked:
        why = "no disk carries the operating system"
        yield Problem(("hardware_disks",), why, "mark the boot disk with use: system")
    for index in marked[1:]:
        why = f"disk {hardware_disks[marked[0]]['serial']} carries the operating system already"
        remedy = (
            "leave use: system on the boot disk alone (a mirrored pair is one disk to the operating system)"
        )
        yield Problem(("hardware_disks", index, "use"), why, remedy)


@fleet_rule
def serials_once(view: View) -> Iterator[Problem]:
    """A serial number is one disk's."""
    owners: dict[str, str] = {}
    for host, disks in view.each("hardware_disks"):
        for index, disk in enumerate(disks):
            if disk["serial"] in owners:
                why = f"a disk of {owners[disk['serial']]} has this serial number already"
                remedy = "write the serial that `lsblk -o NAME,SERIAL` shows, or run `bedplate discover`"
                yield Problem(("hardware_disks", index, "serial"), why, remedy, host=host)
            owners.setdefault(disk["serial"], host)


@host_rule
def tier_names(storage_tiers: Sequence[Data]) -> Iterator[Problem]:
    """Names and mount points: well formed, and each tier's own."""
    names: set[str] = set()
    mounts: dict[str, str] = {}
    for index, tier in enumerate(storage_tiers):
        key, mount = ("storage_tiers", index), tier["mount"].rstrip("/")
        if not _TIER_NAME.fullmatch(tier["name"]):
            why = "a tier's name has 1 to 18 of a-z, 0-9 and -, with no - at either end"
            yield Problem((*key, "name"), why, "write a name such as hot")
        if tier["name"] in names:
            why = f"another tier is called {tier['name']}"
            yield Problem((*key, "name"), why, "give each tier a name of its own")
        names.add(tier["name"])
        if not _MOUNT.fullmatch(mount) or ".." in mount:
            why = "a tier needs a directory of its own below one of the system's"
            yield Problem((*key, "mount"), why, f"write /srv/{tier['name']}")
            continue
        for other, owner in mounts.items():
            if f"{mount}/".startswith(f"{other}/") or f"{other}/".startswith(f"{mount}/"):
                why = f"tier {owner} is mounted at {other}: one would hide the other"
                yield Problem((*key, "mount"), why, f"write /srv/{tier['name']}")
        mounts[mount] = tier["name"]


@host_rule
def tier_choice(storage_tiers: Sequence[Data]) -> Iterator[Problem]:
    """A tier names its disks by class and count, or by serials; the level must be possible with so many."""
    for index, tier in enumerate(storage_tiers):
        key = ("storage_tiers", index)
        if bool(tier.get("disks")) == bool(tier.get("class")):
            given = "both" if tier.get("disks") else "neither"
            why = f"a tier names its disks by class and count or by disks (serials), and this one has {given}"
            yield Problem(key, why, "keep one of them", tier["name"])
        elif tier.get("class") and "count" not in tier:
            why = "a class needs an exact count"
            yield Problem((*key, "count"), why, "add count: the number of disks of this class")
        elif _count(tier) < SMALLEST[tier["raid"]]:
            least = SMALLEST[tier["raid"]]
            why = f"RAID {tier['raid']} needs at least {least} disks, and the tier has {_count(tier)}"
            yield Problem((*key, "raid"), why, f"choose {_possible(_count(tier))}")
        elif tier["raid"] == 10 and _count(tier) % 2:  # noqa: PLR2004
            why = f"RAID 10 pairs disks, and the tier has {_count(tier)}"
            yield Problem((*key, "raid"), why, "choose an even number of disks, or raid 5 or 6")


@host_rule
def tier_disks(storage_tiers: Sequence[Data], hardware_disks: Sequence[Data]) -> Iterator[Problem]:
    """The choice matches the host's disks exactly: one more or one fewer is refused, never stretched."""
    named: dict[str, str] = {}
    for index, tier in enumerate(storage_tiers):
        if not tier.get("class"):
            yield from _serials(index, tier, hardware_disks, named)
    classes: dict[str, str] = {}
    for index, tier in enumerate(storage_tiers):
        kind = tier.get("class")
        if not kind or tier.get("disks") or "count" not in tier:
            continue
        key = ("storage_tiers", index)
        found = candidates(tier, storage_tiers, hardware_disks)
        if kind in classes:
            why = f"tier {classes[kind]} takes the disks of class {kind} already"
            yield Problem((*key, "class"), why, "name the disks of each tier by disks: [serials]")
        elif len(found) != tier["count"]:
            there = _disks(len(found), kind)
            why = f"the host has {there} that no other tier names, and the tier wants {tier['count']}"
            remedy = (
                f"write count: {len(found)}, or name them by disks: [serials]"
                if found
                else f"add {kind} disks"
            )
            yield Problem((*key, "count"), why, remedy)
        classes.setdefault(kind, tier["name"])


@host_rule
def tier_promise(storage_tiers: Sequence[Data], hardware_disks: Sequence[Data]) -> Iterator[Problem]:
    """The promised capacity is there; disks of one tier are alike."""
    for index, tier in enumerate(storage_tiers):
        disks = candidates(tier, storage_tiers, hardware_disks)
        if not disks or len(disks) != _count(tier) or len(disks) < SMALLEST[tier["raid"]]:
            continue  # said by the rules above
        sizes = {units.parse_bytes(disk["size"]) for disk in disks}
        if len(sizes) > 1:
            why = "disks of different sizes in one tier: each counts only as much as the smallest"
            remedy = "name disks of one size by disks: [serials]"
            yield Problem(("storage_tiers", index), why, remedy, tier["name"], level="warning")
        yield from _capacity(index, tier, disks)


def _capacity(index: int, tier: Data, disks: Sequence[Data]) -> Iterator[Problem]:
    promise = tier.get("promise", {}).get("capacity")
    key = ("storage_tiers", index, "promise", "capacity")
    if promise is None:
        return
    try:
        wanted = units.parse_bytes(promise)
    except ValueError:
        yield Problem(key, "this is not a size with its unit", "write it like 16TB")
        return
    there = usable(tier, disks)
    if there < wanted:
        kind = f"{len(disks)} x {disks[0]['size']}"
        why = f"{kind} in RAID {tier['raid']} give {_terabytes(there)}, less than the tier promises"
        yield Problem(key, why, f"promise {_terabytes(there)} or less, or add disks")


def _serials(index: int, tier: Data, hardware: Sequence[Data], named: dict[str, str]) -> Iterator[Problem]:
    disks = {disk["serial"]: disk for disk in hardware}
    for place, serial in enumerate(tier.get("disks") or ()):
        key = ("storage_tiers", index, "disks", place)
        if serial not in disks:
            yield Problem(
                key, "hardware_disks has no disk with this serial number", choose(serial, disks), serial
            )
        elif disks[serial].get("use") == "system":
            why = "this disk carries the operating system"
            yield Problem(key, why, "name a data disk", serial)
        elif serial in named:
            why = f"tier {named[serial]} has this disk already"
            yield Problem(key, why, "a disk belongs to one tier: take it out of one of them", serial)
        named.setdefault(serial, tier["name"])


def candidates(tier: Data, tiers: Sequence[Data], hardware: Sequence[Data]) -> list[Data]:
    """Disks that a tier means: those it names, or those of its class that nobody else names."""
    if tier.get("disks"):
        return [disk for disk in hardware if disk["serial"] in tier["disks"]]
    named = {serial for other in tiers for serial in other.get("disks") or ()}
    mine = (disk for disk in hardware if disk["class"] == tier.get("class") and disk.get("use") != "system")
    return [disk for disk in mine if disk["serial"] not in named]


def _count(tier: Data) -> int:
    return len(tier.get("disks") or ()) or int(tier.get("count", 0))


def _possible(count: int) -> str:
    levels = [f"raid {level}" for level, least in SMALLEST.items() if least <= count and level] or ["raid 0"]
    return f"{' or '.join(levels)}, or more disks"


def _disks(count: int, kind: str) -> str:
    return f"{count} {kind} disk" + ("" if count == 1 else "s")


def _terabytes(size: int) -> str:
    return f"{size / 10**12:.6g}TB"
