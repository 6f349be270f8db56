"""The planner: ``plan(tiers, host, settings)`` gives actions or refusals. Pure; nothing is touched here.

All or nothing: with one refusal no tier gets an action. An empty plan means that the host is as wished. Where
what comes next depends on what a cut run left behind an array that is not assembled yet, the plan ends there
and says so; planning again after its actions continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import config
from .actions import Action, MountTier, RefreshInitramfs, WriteFile
from .choose import Hardware, Refusal, array_of, candidates, inexact, prepare, with_class
from .emptiness import found
from .existing import existing
from .model import Disk, Host, Record, Tier
from .steps import Outcome, create, new_record


@dataclass(frozen=True)
class Settings:
    """What the role decides for all tiers."""

    hardware: Hardware = field(default_factory=lambda: Hardware({}))
    keys: str = "/etc/bedplate/storage_tiers"
    mount_options: str = "noatime,nofail,x-systemd.device-timeout=10min"
    initramfs: bool = True


@dataclass(frozen=True)
class Plan:
    """Actions in order, refusals, and notes on what a person should look at."""

    actions: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """One line for each action, for people."""
        return [action.line for action in self.actions]


def plan(tiers: Sequence[Tier], host: Host, settings: Settings) -> Plan:
    """What has to be done for ``tiers`` on ``host``."""
    host = prepare(host, settings.hardware)
    tiers = [with_class(t, host) for t in tiers]
    outcomes = [_tier(t, tiers, host, settings) for t in tiers]
    for outcome in outcomes:
        _mount_point(outcome, host)
    refusals = tuple(r for o in outcomes for r in o.refusals)
    notes = tuple(n for o in outcomes for n in o.notes) + _forgotten(tiers, host)
    if refusals:
        return Plan((), refusals, notes)
    actions = [a for o in outcomes for a in o.actions]
    actions += _files(outcomes, host, settings)
    actions += _mounts(outcomes, host)
    return Plan(tuple(actions), (), notes)


def _tier(tier: Tier, tiers: Sequence[Tier], host: Host, settings: Settings) -> Outcome:
    uuids = array_of(tier, host)
    members = [d for d in host.disks if d.superblock and d.superblock.uuid in uuids]
    chosen = candidates(tier, tiers, host)
    if members:
        return existing(tier, members, chosen, host, settings.hardware)
    return _new(tier, chosen, host, settings.hardware)


def _new(tier: Tier, chosen: Sequence[Disk], host: Host, hardware: Hardware) -> Outcome:
    record = host.record(tier.name)
    outcome = Outcome(tier, refusals=inexact(tier, chosen, host, hardware), record=record)
    for disk in chosen:
        for item in found(disk):
            outcome.refuse(str(disk), item.what, item.remedy)
    if record and record.ready:
        outcome.refuse(
            f"array {tier.array_name}",
            f"it was made ({record.md_uuid}) and is on no disk of this host",
            f"bring back its disks ({', '.join(record.serials)}); or, if they are gone for good,"
            " forget the tier with playbooks/storage_wipe.yml",
        )
    if not outcome.refusals:
        create(outcome, new_record(tier, chosen, host), chosen, host)
    return outcome


def _mount_point(outcome: Outcome, host: Host) -> None:
    """What stands in the way of mounting: another mount, files that would be hidden, lines of others."""
    tier, record = outcome.tier, outcome.record
    own = _device(outcome, host)
    for source, point in host.mounts:
        if point == tier.mount and source != own:
            outcome.refuse(tier.mount, f"{source} is mounted there", "unmount it, or choose another `mount`")
        if source == own and own and point != tier.mount:
            what = f"the tier is mounted at {point}"
            outcome.refuse(tier.mount, what, f"end what uses it, unmount {point}, and run again")
    if tier.mount in host.filled:
        what = "the folder holds files, which mounting would hide"
        outcome.refuse(tier.mount, what, "move them away; they belong on the tier, or elsewhere")
    if record:
        for what, remedy in config.conflicts(record, host.files):
            outcome.refuse(tier.mount, what, remedy)


def _device(outcome: Outcome, host: Host) -> str:
    array = host.array(outcome.record.md_uuid) if outcome.record else None
    if array is None:
        return ""
    return array.mapping.device if array.mapping else array.device


def _ready(outcomes: Sequence[Outcome], host: Host) -> list[Record]:
    """Records of ready tiers as they will be, those of tiers that the inventory no longer has included."""
    wished = {o.tier.name for o in outcomes}
    records = [o.record for o in outcomes if o.record] + [r for r in host.records if r.tier not in wished]
    return [r for r in records if r.ready]


def _files(outcomes: Sequence[Outcome], host: Host, settings: Settings) -> list[Action]:
    tiers = [o.tier for o in outcomes]
    ready = _ready(outcomes, host)
    after = config.texts(ready, tiers, host.files, settings.keys, settings.mount_options)
    actions: list[Action] = [
        WriteFile("", path, host.files.get(path, ""), text)
        for path, text in after.items()
        if text != host.files.get(path, "")
    ]
    digest = config.digest(after[config.MDADM_CONF])
    if settings.initramfs and ready and digest != host.initramfs:
        actions.append(RefreshInitramfs("", digest))
    return actions


def _mounts(outcomes: Sequence[Outcome], host: Host) -> list[Action]:
    return [
        MountTier(o.tier.name, o.tier.mount, o.record.fs_uuid)
        for o in outcomes
        if o.record and o.record.ready and o.tier.mount not in {point for _, point in host.mounts}
    ]


def _forgotten(tiers: Sequence[Tier], host: Host) -> tuple[str, ...]:
    wished: dict[str, Tier] = {t.name: t for t in tiers}
    return tuple(
        f"tier {r.tier} is no longer in the inventory; its array, its data and its mount are left as they are"
        for r in host.records
        if r.tier not in wished and r.ready
    )
