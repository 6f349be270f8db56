"""Shapes of a disk in use, as the planner sees them: each is refused by name, and nothing else is done."""

from dataclasses import replace
from typing import Any

import pytest
from storage_samples import COLD, HOT, SETTINGS, disk, disks, host, member
from storage_tiers.choose import Hardware
from storage_tiers.emptiness import NAMES, found, in_use
from storage_tiers.model import Disk, Holder, Record, Signature, Superblock, Tier
from storage_tiers.plan import Settings, plan
from storage_world import World, converged, pull, push

BLOCK = Superblock("11111111:22222222:33333333:44444444", "elsewhere:data", 5, 3, 900)


def signed(kind: str, offset: int = 0, device: str = "/dev/nvme0", **more: str) -> dict[str, Any]:
    """Facts of a disk with one signature."""
    return {"signatures": (Signature(device, kind, offset, **more),)}


def held(name: str, kind: str, label: str = "") -> dict[str, Any]:
    """Facts of a disk with something on top."""
    return {"holders": (Holder(name, kind, label),)}


SIGNATURES = {f"signature {kind}": (signed(kind), words) for kind, words in NAMES.items()}
SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    **SIGNATURES,
    "signature that nobody knows": (signed("holofs"), "a signature of type holofs"),
    "backup GPT alone": (signed("gpt", 3_840_755_982_336), "a GPT partition table at offset 3840755982336"),
    "label and UUID": (signed("ext4", 1080, uuid="abc-1", label="models"), '("models", abc-1)'),
    "signature on a partition": (
        {"partitions": ("nvme0p1",), **signed("vfat", device="/dev/nvme0p1")},
        "a FAT filesystem on /dev/nvme0p1",
    ),
    "partitions without signature": (
        {"partitions": ("nvme0p1", "nvme0p2")},
        "it has partitions: nvme0p1, nvme0p2",
    ),
    "two signatures": (
        {"signatures": (Signature("/dev/nvme0", "xfs"), Signature("/dev/nvme0", "gpt", 512))},
        "a GPT partition table",
    ),
    "mounted": ({"mounts": ("/data",)}, "it is mounted at /data"),
    "partition mounted": (
        {"mounts": ("/var/lib/docker",), "partitions": ("nvme0p1",)},
        "mounted at /var/lib/docker",
    ),
    "swap": ({"swaps": ("nvme0",)}, "nvme0 is active swap"),
    "swap on a partition": ({"swaps": ("nvme0p3",), "partitions": ("nvme0p3",)}, "nvme0p3 is active swap"),
    "foreign array, running": ({"superblock": BLOCK, **held("md0", "md")}, "md array md0 uses it"),
    "foreign array, stale": (
        {"superblock": BLOCK, **signed("linux_raid_member")},
        "array elsewhere:data 11111111:22222222:33333333:44444444",
    ),
    "superblock that libblkid misses": ({"superblock": BLOCK}, "a member of md array elsewhere:data"),
    "array without a name": (
        {"superblock": replace(BLOCK, name=""), **signed("linux_raid_member")},
        "array without a name",
    ),
    "opened LUKS": (held("dm-3", "crypt", "secret"), "opened LUKS container dm-3 (secret) uses it"),
    "active LVM": (held("dm-1", "lvm", "vg0-root"), "LVM volume dm-1 (vg0-root) uses it"),
    "multipath": (held("dm-2", "mpath", "mpatha"), "multipath device dm-2 (mpatha) uses it"),
    "device-mapper": (held("dm-4", "dm", "cache"), "device-mapper device dm-4 (cache) uses it"),
    "bcache": (held("bcache0", "bcache"), "bcache device bcache0 uses it"),
    "holder of no known kind": (held("drbd0", "other"), "device drbd0 uses it"),
    "claimed by multipath": (
        {"claims": ("multipath claims it as one of several paths",)},
        "multipath claims it",
    ),
    "open elsewhere": ({"busy": "EBUSY: Device or resource busy"}, "the kernel refuses exclusive use (EBUSY"),
    "bytes near the start": ({"stray": 17}, "bytes at offset 17 that no known signature explains"),
    "bytes near the end": ({"stray": 3_839_999_999_999}, "bytes at offset 3839999999999"),
    "cannot be read": ({"unreadable": "Input/output error"}, "it could not be read (Input/output error)"),
    "read-only": ({"read_only": True}, "it is read-only"),
    "no serial number": ({"serial": ""}, "it has no serial number"),
    "no size": ({"size": 0}, "its size is zero"),
    "the system's, by what is mounted": ({"system": True, "mounts": ("/",)}, "the running system lies on it"),
    "network disk": ({"kind": ""}, "it is not a local NVMe, SSD or hard disk"),
}


