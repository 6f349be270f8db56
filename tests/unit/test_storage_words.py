"""Wishes, configuration texts, parsers, wiping and acceptance: small pure parts, from tables."""

import json
from dataclasses import replace

import pytest
from storage_samples import COLD, HOT, SCRATCH, WARM, disk, disks, host, member
from storage_tiers import acceptance, config, layout, parse, records, wipe, wish
from storage_tiers.model import Holder, Record, Signature

GOOD = {"name": "hot", "raid": 5, "mount": "/srv/hot", "class": "nvme", "count": 4}
RECORD = Record("hot", "a:b:c:d", "f-1", "", 5, ("S1", "S2"), "/srv/hot", ready=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Hot Tier"}, "name 'Hot Tier' must be 1 to 18"),
        ({"name": "a" * 19}, "must be 1 to 18"),
        ({"raid": 4}, "`raid` 4 is not made here"),
        ({"count": 2}, "RAID 5 needs at least 3 disks, not 2"),
        ({"count": None}, "needs an exact `count`"),
        ({"class": "tape"}, "`class` 'tape' must be one of nvme, ssd, hdd"),
        ({"class": None}, "name its disks either by"),
        ({"disks": ["A", "B", "C"]}, "not both"),
        ({"class": None, "count": None, "disks": ["A", "A", "B"]}, "a serial stands twice"),
        ({"mount": "srv/hot"}, "must be an absolute path"),
        ({"mount": "/var"}, "must be an absolute path of its own"),
        ({"mount": "/srv/../etc"}, "must be an absolute path"),
        ({"chunk": "100KiB"}, "must be a power of two"),
        ({"chunk": "large"}, "is not a size"),
    ],
)
def test_a_wrong_wish_names_value_and_rule(change, words):
    with pytest.raises(wish.Unclear, match="tier") as problem:
        wish.tiers([{**GOOD, **change}])
    assert words in str(problem.value)


def test_all_wrong_wishes_are_named_at_once():
    with pytest.raises(wish.Unclear) as problem:
        wish.tiers([{**GOOD, "raid": 4}, {**GOOD, "name": "x", "count": 1}, GOOD, GOOD])
    text = str(problem.value)
    assert all(
        w in text for w in ("`raid` 4", "at least 3", "share the name hot", "share the mount /srv/hot")
    )


@pytest.mark.parametrize(
    ("tier", "stripe", "offset"),
    [
        (HOT, (131072, 3), 43 * 393216),
        (COLD, None, 16 * layout.MIB),
        (SCRATCH, (524288, 2), 16 * layout.MIB),
        (replace(HOT, raid=10), (524288, 2), 16 * layout.MIB),
        (replace(HOT, raid=6, kind="hdd"), (524288, 2), 16 * layout.MIB),
    ],
)
def test_geometry(tier, stripe, offset):
    assert layout.stripe(tier) == stripe
    assert layout.luks_offset(tier) == offset >= layout.LUKS_HEADER


def test_lines_of_others_stay_and_ours_stand_once():
    before = {
        config.FSTAB: "LABEL=root / ext4 defaults 0 1",
        config.MDADM_CONF: "MAILADDR root\nARRAY /dev/md127 UUID=a:b:c:d\nARRAY /dev/md0 UUID=1:2:3:4\n",
    }
    once = config.texts([RECORD], [HOT], before, "/keys", "noatime")
    assert once[config.FSTAB].startswith("LABEL=root / ext4 defaults 0 1\n")
    assert "UUID=f-1 /srv/hot xfs noatime 0 0\n" in once[config.FSTAB]
    assert once[config.MDADM_CONF].count("a:b:c:d") == 1, "two lines for one array stop a boot"
    assert "UUID=1:2:3:4" in once[config.MDADM_CONF]
    assert config.texts([RECORD], [HOT], once, "/keys", "noatime") == once
    gone = config.texts([], [], once, "/keys", "noatime")
    assert config.BEGIN not in gone[config.FSTAB] + gone[config.MDADM_CONF]


def test_an_encrypted_tier_is_opened_by_uuid_with_its_key():
    encrypted = replace(RECORD, tier="warm", luks_uuid="l-1")
    text = config.texts([encrypted], [WARM], {}, "/keys", "noatime")[config.CRYPTTAB]
    assert "bedplate-warm UUID=l-1 /keys/warm.key luks,nofail" in text


def test_wipefs_is_read_by_its_list_not_its_exit_code():
    item = {"device": "sda1", "offset": "0x438", "type": "ext4", "uuid": "u", "label": None}
    assert parse.wipefs(json.dumps({"signatures": [item]})) == {
        "sda1": [Signature("/dev/sda1", "ext4", 1080, "u", "")]
    }
    assert parse.wipefs('{"signatures": []}') == {} == parse.wipefs("")


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"kname": "nvme0n1", "tran": "nvme", "rota": False}, "nvme"),
        ({"kname": "sda", "tran": "sata", "rota": False}, "ssd"),
        ({"kname": "sda", "tran": "sas", "rota": True}, "hdd"),
        ({"kname": "sda", "tran": "usb", "rota": False}, ""),
        ({"kname": "sda", "tran": "iscsi", "rota": False}, ""),
        ({"kname": "nbd0", "rota": False}, ""),
        ({"kname": "zram0", "rota": False}, ""),
        ({"kname": "loop0", "type": "loop"}, ""),
    ],
)
def test_class_of_a_disk(facts, kind):
    assert parse.kind({"type": "disk", **facts}) == kind


