"""No observed state, however odd, leads to a plan that touches a disk that is not empty or ours."""

from dataclasses import fields, replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from storage_samples import COLD, HOT, MACHINE, SCRATCH, SETS, SETTINGS, WARM, disk, member
from storage_tiers import actions as do
from storage_tiers.choose import prepare
from storage_tiers.emptiness import found
from storage_tiers.model import (
    Array,
    Content,
    Disk,
    Holder,
    Host,
    Mapping,
    Member,
    Record,
    Signature,
    Superblock,
    Tier,
)
from storage_tiers.plan import plan
from storage_world import cuts, fresh, reboot

UUIDS = tuple(":".join([c * 8] * 4) for c in "abcd")  # few, so that records, superblocks and arrays meet
NAMES = ("any:bedplate-hot", "any:bedplate-warm", "any:bedplate-scratch", "elsewhere:data", "")
TIERS = (
    HOT,
    WARM,
    COLD,
    SCRATCH,
    replace(HOT, raid=10),
    replace(SCRATCH, count=1),
    replace(COLD, encrypt=True),
)
KINDS = ("nvme", "nvme", "ssd", "hdd", "")
maybe = st.booleans()
rarely = st.sampled_from([False] * 7 + [True])

superblocks = st.builds(
    Superblock,
    uuid=st.sampled_from(UUIDS),
    name=st.sampled_from(NAMES),
    level=st.sampled_from([0, 1, 5, 10, -1]),
    devices=st.sampled_from([1, 2, 3, 4]),
    events=st.sampled_from([0, 0, 5, 80]),
)


@st.composite
def any_disk(draw: st.DrawFn, name: str) -> Disk:
    """A disk: mostly empty or a member, sometimes with anything else on it."""
    made = disk(name, draw(st.sampled_from(KINDS)))
    if draw(maybe):
        made = member(made, draw(superblocks))
    odd = {
        "system": True,
        "read_only": True,
        "partitions": ("p1",),
        "signatures": (Signature(made.path, "ext4", 1080),),
        "holders": (Holder(draw(st.sampled_from(["md127", "md126", "dm-0"])), "md"),),
        "mounts": ("/data",),
        "swaps": (name,),
        "claims": ("multipath claims it",),
        "busy": "EBUSY",
        "stray": 17,
        "unreadable": "I/O error",
        "serial": "",
        "size": 10**9,
    }
    return replace(made, **{fact: value for fact, value in odd.items() if draw(rarely)})


contents = st.builds(
    Content,
    kind=st.sampled_from(["empty", "xfs", "luks", "bytes", "ext4"]),
    uuid=st.sampled_from(["f-1", "f-2", "l-1"]),
    complete=maybe,
    own=rarely,
    key_fits=maybe,
)


@st.composite
def any_array(draw: st.DrawFn, device: str, names: list[str]) -> Array:
    """An array of some of the disks, in any condition."""
    block = draw(superblocks)
    inside = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
    states = st.sampled_from(["in_sync", "in_sync", "spare", "faulty"])
    members = tuple(Member(name, draw(states)) for name in inside)
    content = draw(contents)
    opened = (
        Mapping("dm-0", "bedplate-warm", content.uuid, draw(contents)) if content.kind == "luks" else None
    )
    return Array(
        device,
        block.uuid,
        block.name,
        block.level,
        block.devices,
        draw(maybe),
        members,
        draw(st.sampled_from([0, 10**12])),
        content=content,
        mapping=opened if draw(maybe) else None,
    )


@st.composite
def any_host(draw: st.DrawFn) -> Host:
    """A host in any state, likely or not."""
    names = [f"d{n}" for n in range(draw(st.integers(0, 6)))]
    there = tuple(draw(any_disk(name)) for name in names)
    serials = [d.serial for d in there] or ["SN-x"]
    records = st.builds(
        Record,
        tier=st.sampled_from(["hot", "warm", "cold", "scratch"]),
        md_uuid=st.sampled_from(UUIDS),
        fs_uuid=st.sampled_from(["f-1", "f-2"]),
        luks_uuid=st.sampled_from(["", "l-1"]),
        level=st.sampled_from([0, 1, 5]),
        serials=st.lists(st.sampled_from(serials), unique=True, max_size=4).map(tuple),
        mount=st.just("/srv/hot"),
        ready=maybe,
    )
    return Host(
        MACHINE,
        there,
        tuple(draw(any_array(device, names)) for device in ("md127", "md126")[: draw(st.integers(0, 2))]),
        tuple(draw(st.lists(records, max_size=2, unique_by=lambda r: r.tier))),
        keys=frozenset(draw(st.sets(st.sampled_from(["warm", "cold"])))),
    )


wishes = st.lists(st.sampled_from(TIERS), min_size=1, max_size=3, unique_by=lambda t: t.name)


@cache
def likely_states() -> list[tuple[tuple[Tier, ...], Host]]:
    """Hosts on which a run was cut somewhere, before and after a reboot."""
    found_ = []
    for tiers in SETS.values():
        for state in cuts(fresh(tiers), tiers):
            found_ += [(tiers, w.host) for w in (state, reboot(state, True), reboot(state, False))]
    return found_


def _change_disk(draw: st.DrawFn, host: Host) -> Host:
    """Something else is found on one disk, or another disk stands in its place."""
    victim = draw(st.sampled_from(host.disks))
    other = draw(any_disk(victim.name))
    fact = draw(st.sampled_from([f.name for f in fields(Disk) if f.name != "name"]))
    changed = replace(victim, **{fact: getattr(other, fact)})
    return replace(host, disks=tuple(changed if d is victim else d for d in host.disks))