def by_serials(victim: Disk) -> Tier:
    """A tier that names the disk itself, so that nothing can leave it out."""
    return Tier("probe", 1, "/srv/probe", 2, "", (victim.serial, "SN-nvme9"))


def test_there_are_at_least_sixty_shapes():
    assert len(SHAPES) >= 60


@pytest.mark.parametrize(("facts", "words"), SHAPES.values(), ids=SHAPES)
def test_shape_is_refused_by_name(facts, words):
    victim = replace(disk("nvme0"), **facts)
    wanted = plan([by_serials(victim), COLD], host(victim, disk("nvme9"), disks("hdd", 2)), SETTINGS)
    text = "\n".join(map(str, wanted.refusals))
    assert wanted.actions == (), "with one refusal no tier is touched, not even the one beside it"
    assert f"/dev/nvme0 (serial {victim.serial or 'none'})" in text
    assert words in text
    assert all(r.remedy for r in wanted.refusals)
    assert "nvme9" not in text, "the empty disk beside it is not blamed"


@pytest.mark.parametrize(("facts", "words"), SHAPES.values(), ids=SHAPES)
def test_shape_is_refused_as_a_replacement(facts, words):
    """The same disk, put in where a member is missing: the array must not be rebuilt onto it."""
    world = pull(converged(World(host(disks("nvme", 4, "old"))), (HOT,)), "SN-old2")
    victim = replace(disk("nvme0"), **facts)
    wanted = plan([HOT], push(world, victim).host, SETTINGS)
    assert not any("nvme0" in line for line in wanted.lines)
    counts = (
        bool(victim.kind) and not victim.system
    )  # else it is no disk of the class, and none is missing either
    assert words in "\n".join(map(str, wanted.refusals)) if counts else "degraded" in wanted.notes[0]


def test_empty_disk_has_nothing_against_it():
    assert found(disk("nvme0")) == ()


@pytest.mark.parametrize(
    ("facts", "active"),
    [
        ({"mounts": ("/data",)}, True),
        ({"swaps": ("nvme0",)}, True),
        (held("dm-3", "crypt", "x"), True),
        ({"busy": "EBUSY"}, True),
        ({"system": True}, True),
        ({"read_only": True}, True),
        (signed("ext4"), False),
        ({"stray": 4}, False),
        ({"partitions": ("nvme0p1",)}, False),
    ],
)
def test_only_use_by_the_kernel_blocks_a_wipe(facts, active):
    assert bool(in_use(replace(disk("nvme0"), **facts))) is active


def test_inventory_names_system_disks():
    """A disk that the inventory calls the system's is left out, though nothing on it says so."""
    spare = disk("sdb", "ssd")
    settings = Settings(Hardware({}, frozenset({spare.serial})))
    tier = Tier("warm", 1, "/srv/warm", 2, "ssd")
    wanted = plan([tier], host(spare, disks("ssd", 2)), settings)
    assert not wanted.refusals
    assert all("sdb" not in line for line in wanted.lines)


@pytest.mark.parametrize(
    ("present", "words"),
    [
        (3, "4 disks are asked for and 3 match"),
        (5, "4 disks are asked for and 5 match"),
        (0, "0 match: none"),
    ],
)
def test_inexact_choice_is_refused(present, words):
    wanted = plan([HOT], host(disks("nvme", present)), SETTINGS)
    assert words in str(wanted.refusals[0])
    assert wanted.actions == ()


