"""A small model of a host on which plans can be carried out, cut short, and followed by a reboot. Pure.

``World`` holds what survives a power cut (disks, what arrays contain, files) beside what the planner sees. It
says what each action does, and in which states a cut in its middle can leave the host.
"""

from dataclasses import dataclass, field, replace

from storage_samples import SETTINGS, disks, host, member
from storage_tiers import actions as do
from storage_tiers import config
from storage_tiers.converge import ROUNDS
from storage_tiers.model import Array, Content, Disk, Holder, Host, Mapping, Member, Record, Superblock, Tier
from storage_tiers.plan import Plan, plan

NOISE = Content("bytes")
OWN_BYTES = Content("bytes", own=True)
Contents = dict[
    str, tuple[Content, Content]
]  # by md UUID: what the array holds, what an opened container holds


@dataclass(frozen=True)
class World:
    """``host`` is what is observed; ``contents`` is what arrays hold, assembled or not."""

    host: Host
    contents: Contents = field(default_factory=dict)

    def with_content(self, md_uuid: str, content: Content, inner: Content = NOISE) -> "World":
        """The array holds ``content`` from now on; seen at once where it is assembled."""
        return _seen(replace(self, contents={**self.contents, md_uuid: (content, inner)}))


def carry_out(world: World, action: do.Action) -> World:
    """The world after ``action``."""
    return _STEPS[type(action)](world, action)


def cut_states(world: World, action: do.Action) -> list[World]:
    """What a cut in the middle of ``action`` can leave, besides its beginning and its end."""
    match action:
        case do.CreateArray():
            return [_written(world, action, count) for count in range(1, len(action.disks) + 1)]
        case do.FormatLuks():
            half = Content("luks", action.luks_uuid, complete=False)
            return [world.with_content(action.md_uuid, c) for c in (OWN_BYTES, half)]
        case do.MakeFilesystem():
            half = Content("xfs", action.fs_uuid, complete=False)
            return [_filesystem(world, action, c) for c in (OWN_BYTES, half)]
    return []


def reboot(world: World, udev: bool) -> World:
    """Power comes back. With ``udev`` complete arrays are assembled, others wait; without, nothing is."""
    bare = tuple(replace(d, holders=(), mounts=()) for d in world.host.disks)
    world = replace(world, host=replace(world.host, disks=bare, arrays=(), mounts=()))
    blocks = {d.superblock.uuid: d.superblock for d in bare if d.superblock}
    for md_uuid, block in blocks.items() if udev else ():
        there = sum(bool(d.superblock and d.superblock.uuid == md_uuid) for d in bare)
        world = _assembled(world, md_uuid, active=there == block.devices)
    return world


def _disks(world: World, changes: dict) -> World:
    changed = tuple(changes[d.serial](d) if d.serial in changes else d for d in world.host.disks)
    return replace(world, host=replace(world.host, disks=changed))


def _written(world: World, action: do.CreateArray, count: int, events: int = 0) -> World:
    block = Superblock(action.md_uuid, f"any:{action.name}", action.level, len(action.disks), events)
    world = _disks(world, {t.serial: lambda d: member(d, block) for t in action.disks[:count]})
    return replace(world, contents={**world.contents, action.md_uuid: (Content("empty"), NOISE)})


def _created(world: World, action: do.CreateArray) -> World:
    running = 0 if action.level == 0 else 2
    return _assembled(_written(world, action, len(action.disks), running), action.md_uuid)


def _assembled(world: World, md_uuid: str, active: bool = True) -> World:
    host = world.host
    mine = [d for d in host.disks if d.superblock and d.superblock.uuid == md_uuid]
    block = mine[0].superblock
    assert block is not None
    device = f"md{127 - len(host.arrays)}"
    members = tuple(Member(d.name, "in_sync") for d in mine)
    array = Array(device, md_uuid, block.name, block.level, block.devices, active, members, 10**11)
    holder = Holder(device, "md", block.name)
    world = replace(world, host=replace(host, arrays=(*host.arrays, array)))
    started = replace(block, events=block.events + (2 if active and block.level else 0))
    return _seen(
        _disks(world, {d.serial: lambda d: replace(d, holders=(holder,), superblock=started) for d in mine})
    )


def _stopped(world: World, md_uuid: str) -> World:
    arrays = tuple(a for a in world.host.arrays if a.uuid != md_uuid)
    mine = [d.serial for d in world.host.disks if d.superblock and d.superblock.uuid == md_uuid]
    world = replace(world, host=replace(world.host, arrays=arrays))
    return _disks(world, {s: lambda d: replace(d, holders=()) for s in mine})


def _seen(world: World) -> World:
    """Arrays show what they hold."""

    def show(array: Array) -> Array:
        content, inner = world.contents.get(array.uuid, (Content("empty"), NOISE))
        opened = array.mapping and replace(array.mapping, content=inner)
        return replace(array, content=content, mapping=opened) if array.active else array

    return replace(world, host=replace(world.host, arrays=tuple(show(a) for a in world.host.arrays)))


def _array(world: World, md_uuid: str, change) -> World:
    arrays = tuple(change(a) if a.uuid == md_uuid else a for a in world.host.arrays)
    return _seen(replace(world, host=replace(world.host, arrays=arrays)))


def _opened(world: World, luks_uuid: str, name: str) -> World:
    mine = next(a for a in world.host.arrays if a.active and a.content.uuid == luks_uuid)
    assert mine.content.complete, "only a finished container opens"
    return _array(world, mine.uuid, lambda a: replace(a, mapping=Mapping("dm-0", name, luks_uuid, NOISE)))


