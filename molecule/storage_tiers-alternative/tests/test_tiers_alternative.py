"""Tiers by serial and class, one of them encrypted, as a person would check them."""

import json


def test_every_tier_is_mounted_with_the_options(host):
    for name in ("one", "vault", "cold"):
        mount = host.mount_point(f"/srv/{name}")
        assert mount.exists and mount.filesystem == "xfs"
        assert {"noatime", "nodev", "nosuid"} <= set(mount.options)


def test_the_encrypted_tier_is_aes_256_with_sectors_of_4_kib(host):
    with host.sudo():
        status = host.check_output("cryptsetup status bedplate-vault")
    words = status.split()
    assert "aes-xts-plain64" in words and "512" in words[words.index("keysize:") + 1]
    assert words[words.index("sector") + 2] == "4096"


def test_the_key_is_roots_alone(host):
    with host.sudo():
        key = host.file("/etc/bedplate/storage_tiers/vault.key")
        assert (key.mode, key.user, key.size) == (0o400, "root", 64)


def test_chunk_and_read_ahead_are_set(host):
    device = host.check_output("basename $(readlink -f /dev/md/bedplate-one)")
    assert host.file(f"/sys/block/{device}/md/chunk_size").content_string.strip() == "65536"
    assert host.file(f"/sys/block/{device}/queue/read_ahead_kb").content_string.strip() == "4096"


def test_every_tier_was_measured_though_the_scenario_says_off(host):
    """The twin's overlay has the last word: there a tier is judged by its ratio to the raw members."""
    with host.sudo():
        found = json.loads(host.file("/var/lib/bedplate/results/storage_tiers.json").content_string)
    assert {tier["name"] for tier in found["tiers"]} == {"one", "vault", "cold"}
