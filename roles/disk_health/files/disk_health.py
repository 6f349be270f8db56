#!/usr/bin/python3
"""Health of this host's disks and arrays as metrics for node_exporter's textfile collector.

Disks: what `smartctl --json` says, under the names and labels of prometheus-community/smartctl_exporter, so
that its dashboards and alerts work, and one verdict per disk and reason, `bedplate_disk_verdict`: 1 watch it,
2 plan to replace it, 3 replace it now. Arrays, as `bedplate_md_*`: what node_exporter itself does not say.

Rules and thresholds: NVMe specification (critical warning, spare); Backblaze 2016 (ATA attributes before
failures); wear in percent of the life that the maker states.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WATCH, PLAN, REPLACE = 1, 2, 3
# Bits of the NVMe critical warning byte.
CRITICAL = {
    0: ("spare_low", PLAN),
    1: ("temperature", WATCH),
    2: ("reliability_degraded", REPLACE),
    3: ("read_only", REPLACE),
    4: ("backup_failed", PLAN),
    5: ("persistent_memory", REPLACE),
}
# ATA attributes whose raw value should stay zero.
ATTRIBUTES = {
    5: "reallocated_sectors",
    187: "reported_uncorrectable",
    188: "command_timeout",
    197: "pending_sectors",
    198: "offline_uncorrectable",
}
TIMEOUTS, LOWEST_COUNTER = (
    188,
    0xFFFF,
)  # several counters share this raw value; the lowest counts the timeouts
WEAR = ((120, REPLACE), (100, PLAN), (80, WATCH))  # percentage used
HOT = 70  # degrees Celsius, where the disk names no limit of its own
HOT_SHARE = 0.8  # of the disk's own trip temperature
SKIP = ("loop", "ram", "zram", "md", "dm-", "sr", "fd", "vd", "nbd", "drbd", "zd")
HELP = {
    "smartctl_device": ("gauge", "Device info"),
    "smartctl_device_smart_status": ("gauge", "General SMART status, 1 passed"),
    "smartctl_device_smartctl_exit_status": ("gauge", "Exit status of smartctl on the device"),
    "smartctl_device_critical_warning": ("gauge", "NVMe critical warning byte"),
    "smartctl_device_available_spare": ("gauge", "Normalized percentage of spare capacity left"),
    "smartctl_device_available_spare_threshold": ("gauge", "Spare percentage below which the disk warns"),
    "smartctl_device_percentage_used": ("gauge", "Percentage of the disk's life that is used"),
    "smartctl_device_media_errors": ("counter", "Data integrity errors that the disk found"),
    "smartctl_device_num_err_log_entries": ("counter", "Entries of the error log over the disk's life"),
    "smartctl_device_temperature": ("gauge", "Temperature in degrees Celsius"),
    "smartctl_device_power_on_seconds": ("counter", "Seconds that the disk has been powered"),
    "smartctl_device_attribute": ("gauge", "ATA attribute"),
    "bedplate_disk_verdict": (
        "gauge",
        "What to do with the disk: 0 nothing, 1 watch, 2 plan to replace, 3 replace now",
    ),
    "bedplate_disk_unreadable": ("gauge", "1 when smartctl cannot read the disk's health"),
    "bedplate_md_members_required": ("gauge", "Members that the array should have"),
    "bedplate_md_members_missing": ("gauge", "Members that the array lacks"),
    "bedplate_md_members_failed": ("gauge", "Members that the kernel has thrown out"),
    "bedplate_md_mismatches": ("gauge", "Sectors that did not match at the last check"),
    "bedplate_md_sync": ("gauge", "1 for what the array is doing now"),
    "bedplate_md_sync_share": ("gauge", "Share of the running synchronisation that is done, 0 to 1"),
    "bedplate_disk_health_run_seconds": ("gauge", "When the health of the disks was read last, Unix time"),
}


def disk_samples(name, report):
    """Pure: samples (metric, labels, value) of one disk from what smartctl printed about it."""
    device = {"device": name}
    info = device | {
        "model_name": report.get("model_name") or report.get("scsi_model_name") or "",
        "serial_number": (report.get("serial_number") or "").strip(),
        "firmware_version": report.get("firmware_version") or "",
        "protocol": report.get("device", {}).get("protocol", ""),
    }
    exit_status = report.get("smartctl", {}).get("exit_status", 1)
    found = [
        ("smartctl_device", info, 1),
        ("smartctl_device_smartctl_exit_status", device, exit_status),
        ("bedplate_disk_unreadable", device, int(bool(exit_status & 0b111) and "smart_status" not in report)),
    ]
    passed = report.get("smart_status", {}).get("passed")
    if passed is not None:
        found.append(("smartctl_device_smart_status", device, int(passed)))
    temperature = report.get("temperature", {}).get("current")
    if temperature is not None:
        found.append(("smartctl_device_temperature", device | {"temperature_type": "current"}, temperature))
    hours = report.get("power_on_time", {}).get("hours")
    if hours is not None:
        found.append(("smartctl_device_power_on_seconds", device, hours * 3600))
    log = report.get("nvme_smart_health_information_log", {})
    for field in (
        "critical_warning",
        "available_spare",
        "available_spare_threshold",
        "percentage_used",
        "media_errors",
        "num_err_log_entries",
    ):
        if field in log:
            found.append((f"smartctl_device_{field}", device, log[field]))
    for attribute in report.get("ata_smart_attributes", {}).get("table", []):
        labels = device | {"attribute_id": str(attribute["id"]), "attribute_name": attribute["name"]}
        values = {
            "raw": attribute["raw"]["value"],
            "value": attribute["value"],
            "thresh": attribute["thresh"],
        }
        for kind, value in values.items():
            found.append(("smartctl_device_attribute", labels | {"attribute_value_type": kind}, value))
    reasons = verdict(report)
    for reason, level in sorted(reasons.items()) or [("none", 0)]:
        labels = {"device": name, "serial_number": info["serial_number"], "reason": reason}
        found.append(("bedplate_disk_verdict", labels, level))
    return found


def verdict(report):
    """Pure: reason to level (WATCH, PLAN, REPLACE) for everything that is wrong with one disk."""
    reasons = {"failing_now": REPLACE} if report.get("smart_status", {}).get("passed") is False else {}
    if report.get("temperature", {}).get("current", 0) > hottest(report):
        reasons["temperature"] = WATCH
    log = report.get("nvme_smart_health_information_log", {})
    return reasons | nvme_verdict(log) | ata_verdict(report.get("ata_smart_attributes", {}).get("table", []))


def nvme_verdict(log):
    """Pure: what is wrong according to an NVMe disk's health log."""
    warning = log.get("critical_warning", 0)
    reasons = {reason: level for bit, (reason, level) in CRITICAL.items() if warning >> bit & 1}
    if log.get("available_spare", 100) < log.get("available_spare_threshold", 0):
        reasons["spare_low"] = REPLACE
    worn = [level for limit, level in WEAR if log.get("percentage_used", 0) >= limit]
    return reasons | ({"worn": max(worn)} if worn else {})


