"""A host with everything of role base set to something else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def key(host, carry):
    """Ada's private key, brought into the machine."""
    carry(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "ada", "/root")
    host.check_output("chown root:root /root/ada && chmod 0600 /root/ada")
    return "/root/ada"


def login(host, user, key):
    """Try to log in over SSH within the machine."""
    return host.run(
        f"ssh -i {key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        f" {user}@127.0.0.1 sudo -n id -un"
    )


def test_ada_logs_in_by_key_and_becomes_root(host, key):
    answer = login(host, "ada", key)
    assert answer.stdout.strip() == "root", answer.stderr


@pytest.mark.parametrize("user", ["root", "bob"])
def test_who_has_a_key_but_is_not_in_the_group_stays_outside(host, key, user):
    host.check_output("mkdir -p /root/.ssh && cp /etc/ssh/authorized_keys/ada /root/.ssh/authorized_keys")
    answer = login(host, user, key)
    assert answer.rc == 255
    assert f"{user}@127.0.0.1: Permission denied" in answer.stderr


def test_nobody_adds_a_key_by_himself(host, key):
    host.check_output("rm -f /root/other && ssh-keygen -q -t ed25519 -N '' -f /root/other")
    host.check_output(
        "install -d -o ada ~ada/.ssh && install -o ada /root/other.pub ~ada/.ssh/authorized_keys"
    )
    assert login(host, "ada", key).rc == 0
    assert login(host, "ada", "/root/other").rc == 255


def test_eve_is_gone(host):
    assert not host.user("eve").exists


def test_passwords_are_locked(host):
    assert host.user("ada").password.startswith("!")
    assert host.user("bob").shell == "/bin/sh"


def test_installed_packages_are_held_and_held_wins_over_released(host):
    held = host.check_output("apt-mark showhold").split()
    assert "chrony" in held
    assert "systemd" in held
    assert all(name == "chrony" or name.startswith("systemd") for name in held)


def apt_sources(mirror=""):
    """Run the module alone on the machine, as the role does without a mirror."""
    shared = Path(__file__).parents[2] / "shared" / "inventory.py"
    command = [Path(sys.executable).with_name("ansible"), "all", "-i", shared, "-b", "-m", "apt_sources"]
    return subprocess.run([*command, "-a", f"mirror={mirror}"], check=True, capture_output=True, text=True)


def test_packages_come_from_the_mirror_alone(host):
    """Signatures are verified with the mirror's own key; no other source is left."""
    shown = host.check_output("apt-get indextargets --format '$(REPO_URI)'")
    assert set(shown.split()) == {"http://127.0.0.1:8080/apt/debian/"}  # the others have no packages
    updated = host.run("apt-get update --error-on=any")
    assert updated.rc == 0, updated.stderr
    assert "nftables" in host.check_output("apt-get download --print-uris nftables")
    assert "127.0.0.1:8080/apt/debian/pool/" in host.check_output("apt-get download --print-uris nftables")
    assert "/pool/nftables_" in host.check_output("journalctl --unit=mirror --output=cat --no-pager")


def test_a_forged_mirror_is_refused(host):
    """Somebody changes what the mirror says: apt keeps what it knows and says so."""
    release = "/srv/mirror/apt/debian/dists/*/InRelease"
    host.check_output(f"sed -i.kept 's/^Origin: Mirror/Origin: Mallory/' {release}")
    try:
        forged = host.run("apt-get update --error-on=any")
        assert forged.rc != 0
        assert "signature" in forged.stderr.lower()
    finally:
        host.check_output(f"for file in {release}.kept; do mv $file ${{file%.kept}}; done")


def test_without_the_mirror_packages_come_from_where_they_came_before(host):
    mine = host.file("/etc/apt/sources.list.d/bedplate.sources").content_string
    apt_sources()
    try:
        assert not host.file("/etc/apt/sources.list.d/bedplate.sources").exists
        host.check_output("apt-get update --error-on=any")
        assert "file:/srv/packages" in host.check_output("apt-get download --print-uris nftables")
    finally:
        host.check_output("mv /etc/apt/sources.list /etc/apt/sources.list.bedplate.disabled")
        host.check_output(f"printf %s '{mine}' > /etc/apt/sources.list.d/bedplate.sources")


def test_nothing_is_installed_by_itself(host):
    assert host.check_output("apt-config shell X APT::Periodic::Unattended-Upgrade") == "X='0'"
    assert not host.package("unattended-upgrades").is_installed


def test_host_serves_the_time_to_its_network_only(host):
    assert host.check_output("chronyc accheck 192.0.2.77").endswith("allowed")
    assert host.check_output("chronyc accheck 198.51.100.1").endswith("denied")


def test_kernel_settings_of_the_site_win(host):
    settings = host.file("/etc/sysctl.d/90-bedplate.conf").content_string.splitlines()
    assert "vm.swappiness = 1" in settings
    assert "net.ipv4.ip_forward = 1" in settings
    assert not [line for line in settings if line.startswith("vm.max_map_count")]


def test_huge_pages_are_reserved_at_boot(host):
    switches = host.file("/etc/tmpfiles.d/bedplate-kernel.conf").content_string.splitlines()
    assert "w /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages - - - - 512" in switches
    assert "w /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages - - - - 4" in switches
    assert "w /sys/kernel/mm/transparent_hugepage/enabled - - - - never" in switches
    assert not [line for line in switches if "scaling_governor" in line]


def test_limits_hold_for_a_login(host, key):
    host.check_output(f"test -r {key}")
    shown = host.run(
        f"ssh -i {key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        " ada@127.0.0.1 cat /proc/self/limits"
    ).stdout
    limits = {line[:25].strip(): line[26:].split()[:2] for line in shown.splitlines()}
    assert limits["Max locked memory"] == [str(4096 * 1024)] * 2
    assert limits["Max core file size"][1] == "0"


def test_hosts_find_each_other_by_name(host):
    name = host.check_output("hostname")
    assert "192.0.2.11" in host.check_output(f"getent hosts {name}.example.internal").split()


def test_journal_is_kept_as_long_as_the_site_says(host):
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()
    assert "MaxRetentionSec=30day" in settings
    assert "SystemMaxUse=1G" in settings
