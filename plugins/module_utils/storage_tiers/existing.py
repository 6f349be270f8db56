"""A tier whose array, or a part of it, is already on the disks: adopt, assemble, repair; never grow or re-
make.

The one exception is an array that a cut run of ours left half made: its record is not ready, every disk is
one of the record's, those without a superblock are empty, and no superblock says that the array ever ran.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .actions import AddMember, AssembleArray, ClearMember, OpenLuks, RemoveMember, StopArray, target
from .choose import Hardware, mislabelled
from .emptiness import Found, found
from .model import MAY_MISS, Array, Disk, Host, Record, Superblock, Tier
from .steps import WIPE, Outcome, create, fill


def existing(
    tier: Tier, members: Sequence[Disk], chosen: Sequence[Disk], host: Host, hardware: Hardware
) -> Outcome:
    """``members`` carry a superblock of the tier's array, ``chosen`` are the disks that the wish means."""
    outcome = Outcome(tier, record=host.record(tier.name))
    _fits(outcome, members, hardware)
    if outcome.refusals:
        return outcome
    array = host.array(_superblock(members[0]).uuid)
    if array is not None and array.active:
        _repair(outcome, array, members, chosen)
        _adopt(outcome, array, members, host)
        if not outcome.refusals:
            fill(outcome, array, host)
            _members_known(outcome, array, host)
    elif not _made_again(outcome, array, members, host):
        _assemble(outcome, array, members, host)
    return outcome


def _fits(outcome: Outcome, members: Sequence[Disk], hardware: Hardware) -> None:
    tier = outcome.tier
    uuids = sorted({_superblock(d).uuid for d in members})
    if len(uuids) > 1:
        what = f"{len(uuids)} arrays bear this name: {', '.join(uuids)}, on {', '.join(map(str, members))}"
        outcome.refuse(
            f"array {tier.array_name}", what, "take the disks of the one that is not wanted out of the host"
        )
        return
    for disk in members:
        block = _superblock(disk)
        if (block.level, block.devices) != (tier.raid, tier.count):
            is_, asked = f"RAID {block.level} of {block.devices}", f"RAID {tier.raid} of {tier.count}"
            what = f"its array is {is_} disks, the tier is {asked}"
            outcome.refuse(
                str(disk),
                what,
                f"correct the tier in the inventory (arrays are never reshaped here); or, {WIPE}",
            )
        if tier.serials and disk.serial not in tier.serials:
            what = f"it is a member of {tier.array_name} and `disks` does not name it"
            outcome.refuse(
                str(disk), what, "add its serial to `disks`, in the place of the one that it replaced"
            )
        elif not tier.serials and disk.kind != tier.kind:
            what = f"it is a member of {tier.array_name} and of class {disk.kind}, not {tier.kind}"
            outcome.refuse(str(disk), what, "correct `class` in the inventory")
        label = mislabelled(tier, disk, hardware)
        if label:
            outcome.refusals.append(label)


def _adopt(outcome: Outcome, array: Array, members: Sequence[Disk], host: Host) -> None:
    """An array that bears our name and that this host has no record of (the system was installed anew)."""
    tier = outcome.tier
    if outcome.record or outcome.refusals:
        return
    content, luks = array.content, ""
    if content.kind == "luks" and tier.encrypt:
        luks = content.uuid
        if not array.mapping:
            _open_to_adopt(outcome, array, host)
            return
        content = array.mapping.content
    if content.kind != "xfs" or not content.complete:
        holds = content.kind or "something unread"
        what = f"it bears our name, this host has no record of it, and it holds {holds}, not XFS"
        outcome.refuse(f"array {tier.array_name} on {', '.join(map(str, members))}", what, WIPE)
        return
    serials = tuple(d.serial for d in members)
    record = Record(tier.name, array.uuid, content.uuid, luks, tier.raid, serials, tier.mount, ready=True)
    outcome.keep(record, f"the array {array.uuid}, which is ours and adopted")


def _open_to_adopt(outcome: Outcome, array: Array, host: Host) -> None:
    tier = outcome.tier
    if tier.name in host.keys and array.content.key_fits:
        outcome.actions.append(OpenLuks(tier.name, tier.array_name, array.content.uuid))
        outcome.notes.append(f"tier {tier.name}: its container must be open before it can be adopted")
    else:
        remedy = "bring back the key file of the tier (0400, root) from where keys are escrowed"
        outcome.refuse(
            f"array {tier.array_name}", "no key file on this host opens its LUKS container", remedy
        )


def _made_again(outcome: Outcome, array: Array | None, members: Sequence[Disk], host: Host) -> bool:
    """Make again what a cut run left half made; False where it is not that."""
    record = outcome.record
    if record is None or record.ready or len(members) >= outcome.tier.count:
        return False
    if any(_superblock(d).events for d in members) or not {d.serial for d in members} <= set(record.serials):
        return False
    disks = [d for serial in record.serials for d in host.disks if d.serial == serial]
    if len(disks) != len(record.serials):
        return False
    uuid = record.md_uuid
    for disk in disks:
        for item in _besides(disk, uuid, array) if disk in members else found(disk):
            outcome.refuse(str(disk), item.what, item.remedy)
    if outcome.refusals:
        return True
    if array:
        outcome.actions.append(StopArray(outcome.tier.name, array.path, uuid))
    outcome.actions += [ClearMember(outcome.tier.name, target(d), uuid) for d in members]
    create(outcome, record, disks, host)
    return True


