"""Disks watched with everything of role disk_health set to something else."""


def test_schedule_and_limits_are_the_sites(host):
    lines = host.file("/etc/smartd.conf").content_string.splitlines()
    rule = next(line for line in lines if line.startswith("DEVICESCAN"))
    assert " -s L/../01/./04 " in rule
    assert " -W 0,45,55 " in rule
    assert "found DEVICESCAN" in host.run("smartd --quit=onecheck").stdout


def test_metrics_come_every_hour(host):
    shown = host.check_output("systemctl show disk-health.timer --property TimersMonotonic")
    assert "OnUnitActiveUSec=1h" in shown
