"""Arrays of ours in every condition: what is adopted, finished, repaired, left alone, or refused."""

from dataclasses import replace
from typing import Any

import pytest
from storage_samples import COLD, HOT, SCRATCH, SETTINGS, WARM, disk, disks, host, member
from storage_tiers import actions as do
from storage_tiers import config
from storage_tiers.model import Content, Disk, Mapping, Member, Record, Tier
from storage_tiers.plan import plan
from storage_world import World, carry_out, converged, cuts, fresh, planned, pull, push, reboot, record_of


def finished(*tiers: Tier) -> World:
    """A host on which the tiers are made and mounted."""
    return converged(fresh(tiers), tiers)


def kinds(world: World, *tiers: Tier) -> list[str]:
    """Kinds of the actions that are planned, in order."""
    return [type(a).__name__ for a in planned(world, tiers).actions]


def refusals(world: World, *tiers: Tier) -> str:
    """Refusals as text; nothing may be planned beside them."""
    wanted = plan(tiers, world.host, SETTINGS)
    assert wanted.actions == ()
    return "\n".join(map(str, wanted.refusals))


def holding(world: World, content: Content, inner: Content | None = None, ready: bool = True) -> World:
    """The only array holds something else; its record is ready or not, nothing is mounted."""
    (record,) = world.host.records
    world = world.with_content(record.md_uuid, content, inner or Content("bytes"))
    return replace(world, host=replace(world.host, records=(replace(record, ready=ready),), mounts=()))


# --- What an array holds ---

OTHER = "99999999-9999-9999-9999-999999999999"
CONTENTS: dict[str, tuple[bool, Content, str]] = {
    "ready, its filesystem": (True, Content("xfs", "own"), "MountTier"),
    "ready, reformatted as XFS by hand": (True, Content("xfs", OTHER), "Remember WriteFile MountTier"),
    "ready, half an XFS": (True, Content("xfs", "own", complete=False), "it holds xfs, half made, ("),
    "ready, nothing": (True, Content("empty"), "it holds nothing but zeroes where its XFS should be"),
    "ready, bytes": (True, Content("bytes"), "it holds bytes that no known signature explains"),
    "ready, bytes like ours": (True, Content("bytes", own=True), "it holds bytes that no known signature"),
    "ready, another filesystem": (True, Content("ext4", OTHER), f"it holds ext4 ({OTHER}) where its XFS"),
    "ready, LUKS": (True, Content("luks", OTHER), "it holds a LUKS container, and the tier is not to be"),
    "open, nothing": (False, Content("empty"), "MakeFilesystem Remember MountTier"),
    "open, its own XFS": (False, Content("xfs", "own"), "Remember MountTier"),
    "open, its own XFS half made": (False, Content("xfs", "own", False), "MakeFilesystem Remember MountTier"),
    "open, bytes of mkfs": (False, Content("bytes", own=True), "MakeFilesystem Remember MountTier"),
    "open, another XFS": (False, Content("xfs", OTHER), f"it holds xfs ({OTHER}) where its XFS should be"),
    "open, another XFS half made": (False, Content("xfs", OTHER, False), f"half made, ({OTHER})"),
    "open, bytes of others": (False, Content("bytes"), "it holds bytes that no known signature explains"),
    "open, another filesystem": (False, Content("ext4", OTHER), "it holds ext4"),
}


