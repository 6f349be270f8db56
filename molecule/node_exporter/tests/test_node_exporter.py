"""A host whose metrics can be read, by whoever may reach it, and whose exporter can write nothing."""

import re

URL = "http://127.0.0.1:9100/metrics"
READ = f"""python3 -c 'import urllib.request as web; print(web.urlopen(\"{URL}\").read().decode())'"""


def metrics(host):
    return host.check_output(READ)


def test_metrics_are_there_and_promtool_can_read_them(host):
    text = metrics(host)
    assert re.search(r"^node_uname_info\{", text, re.MULTILINE)
    for collector in ("mdadm", "infiniband", "edac", "nvme", "textfile", "systemd", "filesystem"):
        found = f'node_scrape_collector_success{{collector="{collector}"}}'
        assert found in text, collector
    assert "wifi" not in text


def test_a_file_of_another_role_is_shown(host):
    host.check_output("echo 'bedplate_tried 7' >/var/lib/node-exporter/textfile/tried.prom")
    assert "bedplate_tried 7" in metrics(host)
    assert "node_textfile_scrape_error 0" in metrics(host)


def test_it_runs_at_every_boot_and_without_rights(host):
    unit = "prometheus-node-exporter.service"
    shown = host.check_output(
        f"systemctl show {unit} --property ActiveState,UnitFileState,User,NoNewPrivileges"
    )
    assert {"ActiveState=active", "UnitFileState=enabled", "User=prometheus", "NoNewPrivileges=yes"} == set(
        shown.split()
    )


def test_mounts_are_shown_as_they_are(host):
    """A view of its own would show every file system as read-only. A container shows no root at all."""
    shown = host.check_output("systemctl show prometheus-node-exporter --property ProtectSystem,ProtectHome")
    assert set(shown.split()) == {"ProtectSystem=no", "ProtectHome=no"}
