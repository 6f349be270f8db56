"""A host that is backed up to a server which only adds; units are run as their timers would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).parent.parent.parent / "shared"

PROGRAM = "python3 -B /usr/local/lib/bedplate/backup/bedplate_backup.py"
METRICS = "/var/lib/node-exporter/textfile/backup.prom"
SECRETS = ("password", "repository", "htpasswd")


def log(host, unit):
    return host.check_output(f"journalctl -u {unit} --no-pager -o cat -n 30")


def start(host, action):
    """What systemd starts at its time."""
    done = host.run(f"systemctl start backup-{action}.service")
    assert done.rc == 0, log(host, f"backup-{action}.service")


@pytest.fixture(scope="module")
def backed_up(host):
    """The host, with one good backup."""
    host.check_output(
        "mkdir -p /srv/data; install -o nobody -m 4750 /bin/true /srv/data/suid; date >/srv/data/now"
    )
    start(host, "run")
    return host


def test_a_backup_is_made_and_shown(backed_up):
    text = backed_up.file(METRICS).content_string
    for item in ("host", "more"):
        assert re.search(rf'^bedplate_backup_ok{{item="{item}",kind="files"}} 1$', text, re.MULTILINE), text
        assert f'bedplate_backup_snapshots{{item="{item}",kind="files"}} ' in text
    checked = backed_up.run(f"promtool check metrics < {METRICS}")
    assert checked.rc == 0, checked.stdout + checked.stderr
    assert backed_up.file(METRICS).mode == 0o644


def test_every_backup_is_restored_and_equal(backed_up):
    start(backed_up, "drill")
    said = log(backed_up, "backup-drill.service")
    assert said.count("all equal") >= 2, said
    assert backed_up.file("/srv/scratch").listdir() == []
    text = backed_up.file(METRICS).content_string
    assert 'bedplate_backup_drill_ok{item="host",kind="files"} 1' in text


def test_the_repository_is_whole(backed_up):
    start(backed_up, "verify")
    assert "bedplate_backup_verify_ok 1" in backed_up.file(METRICS).content_string


def test_a_file_comes_back_with_owner_and_mode(backed_up):
    backed_up.check_output(f"{PROGRAM} restore host --into /var/tmp/back")
    file = backed_up.file("/var/tmp/back/srv/data/suid")
    assert (file.user, file.mode) == ("nobody", 0o4750)
    assert not backed_up.file("/var/tmp/back/etc/ssl").exists
    backed_up.check_output("rm -r /var/tmp/back")


def test_the_host_can_remove_no_backup(backed_up):
    """With all that root on this host knows."""
    before = backed_up.check_output("find /srv/repositories -path '*snapshots/*' -type f | sort")
    options = (
        "--repository-file /etc/bedplate/backup/repository --password-file /etc/bedplate/backup/password"
    )
    remove = f"timeout -s INT 15 restic {options} --cacert /srv/pki/trust.pem --no-cache forget"
    answer = backed_up.run(f"{remove} {before.splitlines()[0].rpartition('/')[2]}")
    assert answer.rc != 0
    assert "403 Forbidden" in answer.stderr
    assert backed_up.check_output("find /srv/repositories -path '*snapshots/*' -type f | sort") == before


def test_retention_takes_what_need_not_be_kept(backed_up):
    """As playbooks/backup_keep.yml runs it: the password comes on standard input."""
    name = backed_up.check_output("ls /srv/repositories")
    keep = f"python3 -B /usr/local/lib/bedplate/backup/bedplate_backup_keep.py /srv/repositories/{name}"
    words = "--daily=3 --weekly=2 --monthly=1 </etc/bedplate/backup/password"
    found = json.loads(backed_up.check_output(f"{keep} {words}"))
    assert found["kept"] >= 2
    assert (found["removed"], found["unclear"]) == (0, [])


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_roots_alone(host, name):
    file = host.file(f"/etc/bedplate/backup/{name}")
    assert (file.mode, file.user) == (0o400, "root")


def test_the_server_knows_only_a_hash(host):
    address = host.file("/etc/bedplate/backup/repository").content_string
    credential = re.search(r"//[^:]+:([^@]+)@", address)[1]
    assert credential not in host.file("/etc/bedplate/backup/htpasswd").content_string
    assert host.run("openssl s_client -connect 127.0.0.1:9300 -tls1_1 </dev/null").rc != 0


def test_times_are_the_sites(host):
    for action, when in (
        ("run", "*-*-* 03:30:00"),
        ("drill", "Sat *-*-* 05:00:00"),
        ("verify", "*-*-* 07:00:00"),
    ):
        shown = host.check_output(
            f"systemctl show backup-{action}.timer --property TimersCalendar,UnitFileState"
        )
        assert when in shown
        assert "UnitFileState=enabled" in shown


@pytest.mark.parametrize(("unit", "most"), [("run", 3), ("drill", 4), ("verify", 2.5), ("server", 2.5)])
def test_what_runs_is_hardened(host, unit, most):
    """systemd's own judge: 0 is safe, 10 is not; a service without hardening gets 9.6."""
    report = host.check_output(f"systemd-analyze security backup-{unit}.service --no-pager")
    exposure = float(re.search(rf"Overall exposure level for backup-{unit}.service: ([\d.]+)", report)[1])
    assert exposure < most, report


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """The scenario's, with its machines, as the folder that an operator names."""
    folder = tmp_path_factory.mktemp("inventories") / "lab"
    folder.mkdir()
    made = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "inventory"
    for path in [*made.iterdir(), SHARED / "inventory.py"]:
        (folder / path.name).symlink_to(path.resolve())
    return folder


def bedplate(inventory, action):
    """As an operator calls it: exit code, and what it says of each item."""
    command = [sys.executable, "-m", "bedplate", "backup", action, "-i", str(inventory), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("action", ["run", "drill"])
def test_an_operator_backs_up_and_drills_from_the_controller(backed_up, inventory, action):
    code, said = bedplate(inventory, action)
    assert (code, [one["item"] for one in said]) == (0, ["host", "more"]), said
    assert all(one["ok"] for one in said)
    if action == "drill":
        assert all("all equal" in one["said"] for one in said), said


def test_an_operator_finds_what_is_broken_from_the_controller(backed_up, inventory):
    code, said = bedplate(inventory, "verify")
    assert (code, [one["said"] for one in said]) == (0, ["whole"])
    pack = backed_up.check_output("find /srv/repositories -path '*/data/*' -type f | sort | head -1")
    flip = """python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(40); b = f.read(1); f.seek(40)
f.write(bytes([b[0] ^ 1]))' """
    backed_up.check_output(f"chmod u+w {pack}; {flip}{pack}")
    try:
        code, said = bedplate(inventory, "verify")
        assert code == 1
        assert any(pack.rpartition("/")[2][:8] in one["said"] for one in said), said
    finally:
        backed_up.check_output(f"{flip}{pack}")
    assert bedplate(inventory, "verify")[0] == 0
