"""From what smartctl and the kernel say to metrics and a verdict per disk."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bedplate import paths
from tests.role_program import load

LINT = 3  # exit code of promtool: readable, but not named as it advises
RECORDED = Path(__file__).parent / "recorded"
PROGRAM = paths.ROLES / "disk_health/files/disk_health.py"
disk_health = load("disk_health", "disk_health")
WATCH, PLAN, REPLACE = 1, 2, 3


def report(name: str) -> dict:
    return json.loads((RECORDED / f"smartctl-{name}.json").read_text())


def nvme(**log: int) -> dict:
    """The recorded NVMe disk with other values in its health log."""
    changed = copy.deepcopy(report("nvme-qemu"))
    changed["nvme_smart_health_information_log"] |= log
    return changed


def values(samples: list, metric: str, **labels: str) -> list[float]:
    return [value for name, have, value in samples if name == metric and labels.items() <= have.items()]


@pytest.mark.parametrize("name", ["ssd", "nvme-qemu"])
def test_a_healthy_disk_is_left_alone(name: str) -> None:
    assert disk_health.verdict(report(name)) == {}
    samples = disk_health.disk_samples("x", report(name))
    assert values(samples, "bedplate_disk_verdict") == [0]
    assert values(samples, "smartctl_device_smart_status") == [1]
    assert values(samples, "bedplate_disk_unreadable") == [0]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ({"critical_warning": 0b000001}, {"spare_low": PLAN}),
        ({"critical_warning": 0b000010}, {"temperature": WATCH}),
        ({"critical_warning": 0b000100}, {"reliability_degraded": REPLACE}),
        ({"critical_warning": 0b001000}, {"read_only": REPLACE}),
        ({"critical_warning": 0b010100}, {"reliability_degraded": REPLACE, "backup_failed": PLAN}),
        ({"critical_warning": 0b100000}, {"persistent_memory": REPLACE}),
        ({"available_spare": 9, "available_spare_threshold": 10}, {"spare_low": REPLACE}),
        ({"available_spare": 10, "available_spare_threshold": 10}, {}),
        ({"percentage_used": 79}, {}),
        ({"percentage_used": 80}, {"worn": WATCH}),
        ({"percentage_used": 100}, {"worn": PLAN}),
        ({"percentage_used": 120}, {"worn": REPLACE}),
        ({"percentage_used": 255}, {"worn": REPLACE}),
        ({"media_errors": 5, "num_err_log_entries": 900}, {}),  # their growth counts, which Prometheus sees
    ],
)
def test_nvme_verdicts(log: dict, expected: dict) -> None:
    assert disk_health.verdict(nvme(**log)) == expected


def test_attributes_that_precede_failures_are_watched() -> None:
    assert disk_health.verdict(report("hdd")) == {
        "reallocated_sectors": WATCH,
        "pending_sectors": WATCH,
        "command_timeout": WATCH,
    }


def test_counters_that_share_a_raw_value_do_not_look_like_timeouts() -> None:
    disk = report("hdd")
    for attribute in disk["ata_smart_attributes"]["table"]:
        attribute["raw"]["value"] = 0x0001_0001_0000 if attribute["id"] == 188 else 0
    assert disk_health.verdict(disk) == {}


def test_a_disk_that_fails_now_is_replaced() -> None:
    disk = report("ssd")
    disk["smart_status"]["passed"] = False
    disk["ata_smart_attributes"]["table"][0]["when_failed"] = "now"
    assert disk_health.verdict(disk) == {"failing_now": REPLACE, "attribute_failing_now": REPLACE}


@pytest.mark.parametrize(
    ("temperature", "hot"),
    [
        ({"current": 70}, False),
        ({"current": 71}, True),
        ({"current": 49, "drive_trip": 60}, True),
        ({"current": 48, "drive_trip": 60}, False),
        ({"current": 79, "drive_trip": 100}, False),
    ],
)
def test_hot_is_judged_by_the_disks_own_limit(temperature: dict, hot: bool) -> None:
    disk = report("ssd") | {"temperature": temperature}
    assert ("temperature" in disk_health.verdict(disk)) is hot


@pytest.mark.parametrize("status", [1, 2])
def test_a_disk_that_does_not_answer_is_unreadable_not_healthy(status: int) -> None:
    samples = disk_health.disk_samples("sda", {"smartctl": {"exit_status": status}})
    assert values(samples, "bedplate_disk_unreadable") == [1]
    assert values(samples, "smartctl_device_smart_status") == []


def test_old_errors_in_the_log_do_not_make_a_disk_unreadable() -> None:
    disk = report("hdd")
    disk["smartctl"]["exit_status"] = 0b11000000
    assert values(disk_health.disk_samples("sda", disk), "bedplate_disk_unreadable") == [0]


def member(*states: str) -> set[str]:
    return set(states)


@pytest.mark.parametrize(
    ("members", "missing", "failed"),
    [
        ([member("in_sync")] * 4, 0, 0),
        ([member("in_sync")] * 3, 1, 0),
        ([member("in_sync")] * 3 + [member("faulty")], 1, 1),
        ([member("in_sync")] * 3 + [member("spare")], 1, 0),  # rebuilding: not yet a member
        ([member("in_sync", "write_mostly")] * 4 + [member("spare")], 0, 0),
        ([member("in_sync", "faulty")] + [member("in_sync")] * 3, 1, 1),
    ],
)
def test_arrays_say_what_they_lack(members: list, missing: int, failed: int) -> None:
    state = {
        "raid_disks": "4",
        "sync_action": "idle",
        "sync_completed": "none",
        "mismatch_cnt": "0",
        "members": {str(number): states for number, states in enumerate(members)},
    }
    samples = disk_health.array_samples("hot", state)
    assert values(samples, "bedplate_md_members_missing", array="hot") == [missing]
    assert values(samples, "bedplate_md_members_failed") == [failed]
    assert values(samples, "bedplate_md_sync", action="idle") == [1]


def test_a_rebuild_says_how_far_it_is() -> None:
    state = {"raid_disks": "2", "sync_action": "recover", "sync_completed": "512 / 2048", "members": {}}
    samples = disk_health.array_samples("warm", state)
    assert values(samples, "bedplate_md_sync_share") == [0.25]
    assert values(samples, "bedplate_md_sync", action="recover") == [1]


def test_arrays_are_read_from_sysfs(tmp_path: Path) -> None:
    md = tmp_path / "md127/md"
    for name, state in {"dev-sda": "in_sync\n", "dev-sdb": "faulty,blocked\n"}.items():
        (md / name).mkdir(parents=True)
        (md / name / "state").write_text(state)
    for file, text in {"raid_disks": "2\n", "sync_action": "idle\n", "mismatch_cnt": "128\n"}.items():
        (md / file).write_text(text)
    (tmp_path / "md126").mkdir()  # stopped: no md folder
    found = disk_health.arrays(tmp_path)
    assert list(found) == ["md127"]
    samples = disk_health.array_samples("md127", found["md127"])
    assert values(samples, "bedplate_md_members_missing") == [1]
    assert values(samples, "bedplate_md_mismatches") == [128]


def test_only_disks_that_can_have_health_are_asked(tmp_path: Path) -> None:
    for name in ("sda", "nvme0n1", "loop0", "md127", "dm-0", "sr0", "zram0", "vda", "ram0", "nvme10n1"):
        (tmp_path / name).mkdir()
    assert disk_health.disks(tmp_path) == ["nvme0n1", "nvme10n1", "sda"]


def every_sample() -> list:
    samples = []
    for name in ("hdd", "ssd", "nvme-qemu"):
        samples += disk_health.disk_samples(name, report(name))
    state = {"raid_disks": "2", "sync_action": "check", "sync_completed": "1 / 2", "members": {}}
    return samples + disk_health.array_samples("hot", state) + [("bedplate_disk_health_run_seconds", {}, 1)]


def test_text_is_grouped_and_every_line_is_well_formed() -> None:
    lines = disk_health.render(every_sample()).splitlines()
    sample = re.compile(r'^[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? -?\d+(\.\d+)?$')
    assert not [line for line in lines if not line.startswith("#") and not sample.match(line)]
    metrics = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
    assert len(metrics) == len(set(metrics))
    bare = [re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")]
    groups = [name for index, name in enumerate(bare) if index == 0 or bare[index - 1] != name]
    assert len(groups) == len(set(groups))
    assert len({line.rsplit(" ", 1)[0] for line in lines}) == len(lines)  # no sample twice


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian package prometheus) is not here")
def test_promtool_likes_the_text() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        check=False,
        input=disk_health.render(every_sample()),
        capture_output=True,
        text=True,
    )
    # smartctl_exporter's own names, which dashboards know, have counters without the suffix.
    told = [
        line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("smartctl_device_")
    ]
    assert (done.returncode in (0, LINT), "".join(told).strip()) == (True, "")


def test_labels_survive_what_makers_write() -> None:
    disk = report("ssd") | {"model_name": 'A "B" \\ C\n'}
    text = disk_health.render(disk_health.disk_samples("sda", disk))
    assert 'model_name="A \\"B\\" \\\\ C "' in text


def test_a_file_is_replaced_in_one_step_and_anyone_may_read_it(tmp_path: Path) -> None:
    target = tmp_path / "disk_health.prom"
    target.write_text("old")
    old = target.stat().st_ino
    disk_health.write("new\n", target)
    assert target.read_text() == "new\n"
    assert target.stat().st_ino != old
    assert target.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["disk_health.prom"]
