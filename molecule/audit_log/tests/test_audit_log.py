"""A host that records and has no collector. A container has no audit of its own: tests/unit has its words."""

import json


def test_records_reach_the_disk_every_second(host):
    assert host.service("audit-records").is_running
    assert host.service("audit-records").is_enabled


def test_nothing_ships_and_nothing_collects(host):
    units = host.check_output("systemctl list-unit-files 'audit-*' --no-legend")
    assert "audit-shipper" not in units
    assert "audit-collector" not in units
    assert "2514" not in host.check_output("ss -Hltn")


def test_auditd_hands_its_events_to_the_program(host):
    plugin = host.file("/etc/audit/plugins.d/bedplate.conf").content_string
    assert "active = yes" in plugin
    event = (
        'type=USER_CMD msg=audit(1763892000.123:9): pid=7 uid=1000 auid=1000 ses=3 msg=\'cwd="/" '
        'cmd=636174202F6574632F736861646F77 exe="/usr/bin/sudo" terminal=pts/0 res=success\''
    )
    program = "/usr/local/lib/bedplate/audit/audit_source.py auditd /tmp/auditd.jsonl"
    host.check_output("echo %s | " + program, event)
    record = json.loads(host.file("/tmp/auditd.jsonl").content_string)
    assert (record["operation"], record["status"], record["user"]) == ("sudo", "success", "1000")
    assert "shadow" not in json.dumps(record)


def test_rules_are_those_that_auditctl_understands(host):
    checked = host.run("augenrules --check")
    assert checked.rc == 0, checked.stderr
    assert host.file("/etc/audit/rules.d/50-bedplate.rules").mode == 0o640


def test_files_are_for_root_and_adm_only(host):
    folder = host.file("/var/log/bedplate-audit")
    # Others pass through to files that are theirs (a gateway's), and see no names.
    assert (folder.mode, folder.user, folder.group) == (0o751, "root", "adm")
