"""One tier of three NVMe disks, as a person would check it."""

import json

import pytest


@pytest.fixture(scope="module")
def detail(host):
    """What mdadm says of the array."""
    with host.sudo():
        lines = host.check_output("mdadm --detail --export /dev/md/bedplate-hot").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_array_is_what_was_asked_for(detail):
    assert (detail["MD_LEVEL"], detail["MD_DEVICES"]) == ("raid5", "3")
    assert detail["MD_NAME"] == "any:bedplate-hot"


def test_all_members_work(host):
    assert host.file("/sys/block/md127/md/degraded").content_string.strip() == "0"


def test_it_is_mounted_by_uuid_and_aligned_to_the_stripe(host):
    line = next(n for n in host.file("/etc/fstab").content_string.splitlines() if "/srv/hot" in n)
    assert line.startswith("UUID=") and "nofail" in line
    mount = host.mount_point("/srv/hot")
    assert mount.exists and mount.filesystem == "xfs"
    assert {"noatime", "sunit=256", "swidth=512"} <= set(mount.options)


def test_it_takes_data(host):
    with host.sudo():
        host.check_output("echo kept > /srv/hot/probe && sync")
        assert host.file("/srv/hot/probe").content_string == "kept\n"


def test_the_array_is_named_once_in_mdadm_conf(host, detail):
    assert host.file("/etc/mdadm/mdadm.conf").content_string.count(detail["MD_UUID"]) == 1


def test_the_promise_was_judged_against_the_raw_members(host):
    with host.sudo():
        result = json.loads(host.file("/var/lib/bedplate/results/storage_tiers.json").content_string)
    (tier,) = result["tiers"]
    measure = next(m for m in tier["measures"] if m["what"] == "read_iops")
    assert tier["mode"] == "relative" and measure["note"].startswith("relative: ")
    assert measure["verdict"] == "pass", measure


def test_nothing_of_the_measurement_is_left(host):
    assert not host.file("/srv/hot/.bedplate-acceptance").exists
