"""A host whose disks are watched. A container has no disk of its own; verdicts are tried in tests/unit."""

import re

TARGET = "/var/lib/node-exporter/textfile/disk_health.prom"


def test_metrics_are_there_and_promtool_likes_them(host):
    text = host.file(TARGET).content_string
    assert re.search(r"^bedplate_disk_health_run_seconds \d{10}$", text, re.MULTILINE)
    checked = host.run(f"promtool check metrics < {TARGET}")
    assert checked.rc == 0, checked.stdout + checked.stderr


def test_whoever_collects_may_read_them(host):
    assert host.file(TARGET).mode == 0o644
    assert host.check_output(f"su -s /bin/sh nobody -c 'grep -c . {TARGET}'") != "0"


def test_metrics_are_renewed_regularly(host):
    properties = "ActiveState,UnitFileState,TimersMonotonic"
    timer = host.check_output(f"systemctl show disk-health.timer --property {properties}")
    assert "ActiveState=active" in timer
    assert "UnitFileState=enabled" in timer
    assert "OnUnitActiveUSec=5min" in timer
    service = host.check_output("systemctl show disk-health.service --property Result,ExecMainStatus")
    assert set(service.split()) == {"Result=success", "ExecMainStatus=0"}


def test_exporter_may_touch_nothing_but_disks(host):
    """systemd's own judge: 0 is safe, 10 is not; a service without hardening gets 9.6."""
    report = host.check_output("systemd-analyze security disk-health.service --no-pager")
    exposure = float(re.search(r"Overall exposure level for disk-health.service: ([\d.]+)", report)[1])
    assert exposure < 3


def test_smartd_accepts_its_configuration(host):
    """Without disks smartd says so and ends with 17; what it cannot parse ends with 2 and names the line."""
    answer = host.run("smartd --quit=onecheck --configfile=/etc/smartd.conf")
    assert "Configuration file /etc/smartd.conf was parsed, found DEVICESCAN" in answer.stdout
    assert answer.rc in (0, 17), answer.stdout


def test_an_alarm_reaches_the_journal(host):
    host.check_output(
        "SMARTD_DEVICESTRING=/dev/nvme9 SMARTD_FAILTYPE=Health SMARTD_MESSAGE='spare is low'"
        " /usr/local/lib/bedplate/disk_alarm"
    )
    shown = host.check_output("journalctl --sync; journalctl -t disk-alarm -p crit -o cat")
    assert "/dev/nvme9: Health: spare is low" in shown
