"""What Ansible answered is asked again only when something that decides the answer has changed."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate import listing
from bedplate.inventory import load

HOSTS = "all: {hosts: {a: {}}}\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory with shared variables behind a symbolic link, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shared, site = tmp_path / "shared", tmp_path / "site"
    (site / "group_vars" / "all").mkdir(parents=True)
    shared.mkdir()
    (shared / "ports.yml").write_text("port_a: 1\n")
    (site / "group_vars" / "all" / "common").symlink_to(shared)
    (site / "group_vars" / "all" / "site.yml").write_text("site_domain: example.internal\n")
    (site / "hosts.yml").write_text(HOSTS)
    return site


class Ansible:
    """Counts how often it is asked."""

    def __init__(self, during: Callable[[], None] = lambda: None) -> None:
        self.asked, self._during = 0, during

    def __call__(self) -> str:
        self.asked += 1
        self._during()
        return json.dumps({"answer": self.asked})


def test_the_same_content_is_asked_for_once(site: Path) -> None:
    ansible = Ansible()
    assert [listing.listing([site], ansible) for _ in range(3)] == [{"answer": 1}] * 3


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("hosts.yml", "all: {hosts: {b: {}}}\n"),
        ("group_vars/all/site.yml", "site_domain: other.internal\n"),
        ("group_vars/all/common/ports.yml", "port_a: 2\n"),
        ("host_vars/a/network.yml", "x: 1\n"),
    ],
)
def test_a_change_anywhere_is_asked_for(site: Path, file: str, content: str) -> None:
    ansible = Ansible()
    listing.listing([site], ansible)
    path = site / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert listing.listing([site], ansible) == {"answer": 2}


def test_settings_and_overlays_are_part_of_the_question(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {listing.content_key([site])}
    overlay = site.with_name("overlay.yml")
    overlay.write_text(HOSTS)
    keys |= {listing.content_key([site, overlay]), listing.content_key([overlay, site])}
    monkeypatch.setenv("ANSIBLE_HASH_BEHAVIOUR", "merge")
    keys.add(listing.content_key([site]))
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("file", "content", "executable"),
    [
        ("hosts.sh", "#!/bin/sh\necho '{}'\n", True),
        ("cloud.yml", "plugin: amazon.aws.aws_ec2\nregions: [here]\n", False),
        ("group_vars/all/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", False),
        ("group_vars/all/key.yml", "key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n", False),
    ],
)
def test_what_files_alone_do_not_decide_or_hold_in_clear_is_not_kept(
    site: Path, file: str, content: str, executable: bool
) -> None:
    path = site / file
    path.write_text(content)
    path.chmod(path.stat().st_mode | (stat.S_IXUSR if executable else 0))
    ansible = Ansible()
    assert [listing.listing([site], ansible)["answer"] for _ in range(2)] == [1, 2]
    assert list((site.parent / "cache").rglob("*.json")) == []


def test_an_answer_during_which_someone_wrote_is_not_kept(site: Path) -> None:
    hosts = site / "hosts.yml"
    ansible = Ansible(lambda: hosts.write_text("all: {hosts: {c: {}}}\n"))
    listing.listing([site], ansible)
    hosts.write_text(HOSTS)
    assert listing.listing([site], ansible) == {"answer": 2}


def test_a_damaged_answer_is_asked_for_again_and_only_its_owner_reads_it(site: Path) -> None:
    ansible = Ansible()
    listing.listing([site], ansible)
    (kept,) = (site.parent / "cache").rglob("*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.write_text('{"ans')
    assert listing.listing([site], ansible) == {"answer": 2}


def test_only_the_latest_answers_stay(site: Path) -> None:
    for number in range(listing.KEPT + 5):
        (site / "hosts.yml").write_text(f"all: {{hosts: {{h{number}: {{}}}}}}\n")
        listing.listing([site], Ansible())
    assert len(list((site.parent / "cache").rglob("*.json"))) == listing.KEPT


def test_a_kept_answer_is_ansible_s_own(site: Path) -> None:
    first = load(site)
    (site.parent / "unused").touch()
    assert load(site) == first
    wanted = {"port_a": 1, "site_domain": "example.internal"}
    assert wanted.items() <= first.hosts["a"].items()