def _assemble(outcome: Outcome, array: Array | None, members: Sequence[Disk], host: Host) -> None:
    tier, missing = outcome.tier, outcome.tier.count - len(members)
    uuid = _superblock(members[0]).uuid
    allowed = tier.count - 1 if tier.raid == 1 else MAY_MISS[tier.raid]
    if missing > allowed:
        what = f"only {len(members)} of its {tier.count} members are there: {', '.join(map(str, members))}"
        outcome.refuse(
            f"array {tier.array_name}", what, "bring back the missing disks; the array cannot start without"
        )
        return
    for disk in members:
        for item in _besides(disk, uuid, array):
            outcome.refuse(str(disk), item.what, item.remedy)
    if array:
        outcome.actions.append(StopArray(tier.name, array.path, uuid))
    disks = tuple(target(d) for d in members)
    outcome.actions.append(AssembleArray(tier.name, tier.array_name, uuid, disks, missing > 0))
    record = outcome.record
    if record and record.ready:
        if record.luks_uuid and tier.encrypt and tier.name in host.keys:
            outcome.actions.append(OpenLuks(tier.name, tier.array_name, record.luks_uuid))
        outcome.notes.append(f"tier {tier.name}: what it holds is checked once it is assembled")
    else:
        outcome.record = None
        outcome.notes.append(
            f"tier {tier.name}: what a cut run left on the array is seen once it is assembled"
        )


def _repair(outcome: Outcome, array: Array, members: Sequence[Disk], chosen: Sequence[Disk]) -> None:
    """Fill the places of failed or missing members: with the array's own disk, or with an empty one."""
    tier = outcome.tier
    inside = {m.disk for m in array.members}
    faulty = [m.disk for m in array.members if not m.working]
    need = array.devices - (len(inside) - len(faulty))
    if need <= 0:
        return
    back, refused = _returned(array, members, inside)
    empties, blocked = _empties(array, chosen, inside | {d.name for d in members})
    if len(empties) > need - len(back[:need]) and len(back) < need:
        listed = ", ".join(map(str, empties))
        what = f"{need} of its members is missing and {len(empties)} empty disks could replace it: {listed}"
        outcome.refuse(f"array {tier.array_name}", what, "take the others out, or name the disks by `disks`")
        return
    adding = [(d, True) for d in back][:need]
    adding += [(d, False) for d in empties][: need - len(adding)]
    if len(adding) < need and (blocked or refused):
        for disk, item in refused + blocked:
            outcome.refuse(str(disk), f"it cannot replace a member: {item.what}", item.remedy)
    if len(adding) < need:
        short = need - len(adding)
        outcome.notes.append(
            f"tier {tier.name} is degraded: {short} of {array.devices} members failed or missing;"
            f" put an empty disk of class {tier.kind} in and run again"
        )
    if len(adding) == need:
        outcome.actions += [RemoveMember(tier.name, array.uuid, name) for name in faulty]
    outcome.actions += [AddMember(tier.name, array.uuid, target(d), own) for d, own in adding]


def _returned(
    array: Array, members: Sequence[Disk], inside: set[str]
) -> tuple[list[Disk], list[tuple[Disk, Found]]]:
    """Disks that carry the array's superblock and are not in it, and why some of them are not taken back."""
    newest = max((_superblock(d).events for d in members if d.name in inside), default=0)
    back, refused = [], []
    for disk in members:
        if disk.name in inside:
            continue
        reasons = list(_besides(disk, array.uuid, array))
        if _superblock(disk).events > newest:
            what = "its copy of the array is newer than the one that runs"
            reasons.append(Found(what, "decide which copy is right before one is overwritten"))
        if reasons:
            refused += [(disk, reason) for reason in reasons]
        else:
            back.append(disk)
    return back, refused


def _empties(
    array: Array, chosen: Sequence[Disk], known: set[str]
) -> tuple[list[Disk], list[tuple[Disk, Found]]]:
    empties, blocked = [], []
    for disk in chosen:
        if disk.name in known:
            continue
        reasons = list(found(disk))
        if disk.size < array.component:
            reasons.append(
                Found(f"it has {disk.size} bytes, a member needs {array.component}", "use a larger disk")
            )
        if reasons:
            blocked += [(disk, reason) for reason in reasons]
        else:
            empties.append(disk)
    return empties, blocked


def _members_known(outcome: Outcome, array: Array, host: Host) -> None:
    """Keep the record's serials true after a replacement."""
    names = {m.disk for m in array.members if m.working}
    serials = {d.serial for d in host.disks if d.name in names}
    serials |= {a.disk.serial for a in outcome.actions if isinstance(a, AddMember)}
    record = outcome.record
    if record and len(serials) == array.devices and serials != set(record.serials):
        outcome.keep(replace(record, serials=tuple(sorted(serials))), "its members")


def _besides(disk: Disk, uuid: str, array: Array | None) -> tuple[Found, ...]:
    """What is on a disk of ours besides the superblock of array ``uuid`` and, waiting, that array itself."""
    holders = tuple(h for h in disk.holders if not (array and h.name == array.device))
    signatures = tuple(
        s for s in disk.signatures if not (s.type == "linux_raid_member" and s.device == disk.path)
    )
    busy = disk.busy if len(holders) == len(disk.holders) else ""
    bare = replace(disk, holders=holders, signatures=signatures, busy=busy, superblock=None, stray=None)
    return found(bare) if _superblock(disk).uuid == uuid else found(disk)


def _superblock(disk: Disk) -> Superblock:
    assert disk.superblock is not None
    return disk.superblock