def _change_array(draw: st.DrawFn, host: Host) -> Host:
    """One array holds something else, or is in another condition."""
    if not host.arrays:
        return host
    victim = draw(st.sampled_from(host.arrays))
    other = draw(any_array(victim.device, [d.name for d in host.disks]))
    fact = draw(st.sampled_from(["content", "members", "active", "mapping", "component", "uuid"]))
    changed = replace(victim, **{fact: getattr(other, fact)})
    return replace(host, arrays=tuple(changed if a is victim else a for a in host.arrays))


def _change_record(draw: st.DrawFn, host: Host) -> Host:
    """A record is lost, or says something else."""
    if not host.records or draw(maybe):
        return replace(host, records=())
    odd = {"ready": draw(maybe), "serials": ("SN-x",), "md_uuid": UUIDS[0], "fs_uuid": "f-9", "luks_uuid": ""}
    fact = draw(st.sampled_from(list(odd)))
    return replace(host, records=(replace(host.records[0], **{fact: odd[fact]}), *host.records[1:]))


def _lose_disk(draw: st.DrawFn, host: Host) -> Host:
    """A disk is gone; sometimes an empty one is there instead."""
    victim = draw(st.sampled_from(host.disks))
    left = tuple(d for d in host.disks if d is not victim)
    spare = (disk(f"spare-{victim.name}", victim.kind),) if draw(maybe) else ()
    return replace(host, disks=(*left, *spare))


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[Host, list[Tier]]:
    """A likely state with up to three things wrong with it."""
    tiers, host = draw(st.sampled_from(likely_states()))
    for change in draw(
        st.lists(st.sampled_from([_change_disk, _change_array, _change_record, _lose_disk]), max_size=3)
    ):
        host = change(draw, host) if host.disks else host
    return host, list(tiers)


anything = st.one_of(disturbed(), disturbed(), disturbed(), st.tuples(any_host(), wishes))


@settings(max_examples=400, deadline=None)
@given(anything)
def test_no_plan_touches_what_is_not_empty_or_ours(seen: tuple[Host, list[Tier]]) -> None:
    host, tiers = seen
    wanted = plan(tiers, host, SETTINGS)
    assert not (wanted.refusals and wanted.actions)
    cleared = {a.disk.serial for a in wanted.actions if isinstance(a, do.ClearMember)}
    made = {a.md_uuid for a in wanted.actions if isinstance(a, do.CreateArray)}
    for action in wanted.actions:
        if isinstance(action, do.CreateArray):
            for target in action.disks:
                assert target.serial in cleared or _empty(host, target)
        elif isinstance(action, do.ClearMember):
            _half_made_by_us(host, action)
        elif isinstance(action, do.AddMember):
            assert (
                _carries(host, action.disk, action.md_uuid) if action.returned else _empty(host, action.disk)
            )
        elif isinstance(action, do.StopArray):
            assert not _array(host, action.md_uuid).active
        elif isinstance(action, do.FormatLuks):
            assert action.md_uuid in made or _may_be_filled(host, action.md_uuid)
        elif isinstance(action, do.MakeFilesystem):
            assert action.md_uuid in made or _may_be_filled(host, action.md_uuid, action.mapping)


@settings(max_examples=100, deadline=None)
@given(anything)
def test_every_refusal_names_the_object_and_the_remedy(seen: tuple[Host, list[Tier]]) -> None:
    host, tiers = seen
    for refusal in plan(tiers, host, SETTINGS).refusals:
        assert refusal.tier in {t.name for t in tiers}
        assert refusal.device and refusal.found and refusal.remedy


@settings(max_examples=100, deadline=None)
@given(anything)
def test_the_same_observation_gives_the_same_plan(seen: tuple[Host, list[Tier]]) -> None:
    """What check mode shows is what the next run does: no chance, no clock, no random UUID in a plan."""
    host, tiers = seen
    assert plan(tiers, host, SETTINGS) == plan(tiers, host, SETTINGS)


def _disk(host: Host, target: do.Target) -> Disk:
    (there,) = [d for d in host.disks if d.path == target.path]
    assert there.serial == target.serial
    return there


def _empty(host: Host, target: do.Target) -> bool:
    return found(_disk(prepare(host, SETTINGS.hardware), target)) == ()


def _carries(host: Host, target: do.Target, md_uuid: str) -> bool:
    block = _disk(host, target).superblock
    return block is not None and block.uuid == md_uuid


def _array(host: Host, md_uuid: str) -> Array:
    return next(a for a in host.arrays if a.uuid == md_uuid)


def _half_made_by_us(host: Host, action: do.ClearMember) -> None:
    there = _disk(host, action.disk)
    record = host.record(action.tier)
    assert record and not record.ready and record.md_uuid == action.md_uuid
    assert there.serial in record.serials
    assert there.superblock and there.superblock.uuid == record.md_uuid and there.superblock.events == 0
    assert not (there.mounts or there.swaps or there.system or there.partitions or there.claims)
    assert all(s.type == "linux_raid_member" for s in there.signatures)


def _may_be_filled(host: Host, md_uuid: str, mapping: str = "") -> bool:
    """An array of an open record whose content is empty or what our own cut step leaves."""
    record = next(r for r in host.records if r.md_uuid == md_uuid)
    array = _array(host, md_uuid)
    content = array.content
    if mapping and array.mapping and content.complete:
        content = array.mapping.content
        noise = content.kind == "bytes" and array.content.uuid == record.luks_uuid
    else:
        noise = content.kind == "bytes" and content.own
    half = not content.complete and content.uuid in (record.fs_uuid, record.luks_uuid)
    if array.mapping and not mapping:  # what is open below would be overwritten
        return False
    return not record.ready and (content.kind == "empty" or noise or half)