@pytest.mark.parametrize(("ready", "content", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_what_an_array_holds_decides(ready, content, expected):
    world = finished(HOT)
    own = record_of(world, "hot").fs_uuid
    content = replace(content, uuid=own if content.uuid == "own" else content.uuid)
    wanted = plan([HOT], holding(world, content, ready=ready).host, SETTINGS)
    if wanted.refusals:
        assert expected in str(wanted.refusals[0])
        assert "array bedplate-hot" in str(wanted.refusals[0])
        assert wanted.actions == ()
    else:
        assert " ".join(type(a).__name__ for a in wanted.actions) == expected


LUKS: dict[str, tuple[bool, dict[str, Any], str]] = {
    "ready, opened": (True, {}, "MountTier"),
    "ready, closed": (True, {"closed": True}, "OpenLuks MountTier"),
    "ready, key lost": (True, {"closed": True, "key": False}, "no key file on this host opens its LUKS"),
    "ready, key of another": (
        True,
        {"closed": True, "fits": False},
        "no key file on this host opens its LUKS",
    ),
    "ready, another container": (True, {"uuid": OTHER}, "it holds another LUKS container"),
    "ready, container without a key slot": (True, {"complete": False, "closed": True}, "OpenLuks MountTier"),
    "ready, noise inside": (True, {"inner": Content("bytes")}, "where its XFS should be"),
    "ready, ext4 inside": (True, {"inner": Content("ext4")}, "it holds ext4"),
    "open, without a key slot": (
        False,
        {"complete": False, "closed": True},
        "FormatLuks OpenLuks MakeFilesystem Remember MountTier",
    ),
    "open, another container without a key slot": (
        False,
        {"complete": False, "closed": True, "uuid": OTHER},
        "it holds another LUKS container",
    ),
    "open, finished and closed": (False, {"closed": True}, "OpenLuks"),
    "open, noise inside": (False, {"inner": Content("bytes")}, "MakeFilesystem Remember MountTier"),
    "open, ext4 inside": (False, {"inner": Content("ext4")}, "it holds ext4"),
    "ready, opened, header gone": (True, {"kind": "empty"}, "do not close it and do not reboot"),
    "open, opened, header gone": (False, {"kind": "empty"}, "do not close it and do not reboot"),
    "open, opened, no key slot": (False, {"complete": False}, "its LUKS header is damaged or gone"),
}


@pytest.mark.parametrize(("ready", "facts", "expected"), LUKS.values(), ids=LUKS)
def test_what_a_container_is_and_holds_decides(ready, facts, expected):
    world = finished(WARM)
    record = record_of(world, "warm")
    kind = facts.get("kind", "luks")
    luks = Content(kind, facts.get("uuid", record.luks_uuid), facts.get("complete", True))
    luks = replace(luks, key_fits=facts.get("fits", True))
    inner = facts.get("inner", Content("xfs", record.fs_uuid))
    world = holding(world, luks, inner, ready)
    (array,) = world.host.arrays
    opened = None if facts.get("closed") else Mapping("dm-0", "bedplate-warm", luks.uuid, inner)
    keys = frozenset({"warm"} if facts.get("key", True) else ())
    seen = replace(world.host, arrays=(replace(array, mapping=opened),), keys=keys)
    wanted = plan([WARM], seen, SETTINGS)
    text = "\n".join(map(str, wanted.refusals))
    actions = " ".join(type(a).__name__ for a in wanted.actions if not isinstance(a, do.WriteFile))
    assert expected in text if text else actions == expected


def test_a_tier_that_was_plain_is_not_encrypted_in_place():
    assert "where its LUKS container should be" in refusals(finished(COLD), replace(COLD, encrypt=True))


# --- Adoption ---


def reinstalled(world: World) -> World:
    """The system disk was set up anew: what the host remembered and configured is gone."""
    seen = replace(world.host, records=(), files={}, mounts=(), initramfs="")
    return replace(world, host=seen)


@pytest.mark.parametrize("tier", [HOT, COLD, SCRATCH], ids=lambda t: t.name)
def test_an_array_of_ours_is_adopted_with_what_it_holds(tier):
    before = finished(tier)
    after = converged(reinstalled(before), (tier,))
    assert after.contents == before.contents
    assert record_of(after, tier.name).fs_uuid == record_of(before, tier.name).fs_uuid
    assert "CreateArray" not in kinds(reinstalled(before), tier)


def test_an_encrypted_array_is_adopted_with_its_key_and_refused_without():
    before = finished(WARM)
    world = reboot(reinstalled(before), udev=True)
    assert converged(world, (WARM,)).contents == before.contents
    lost = replace(world, host=replace(world.host, keys=frozenset()))
    assert "no key file on this host opens its LUKS container" in refusals(lost, WARM)


def test_an_array_with_our_name_and_strange_content_is_not_adopted():
    world = reinstalled(finished(HOT))
    strange = world.with_content(world.host.arrays[0].uuid, Content("ext4", OTHER))
    assert "this host has no record of it, and it holds ext4, not XFS" in refusals(strange, HOT)


def test_two_arrays_of_one_name_are_refused():
    records = [Record("hot", f"{c * 8}:0:0:0", "", "", 5, ("a", "b", "c", "d"), "/srv/hot") for c in "ab"]
    there = [member(d, records[n // 4]) for n, d in enumerate(disks("nvme", 8))]
    assert "2 arrays bear this name: aaaaaaaa:0:0:0, bbbbbbbb:0:0:0" in refusals(World(host(*there)), HOT)


# --- Cut runs: what a marker allows ---


def half_made(members: int, **facts: Any) -> tuple[Record, list[Disk]]:
    """Four disks of a creation that was cut after ``members`` superblocks."""
    there = disks("nvme", 4)
    record = Record(
        "hot", "aaaaaaaa:bbbbbbbb:cccccccc:dddddddd", "f", "", 5, tuple(d.serial for d in there), "/srv/hot"
    )
    return record, [member(d, record, events=0, **facts) if n < members else d for n, d in enumerate(there)]


def test_a_half_made_array_is_made_again():
    record, there = half_made(2)
    world = World(host(*there, records=(record,)))
    assert kinds(world, HOT)[:3] == ["ClearMember", "ClearMember", "CreateArray"]


def test_a_half_made_array_without_a_marker_is_refused():
    _, there = half_made(2)
    assert "only 2 of its 4 members are there" in refusals(World(host(*there)), HOT)


def test_a_marker_does_not_open_a_member_that_it_does_not_name():
    """A fifth disk carries the array's UUID and is none of the record's: it is not cleared."""
    record, there = half_made(1)
    stranger = member(disk("nvme7"), record, events=0)
    assert "nvme7" not in " ".join(plan([HOT], host(*there, stranger, records=(record,)), SETTINGS).lines)


def test_a_marker_that_is_ready_never_makes_anything_again():
    record, there = half_made(2)
    world = World(host(*there, records=(replace(record, ready=True),)))
    assert "only 2 of its 4 members are there" in refusals(world, HOT)


# --- Members ---


def test_a_missing_member_is_replaced_by_an_empty_disk_of_the_class():
    world = push(pull(finished(HOT), "SN-hot-1"), disk("new0"))
    assert kinds(world, HOT) == ["AddMember", "Remember"]
    after = converged(world, (HOT,))
    assert "SN-new0" in record_of(after, "hot").serials
    assert after.contents == world.contents


def test_a_missing_member_is_not_replaced_by_a_disk_of_another_class():
    world = push(pull(finished(HOT), "SN-hot-1"), disk("sdx", "ssd"))
    assert kinds(world, HOT) == []
    assert "tier hot is degraded: 1 of 4 members" in planned(world, (HOT,)).notes[0]


def test_two_empty_disks_for_one_place_are_refused():
    world = push(push(pull(finished(HOT), "SN-hot-1"), disk("new0")), disk("new1"))
    assert "1 of its members is missing and 2 empty disks could replace it" in refusals(world, HOT)


def test_a_replacement_that_is_too_small_is_refused():
    world = push(pull(finished(HOT), "SN-hot-1"), disk("new0", size=10**10))
    assert "it has 10000000000 bytes, a member needs 100000000000" in refusals(world, HOT)


def test_a_member_that_comes_back_is_taken_back():
    before = finished(HOT)
    gone = next(d for d in before.host.disks if d.serial == "SN-hot-1")
    world = push(pull(before, "SN-hot-1"), replace(gone, holders=()))
    (action,) = planned(world, (HOT,)).actions
    assert isinstance(action, do.AddMember) and action.returned


def test_a_member_that_is_newer_than_the_array_is_refused():
    """It ran on its own elsewhere: what is on it would be overwritten by older data."""
    before = finished(HOT)
    gone = next(d for d in before.host.disks if d.serial == "SN-hot-1")
    assert gone.superblock
    newer = replace(gone, holders=(), superblock=replace(gone.superblock, events=500))
    text = refusals(push(pull(before, "SN-hot-1"), newer), HOT)
    assert "its copy of the array is newer than the one that runs" in text


def test_a_failed_member_is_taken_out_only_when_another_takes_its_place():
    before = finished(HOT)
    (array,) = before.host.arrays
    members = tuple(replace(m, state="faulty") if m.disk == "hot-1" else m for m in array.members)
    world = replace(before, host=replace(before.host, arrays=(replace(array, members=members),)))
    assert kinds(world, HOT) == []
    assert "degraded" in planned(world, (HOT,)).notes[0]
    assert kinds(push(world, disk("new0")), HOT)[:2] == ["RemoveMember", "AddMember"]


def test_a_rebuild_that_runs_is_left_alone():
    before = finished(HOT)
    (array,) = before.host.arrays
    members = tuple(replace(m, state="spare") if m.disk == "hot-1" else m for m in array.members)
    world = replace(
        before, host=replace(before.host, arrays=(replace(array, members=members, sync="recover"),))
    )
    assert planned(world, (HOT,)).actions == () == planned(world, (HOT,)).notes


def test_a_spare_disk_beside_a_whole_array_is_left_alone():
    assert kinds(push(finished(HOT), disk("new0")), HOT) == []
    assert kinds(push(finished(HOT), disk("new0", stray=5)), HOT) == []


def test_a_degraded_array_is_assembled_after_a_reboot():
    world = reboot(pull(finished(HOT), "SN-hot-1"), udev=False)
    (assemble, *_) = planned(world, (HOT,)).actions
    assert isinstance(assemble, do.AssembleArray) and assemble.degraded
    lost = replace(world, host=replace(world.host, disks=world.host.disks[:-1]))
    assert "only 2 of its 4 members are there" in refusals(lost, HOT)


@pytest.mark.parametrize(
    ("tier", "words"),
    [
        (replace(HOT, raid=6), "its array is RAID 5 of 4 disks, the tier is RAID 6 of 4"),
        (replace(HOT, count=5), "its array is RAID 5 of 4 disks, the tier is RAID 5 of 5"),
        (replace(HOT, kind="ssd"), "of class nvme, not ssd"),
        (
            replace(HOT, kind="", serials=("SN-hot-0", "SN-hot-1", "SN-hot-2", "SN-x")),
            "it is a member of bedplate-hot and `disks` does not name it",
        ),
    ],
)
def test_nothing_is_grown_or_reshaped(tier, words):
    assert words in refusals(finished(HOT), tier)


# --- Around the tiers ---


def test_a_folder_with_files_is_not_mounted_over():
    world = fresh((HOT,))
    world = replace(world, host=replace(world.host, filled=frozenset({"/srv/hot"})))
    assert "the folder holds files, which mounting would hide" in refusals(world, HOT)


def test_another_mount_in_the_place_is_refused():
    world = fresh((HOT,))
    world = replace(world, host=replace(world.host, mounts=(("sdq1", "/srv/hot"),)))
    assert "sdq1 is mounted there" in refusals(world, HOT)


def test_a_line_of_others_for_the_mount_point_is_refused():
    world = fresh((HOT,))
    files = {config.FSTAB: "UUID=0 / ext4 defaults 0 1\nLABEL=old /srv/hot/ ext4 defaults 0 2\n"}
    world = replace(world, host=replace(world.host, files=files))
    assert "/etc/fstab already mounts LABEL=old at /srv/hot" in refusals(world, HOT)


def test_a_new_mount_point_waits_until_the_old_one_is_free():
    world, moved = finished(HOT), replace(HOT, mount="/srv/models")
    assert "the tier is mounted at /srv/hot" in refusals(world, moved)
    free = replace(world, host=replace(world.host, mounts=()))
    assert kinds(free, moved) == ["Remember", "WriteFile", "MountTier"]
    assert record_of(converged(free, (moved,)), "hot").mount == "/srv/models"


def test_a_tier_that_leaves_the_inventory_keeps_its_lines_and_data():
    world = finished(HOT, COLD)
    wanted = planned(world, (HOT,))
    assert wanted.actions == ()
    assert "tier cold is no longer in the inventory" in wanted.notes[0]


def test_the_initial_ram_disk_is_made_after_a_cut_between_file_and_image():
    tiers = (HOT,)
    states = cuts(fresh(tiers), tiers)
    written = [s for s in states if s.host.files.get(config.MDADM_CONF) and not s.host.initramfs]
    assert written
    for state in written:
        assert "RefreshInitramfs" in kinds(state, *tiers)


def test_members_of_the_model_are_those_of_the_plan():
    """The model itself: an array made by a plan has the members that the plan named."""
    world = fresh((HOT,))
    for action in planned(world, (HOT,)).actions:
        world = carry_out(world, action)
    (array,) = world.host.arrays
    assert array.members == tuple(Member(f"hot-{n}", "in_sync") for n in range(4))
