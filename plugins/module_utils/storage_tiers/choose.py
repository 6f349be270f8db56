"""Which disks a tier means, and whether that choice is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .model import HOMEHOST, Disk, Host, Tier


@dataclass(frozen=True)
class Refusal:
    """Why a tier is not touched: the object, what was found, and what to do."""

    tier: str
    device: str
    found: str
    remedy: str

    def __str__(self) -> str:
        where = f"tier {self.tier}: " if self.tier else ""
        return f"{where}{self.device}: {self.found}. Remedy: {self.remedy}."


@dataclass(frozen=True)
class Hardware:
    """What the inventory says of the disks: class by serial, and the serials that are the system's."""

    classes: dict[str, str]
    system: frozenset[str] = frozenset()


def prepare(host: Host, hardware: Hardware) -> Host:
    """The host with the disks that the inventory calls system disks marked so."""
    disks = tuple(replace(d, system=d.system or d.serial in hardware.system) for d in host.disks)
    return replace(host, disks=disks)


def with_class(tier: Tier, host: Host) -> Tier:
    """A tier named by serials gets the class of its disks, if they share one."""
    kinds = {d.kind for d in host.disks if d.serial in tier.serials}
    return replace(tier, kind=kinds.pop()) if not tier.kind and len(kinds) == 1 else tier


def array_of(tier: Tier, host: Host) -> tuple[str, ...]:
    """UUIDs of the arrays that are this tier's: the recorded one, else those that bear its name."""
    record = host.record(tier.name)
    if record:
        return (record.md_uuid,)
    name = f"{HOMEHOST}:{tier.array_name}"
    found = {d.superblock.uuid for d in host.disks if d.superblock and d.superblock.name == name}
    return tuple(sorted(found))


def candidates(tier: Tier, tiers: Sequence[Tier], host: Host) -> list[Disk]:
    """Disks that the wish means, whatever their state; never the system's, never another tier's."""
    if tier.serials:
        return [d for d in host.disks if d.serial in tier.serials]
    named = {s for t in tiers for s in t.serials}
    others = {u for t in tiers if t.name != tier.name for u in array_of(t, host)}
    return [
        d
        for d in host.disks
        if d.kind == tier.kind
        and not d.system
        and d.serial not in named
        and not (d.superblock and d.superblock.uuid in others)
    ]


def inexact(tier: Tier, chosen: Sequence[Disk], host: Host, hardware: Hardware) -> list[Refusal]:
    """Refusals where the choice is not exactly what the inventory says."""
    refusals = _twins(tier, chosen)
    if tier.serials:
        present = {d.serial for d in chosen}
        there = ", ".join(str(d) for d in host.disks if not d.system) or "none"
        for serial in tier.serials:
            if serial not in present:
                remedy = f"correct `disks`; disks of this host: {there}"
                refusals.append(Refusal(tier.name, f"serial {serial}", "no disk of this host has it", remedy))
    elif len(chosen) != tier.count:
        listed = ", ".join(str(d) for d in chosen) or "none"
        found = f"{tier.count} disks are asked for and {len(chosen)} match: {listed}"
        remedy = "correct `count`, name the disks by `disks`, or add or remove disks"
        refusals.append(Refusal(tier.name, f"class {tier.kind}", found, remedy))
    for disk in chosen:
        refusal = mislabelled(tier, disk, hardware)
        if refusal:
            refusals.append(refusal)
    return refusals


def mislabelled(tier: Tier, disk: Disk, hardware: Hardware) -> Refusal | None:
    """The inventory and the kernel must agree on what a disk is."""
    said = hardware.classes.get(disk.serial, disk.kind)
    if said == disk.kind or not disk.kind:
        return None
    found = f"hardware_disks says {said}, the kernel says {disk.kind}"
    return Refusal(tier.name, str(disk), found, "correct hardware_disks, or put the right disk into the slot")


def _twins(tier: Tier, chosen: Sequence[Disk]) -> list[Refusal]:
    serials = [d.serial for d in chosen]
    return [
        Refusal(
            tier.name,
            str(disk),
            f"{serials.count(disk.serial)} devices answer to this serial",
            "set up multipath or remove the second path: one disk must not be used twice",
        )
        for disk in chosen
        if disk.serial and serials.count(disk.serial) > 1
    ]