def test_a_serial_that_is_not_there_is_refused_with_those_that_are():
    tier = Tier("hot", 1, "/srv/hot", 2, "", ("SN-nvme0", "TYPO"))
    (refusal,) = plan([tier], host(disks("nvme", 2)), SETTINGS).refusals
    assert "serial TYPO" in str(refusal)
    assert "/dev/nvme1 (serial SN-nvme1)" in refusal.remedy


def test_two_paths_to_one_disk_are_refused():
    twin = replace(disk("sdx", "nvme"), serial="SN-nvme0")
    tier = Tier("hot", 1, "/srv/hot", 2, "nvme")
    text = "\n".join(map(str, plan([tier], host(disk("nvme0"), twin), SETTINGS).refusals))
    assert "2 devices answer to this serial" in text


def test_inventory_and_kernel_must_agree_on_the_class():
    settings = Settings(Hardware({"SN-nvme0": "ssd"}))
    text = str(plan([HOT], host(disks("nvme", 4)), settings).refusals[0])
    assert "hardware_disks says ssd, the kernel says nvme" in text


SERIALS = tuple(f"SN-nvme{n}" for n in range(4))
RECORD = Record("hot", "aaaaaaaa:bbbbbbbb:cccccccc:dddddddd", "f-1", "", 5, SERIALS, "/srv/hot")


@pytest.mark.parametrize(
    ("record", "members", "words"),
    [
        (
            replace(RECORD, ready=True),
            [],
            "it was made (aaaaaaaa:bbbbbbbb:cccccccc:dddddddd) and is on no disk",
        ),
        (replace(RECORD, ready=True), [0, 1], "only 2 of its 4 members are there"),
        (replace(RECORD, level=1), [0, 1, 2, 3], "its array is RAID 1 of 4 disks, the tier is RAID 5 of 4"),
        (None, [0, 1], "only 2 of its 4 members"),
    ],
    ids=["all members gone", "too few members", "another level", "too few of an unknown array"],
)
def test_an_array_of_ours_that_does_not_fit_is_refused(record, members, words):
    facts = [
        member(d, record or RECORD, devices=4) if n in members else d for n, d in enumerate(disks("nvme", 4))
    ]
    wanted = plan([HOT], host(*facts, records=(record,) if record else ()), SETTINGS)
    assert words in "\n".join(map(str, wanted.refusals))
    assert wanted.actions == ()


def test_a_record_alone_never_opens_a_foreign_disk():
    """A marker names serial numbers; a disk with one of them and something else on it is refused."""
    foreign = replace(disk("nvme3"), **signed("ext4", device="/dev/nvme3"))
    ours = [member(d, RECORD, events=0) for d in disks("nvme", 3)]
    wanted = plan([HOT], host(*ours, foreign, records=(RECORD,)), SETTINGS)
    assert wanted.actions == ()
    assert "/dev/nvme3 (serial SN-nvme3): it holds an ext4 filesystem" in str(wanted.refusals[0])


@pytest.mark.parametrize(
    "change",
    [
        {"serial": "OTHER"},
        {"superblock": replace(BLOCK, events=0)},
    ],
    ids=["another serial", "another UUID"],
)
def test_a_record_needs_both_serial_and_uuid(change):
    """Half-made members whose serial or array is not the record's are never cleared."""
    ours = [member(d, RECORD, events=0) for d in disks("nvme", 2)]
    changed = replace(ours[1], **change)
    wanted = plan([HOT], host(ours[0], changed, disk("nvme2"), disk("nvme3"), records=(RECORD,)), SETTINGS)
    assert not any("nvme1" in line for line in wanted.lines)
    assert wanted.refusals


def test_members_that_ran_are_never_made_anew():
    """The array ran, so data may be on it: nothing is cleared, though the record is not ready."""
    ours = [member(d, RECORD, events=40) for d in disks("nvme", 3)]
    wanted = plan([HOT], host(*ours, disk("nvme3"), records=(RECORD,)), SETTINGS)
    kinds = {type(a).__name__ for a in wanted.actions}
    assert "CreateArray" not in kinds and "ClearMember" not in kinds
    assert "AssembleArray" in kinds