def test_md_superblock_and_mount_escapes_and_luks_names():
    block = parse.superblock(
        "MD_LEVEL=raid5\nMD_DEVICES=4\nMD_NAME=any:bedplate-hot\nMD_UUID=a:b\nMD_EVENTS=7\n"
    )
    assert block and (block.level, block.devices, block.events) == (5, 4, 7)
    assert parse.superblock("") is None
    assert parse.mountinfo(r"36 35 9:127 / /srv/a\040b rw - xfs /dev/md127 rw") == [("9:127", "/srv/a b")]
    name = "CRYPT-LUKS2-4191e5b1a76e5ed694711bc69b3c2617-bedplate-warm"
    assert parse.luks_uuid(name) == "4191e5b1-a76e-5ed6-9471-1bc69b3c2617"


def test_records_survive_and_a_broken_one_is_not_guessed_at(tmp_path):
    records.write(tmp_path, RECORD)
    assert records.read(tmp_path) == (RECORD,)
    (tmp_path / "hot.json").write_text("{")
    with pytest.raises(ValueError, match=r"hot\.json cannot be used"):
        records.read(tmp_path)


# --- Wiping ---


def wiped(confirm, *there, serials=("SN-nvme0",), forget=(), **facts):
    """Plan of a wipe on gpu7."""
    return wipe.plan("gpu7", serials, forget, confirm, host(*there, **facts))


def test_a_wipe_needs_the_words_that_name_host_and_disks():
    used = replace(disk("nvme0"), signatures=(Signature("/dev/nvme0", "ext4"),))
    assert wiped("wipe gpu7 SN-nvme0", used).disks == (used,)
    for words in ("", "yes", "wipe gpu8 SN-nvme0", "wipe gpu7", "wipe gpu7 SN-nvme1"):
        refused = wiped(words, used)
        assert refused.disks == ()
        assert 'type exactly: "wipe gpu7 SN-nvme0"' in str(refused.refusals[0])
        assert "an ext4 filesystem" in str(refused.refusals[0]), "it says what would be lost"


@pytest.mark.parametrize(
    "facts",
    [
        {"mounts": ("/a",)},
        {"system": True},
        {"swaps": ("x",)},
        {"holders": (Holder("md0", "md"),)},
        {"busy": "EBUSY"},
    ],
)
def test_what_is_in_use_is_not_wiped_whatever_is_typed(facts):
    refused = wiped("wipe gpu7 SN-nvme0", replace(disk("nvme0"), **facts))
    assert refused.disks == () and "/dev/nvme0" in str(refused.refusals[0])


def test_a_tier_is_forgotten_with_its_last_member():
    record = replace(RECORD, serials=("SN-nvme0", "SN-nvme1"))
    pair = [member(d, record) for d in disks("nvme", 2)]
    one = wiped("wipe gpu7 SN-nvme0", *pair, records=(record,))
    both = wiped("wipe gpu7 SN-nvme0 SN-nvme1", *pair, serials=("SN-nvme1", "SN-nvme0"), records=(record,))
    assert one.forget == () and both.forget == ("hot",)


def test_a_tier_that_is_still_there_is_not_forgotten():
    record = replace(RECORD, serials=("SN-nvme0",))
    there = member(disk("nvme0"), record)
    kept = wiped("wipe gpu7 tier:hot", there, serials=(), forget=("hot",), records=(record,))
    gone = wiped("wipe gpu7 tier:hot", serials=(), forget=("hot",), records=(record,))
    assert "it is still on /dev/nvme0" in str(kept.refusals[0])
    assert gone.forget == ("hot",)


# --- Acceptance ---

MEASURED = {"read_iops": {"iops": 480_000.0, "bandwidth": 2e9, "p99_us": 310.0}}
RAW = {"read_iops": {"iops": 600_000.0, "bandwidth": 2.4e9, "p99_us": 290.0}}


@pytest.mark.parametrize(("promised", "verdict"), [(480_000, "pass"), (500_000, "fail")])
def test_a_promise_is_judged_absolutely(promised, verdict):
    (measure,) = acceptance.judge({"read_iops": promised}, MEASURED, 10**12)
    assert (measure["value"], measure["goal"], measure["verdict"]) == (480_000, promised, verdict)


@pytest.mark.parametrize(
    ("raw", "encrypted", "verdict"), [(1, False, "pass"), (2, False, "fail"), (2, True, "pass")]
)
def test_a_promise_is_judged_against_the_raw_members_and_says_so(raw, encrypted, verdict):
    base = {"read_iops": {**RAW["read_iops"], "iops": 600_000.0 * raw}}
    wanted = {"read_iops": 5_000_000}
    (measure,) = acceptance.judge_relative(wanted, MEASURED, base, (1, 1), encrypted)
    assert measure["verdict"] == verdict
    assert "relative: " in measure["note"] and "5000000 is for the inventory's own disks" in measure["note"]


def test_capacity_is_judged_without_fio():
    measures = acceptance.judge({"capacity": "16TB"}, {}, 15 * 10**12)
    assert [(m["what"], m["verdict"]) for m in measures] == [("capacity", "fail")]


def test_no_job_ever_writes_to_a_device():
    load = acceptance.Load(4, 1, 2**26, 1, 32)
    raw = acceptance.raw_jobs(["/dev/nvme0n1"], acceptance.PROMISES[:2], load)
    assert "rw=rand" in raw and "write" not in raw
    assert "/dev/" not in acceptance.tier_jobs("/srv/hot", ["read_iops", "write_iops"], load)
