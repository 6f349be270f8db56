"""Steps for one tier: making its array, and what comes on top of it (LUKS, XFS). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .actions import (
    Action,
    CreateArray,
    FormatLuks,
    MakeFilesystem,
    MakeKey,
    OpenLuks,
    Remember,
    target,
)
from .choose import Refusal
from .layout import chunk, luks_offset, stripe
from .model import Array, Content, Disk, Host, Record, Tier, identity, md_format

WIPE = "if nothing on it is needed, wipe its disks with playbooks/storage_wipe.yml"
STILL_OPEN = (
    "do not close it and do not reboot: copy what it holds, or put the header's backup back with"
    " cryptsetup luksHeaderRestore"
)


@dataclass
class Outcome:
    """What planning one tier came to; ``record`` is what is remembered once the actions are done."""

    tier: Tier
    actions: list[Action] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    record: Record | None = None

    def refuse(self, device: str, found: str, remedy: str) -> Outcome:
        """Add a refusal."""
        self.refusals.append(Refusal(self.tier.name, device, found, remedy))
        return self

    def keep(self, record: Record, why: str) -> None:
        """Remember ``record`` if it says something new."""
        if record != self.record:
            self.actions.append(Remember(self.tier.name, record, why))
        self.record = record


def new_record(tier: Tier, disks: Sequence[Disk], host: Host) -> Record:
    """The record of a tier that is about to be made; every UUID is chosen here."""
    serials = tuple(d.serial for d in disks)

    def part(name: str) -> str:
        return str(identity(host.machine_id, tier, serials, name))

    return Record(
        tier=tier.name,
        md_uuid=md_format(identity(host.machine_id, tier, serials, "md")),
        fs_uuid=part("xfs"),
        luks_uuid=part("luks") if tier.encrypt else "",
        level=tier.raid,
        serials=serials,
        mount=tier.mount,
    )


def create(outcome: Outcome, record: Record, disks: Sequence[Disk], host: Host) -> None:
    """Make the array of ``disks`` (already known to be free) and everything on it."""
    tier = outcome.tier
    outcome.keep(record, f"the array that is about to be made ({record.md_uuid})")
    outcome.actions.append(
        CreateArray(
            tier.name,
            tier.array_name,
            record.md_uuid,
            tier.raid,
            chunk(tier),
            all(d.kind != "hdd" for d in disks),
            tuple(target(d) for d in disks),
        )
    )
    empty = Array(
        "", record.md_uuid, tier.array_name, tier.raid, tier.count, True, (), content=Content("empty")
    )
    fill(outcome, empty, host)


def fill(outcome: Outcome, array: Array, host: Host) -> None:
    """Bring what an active array of ours holds to a mounted filesystem's state, or refuse."""
    tier, record = outcome.tier, outcome.record
    if array.mapping and not (array.content.kind == "luks" and array.content.complete):
        what = f"its container is open as {array.mapping.name}, and its LUKS header is damaged or gone"
        outcome.refuse(_name(tier), what, STILL_OPEN)
    elif tier.encrypt:
        _container(outcome, array, host)
    elif array.content.kind == "luks":
        outcome.refuse(
            _name(tier), "it holds a LUKS container, and the tier is not to be encrypted", _either(tier)
        )
    elif record is not None:
        _filesystem(outcome, array.content, "")
    if outcome.record and outcome.record.ready and outcome.record.mount != tier.mount:
        outcome.keep(replace(outcome.record, mount=tier.mount), f"the mount point {tier.mount}")


def _container(outcome: Outcome, array: Array, host: Host) -> None:
    tier, record, content = outcome.tier, outcome.record, array.content
    if record is None:
        return
    making = not record.ready
    fresh = content.kind == "empty" or (content.kind == "bytes" and content.own)
    cut = content.kind == "luks" and content.uuid == record.luks_uuid and not content.complete
    if making and (fresh or cut):
        if tier.name not in host.keys:
            outcome.actions.append(MakeKey(tier.name))
        over_own = content.kind != "empty"
        offset = luks_offset(tier)
        outcome.actions.append(FormatLuks(tier.name, record.md_uuid, record.luks_uuid, offset, over_own))
        outcome.actions.append(OpenLuks(tier.name, tier.array_name, record.luks_uuid))
        _filesystem(outcome, Content("empty"), tier.array_name)
    elif content.kind != "luks":
        outcome.refuse(
            _name(tier), f"it holds {_what(content)} where its LUKS container should be", _either(tier)
        )
    elif content.uuid != record.luks_uuid:
        outcome.refuse(_name(tier), f"it holds another LUKS container ({content.uuid})", WIPE)
    elif array.mapping:
        _inside(outcome, array.mapping.content)
    elif tier.name not in host.keys or not content.key_fits:
        remedy = "bring back the key file of the tier (0400, root) from where keys are escrowed"
        outcome.refuse(_name(tier), "no key file on this host opens its LUKS container", remedy)
    else:
        outcome.actions.append(OpenLuks(tier.name, tier.array_name, record.luks_uuid))
        if making:
            outcome.notes.append(
                f"tier {tier.name}: what a cut run left inside the container is seen once it is open"
            )


def _inside(outcome: Outcome, content: Content) -> None:
    """An opened container of ours: what is in it before mkfs is noise, the zeroes of the array decrypted."""
    record = outcome.record
    noise = content.kind == "bytes" and record is not None and not record.ready
    _filesystem(outcome, Content("empty") if noise else content, outcome.tier.array_name)


def _filesystem(outcome: Outcome, content: Content, mapping: str) -> None:
    tier, record = outcome.tier, outcome.record
    if record is None:
        return
    complete = content.kind == "xfs" and content.complete
    if complete and (record.ready or content.uuid == record.fs_uuid):
        why = "that the tier is ready" if not record.ready else f"its filesystem ({content.uuid})"
        outcome.keep(replace(record, ready=True, fs_uuid=content.uuid), why)
        return
    fresh = content.kind == "empty"
    cut = content.kind == "xfs" and content.uuid == record.fs_uuid and not content.complete
    if not record.ready and (fresh or cut or (content.kind == "bytes" and content.own)):
        make = MakeFilesystem(tier.name, record.md_uuid, mapping, record.fs_uuid, stripe(tier), not fresh)
        outcome.actions.append(make)
        outcome.keep(replace(record, ready=True), "that the tier is ready")
        return
    outcome.refuse(_name(tier), f"it holds {_what(content)} where its XFS should be", _either(outcome.tier))


def _name(tier: Tier) -> str:
    return f"array {tier.array_name}"


def _either(tier: Tier) -> str:
    return f"correct the tier {tier.name} in the inventory; or, {WIPE}"


def _what(content: Content) -> str:
    if content.kind == "empty":
        return "nothing but zeroes"
    if content.kind == "bytes":
        return "bytes that no known signature explains"
    state = "" if content.complete else ", half made,"
    return f"{content.kind}{state}" + (f" ({content.uuid})" if content.uuid else "")