def _filesystem(world: World, action: do.MakeFilesystem, content: Content) -> World:
    if not action.mapping:
        return world.with_content(action.md_uuid, content)
    outer = world.contents[action.md_uuid][0]
    return world.with_content(action.md_uuid, outer, NOISE if content is OWN_BYTES else content)


def _member_gone(world: World, md_uuid: str, device: str) -> World:
    gone = {d.serial: lambda d: replace(d, holders=()) for d in world.host.disks if d.name == device}
    world = _disks(world, gone)
    return _array(
        world, md_uuid, lambda a: replace(a, members=tuple(m for m in a.members if m.disk != device))
    )


def _member_added(world: World, action: do.AddMember) -> World:
    array = world.host.array(action.md_uuid)
    assert array is not None
    there = next(d.superblock for d in world.host.disks if d.superblock and d.superblock.uuid == array.uuid)
    added = next(d for d in world.host.disks if d.serial == action.disk.serial)

    def join(disk: Disk) -> Disk:
        return replace(member(disk, there), holders=(Holder(array.device, "md", array.name),))

    world = _disks(world, {added.serial: join})
    return _array(
        world, array.uuid, lambda a: replace(a, members=(*a.members, Member(added.name, "in_sync")))
    )


def _mounted(world: World, action: do.MountTier) -> World:
    assert f"UUID={action.fs_uuid} {action.mount} " in world.host.files[config.FSTAB], "mount reads fstab"
    for array in world.host.arrays:
        content = array.mapping.content if array.mapping else array.content
        if content.kind == "xfs" and content.uuid == action.fs_uuid:
            assert content.complete, "the kernel does not mount a filesystem that mkfs did not finish"
            device = array.mapping.device if array.mapping else array.device
            return replace(
                world, host=replace(world.host, mounts=(*world.host.mounts, (device, action.mount)))
            )
    raise AssertionError(f"there is no filesystem {action.fs_uuid} to mount")


def pull(world: World, serial: str) -> World:
    """A disk is taken out of the running host."""
    gone = next(d for d in world.host.disks if d.serial == serial)
    left = tuple(d for d in world.host.disks if d.serial != serial)
    world = replace(world, host=replace(world.host, disks=left))
    for array in world.host.arrays:
        world = _member_gone(world, array.uuid, gone.name)
    return world


def push(world: World, disk: Disk) -> World:
    """A disk is put in."""
    return replace(world, host=replace(world.host, disks=(*world.host.disks, disk)))


def planned(world: World, tiers: tuple[Tier, ...]) -> Plan:
    """The plan, which must not refuse."""
    wanted = plan(tiers, world.host, SETTINGS)
    assert not wanted.refusals, "\n".join(map(str, wanted.refusals))
    return wanted


def converged(world: World, tiers: tuple[Tier, ...]) -> World:
    """The world after as many runs as one module run makes rounds; the last plan is empty."""
    for _ in range(ROUNDS):
        wanted = planned(world, tiers)
        if not wanted.actions:
            return world
        for action in wanted.actions:
            world = carry_out(world, action)
    raise AssertionError(f"still to do after {ROUNDS} rounds: {planned(world, tiers).lines}")


def fresh(tiers: tuple[Tier, ...]) -> World:
    """A host with exactly the disks that the tiers ask for, all empty."""
    return World(host(*(disks(t.kind, t.count, f"{t.name}-") for t in tiers)))


def cuts(world: World, tiers: tuple[Tier, ...]) -> list[World]:
    """Every state that cutting the next round can leave."""
    states = []
    for action in planned(world, tiers).actions:
        states += [world, *cut_states(world, action)]
        world = carry_out(world, action)
    return [*states, world]


def essence(world: World) -> tuple[object, ...]:
    """What counts of an end state: records, contents, configuration, what is mounted where."""
    records = {r.tier: r for r in world.host.records}
    mounted = {point for _, point in world.host.mounts}
    return records, world.contents, world.host.files, mounted, world.host.keys, world.host.initramfs


def record_of(world: World, tier: str) -> Record:
    """What is remembered of a tier."""
    found = world.host.record(tier)
    assert found is not None
    return found


def _remembered(world: World, action: do.Remember) -> World:
    others = tuple(r for r in world.host.records if r.tier != action.record.tier)
    return replace(world, host=replace(world.host, records=(*others, action.record)))


def _cleared(world: World, action: do.ClearMember) -> World:
    return _disks(world, {action.disk.serial: lambda d: replace(d, superblock=None, signatures=())})


def _file(world: World, action: do.WriteFile) -> World:
    return replace(world, host=replace(world.host, files={**world.host.files, action.path: action.after}))


_STEPS = {
    do.Remember: _remembered,
    do.MakeKey: lambda w, a: replace(w, host=replace(w.host, keys=w.host.keys | {a.tier})),
    do.StopArray: lambda w, a: _stopped(w, a.md_uuid),
    do.ClearMember: _cleared,
    do.CreateArray: _created,
    do.AssembleArray: lambda w, a: _assembled(w, a.md_uuid),
    do.RemoveMember: lambda w, a: _member_gone(w, a.md_uuid, a.device),
    do.AddMember: _member_added,
    do.FormatLuks: lambda w, a: w.with_content(a.md_uuid, Content("luks", a.luks_uuid)),
    do.OpenLuks: lambda w, a: _opened(w, a.luks_uuid, a.name),
    do.MakeFilesystem: lambda w, a: _filesystem(w, a, Content("xfs", a.fs_uuid)),
    do.WriteFile: _file,
    do.RefreshInitramfs: lambda w, a: replace(w, host=replace(w.host, initramfs=a.digest)),
    do.MountTier: _mounted,
}