def ata_verdict(table):
    """Pure: what is wrong according to an ATA disk's attributes."""
    reasons = {}
    for attribute in table:
        counted = attribute["raw"]["value"] & (LOWEST_COUNTER if attribute["id"] == TIMEOUTS else ~0)
        if counted and attribute["id"] in ATTRIBUTES:
            reasons[ATTRIBUTES[attribute["id"]]] = WATCH
        if attribute.get("when_failed") == "now":
            reasons["attribute_failing_now"] = REPLACE
    return reasons


def hottest(report):
    """Degrees Celsius above which a disk is too hot: a share of its own trip temperature, or the limit."""
    own = report.get("temperature", {}).get("drive_trip")
    nvme = report.get("nvme_composite_temperature_threshold", {}).get("critical")
    return (own or nvme) * HOT_SHARE if own or nvme else HOT


def array_samples(name, state):
    """Pure: samples of one array from its files in sysfs (``state``: file name to text)."""
    array = {"array": name}
    required = int(state["raid_disks"])
    members = state["members"].values()
    active = sum("in_sync" in member and "faulty" not in member for member in members)
    found = [
        ("bedplate_md_members_required", array, required),
        ("bedplate_md_members_missing", array, max(0, required - active)),
        ("bedplate_md_members_failed", array, sum("faulty" in member for member in members)),
        ("bedplate_md_mismatches", array, int(state.get("mismatch_cnt") or 0)),
        ("bedplate_md_sync", array | {"action": state.get("sync_action") or "none"}, 1),
    ]
    done, _, total = (state.get("sync_completed") or "").partition(" / ")
    if total:
        found.append(("bedplate_md_sync_share", array, round(int(done) / int(total), 4)))
    return found


def render(samples):
    """Pure: samples in Prometheus' text format, each metric's lines together, as promtool wants them."""
    lines = []
    for metric in sorted({sample[0] for sample in samples}):
        kind, text = HELP[metric]
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]
        for _, labels, value in (sample for sample in samples if sample[0] == metric):
            inside = ",".join(f'{key}="{escape(text)}"' for key, text in labels.items())
            lines.append(f"{metric}{{{inside}}} {value}" if inside else f"{metric} {value}")
    return "\n".join(lines) + "\n"


def escape(text):
    """Pure: a label's value as the text format wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def disks(sys_block):
    """Names of the whole disks that can have health data."""
    return sorted(entry.name for entry in sys_block.iterdir() if not entry.name.startswith(SKIP))


def ask(name):
    """What smartctl says about a disk; a disk that spins down stays asleep."""
    command = ["smartctl", "--json=c", "--nocheck=standby,3", "--all", f"/dev/{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return json.loads(done.stdout) if done.stdout.strip() else {"smartctl": {"exit_status": done.returncode}}


def arrays(sys_block):
    """Array name to its state: names as in /dev/md/NAME where the array has one."""
    names = {os.path.realpath(link).rpartition("/")[2]: link.name for link in Path("/dev/md").glob("*")}
    found = {}
    for entry in sorted(sys_block.glob("md*")):
        if not (entry / "md/raid_disks").exists():
            continue
        state = {
            file: _text(entry / "md" / file)
            for file in ("raid_disks", "mismatch_cnt", "sync_action", "sync_completed")
        }
        state["members"] = {
            member.name[4:]: set(_text(member / "state").split(","))
            for member in (entry / "md").glob("dev-*")
        }
        found[names.get(entry.name, entry.name)] = state
    return found


def _text(file):
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def write(text, target):
    """Replace ``target`` in one step, so that the collector never reads half a file."""
    with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(target)


def main():
    """Ask every disk and array, write the metrics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path, help="file to write, or - for standard output")
    arguments = parser.parse_args()
    sys_block = Path("/sys/block")
    samples = [sample for name in disks(sys_block) for sample in disk_samples(name, ask(name))]
    samples += [sample for name, state in arrays(sys_block).items() for sample in array_samples(name, state)]
    samples.append(("bedplate_disk_health_run_seconds", {}, int(time.time())))
    if str(arguments.target) == "-":
        sys.stdout.write(render(samples))
    else:
        write(render(samples), arguments.target)


if __name__ == "__main__":
    main()
