"""What earlier checks found is asked again only when nothing that decides the answer has changed."""

import json
from pathlib import Path

import pytest

from bedplate.check import files, memory, schema
from bedplate.check.memory import Memory, recall
from bedplate.check.run import check
from bedplate.check.source import read
from tests.unit.test_check_places import append, lab, replace  # noqa: F401  the fixture


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bedplate" / "check" / "lab.json"


def checked(folder: Path) -> list[str]:
    """Keys of all errors, and what was found is kept."""
    source = read(folder)
    outcome = check(source)
    source.memory.keep()
    return [error.key for error in outcome.errors]


class Counted:
    """How often something that is to be avoided was done."""

    def __init__(self, monkeypatch) -> None:
        self.read, self.judged = 0, 0
        reading, judging = files.read, schema.violations

        def read_one(path, data):
            self.read += 1
            return reading(path, data)

        def judge_one(name, value, validator):
            self.judged += 1
            return judging(name, value, validator)

        monkeypatch.setattr(memory, "read", read_one)
        monkeypatch.setattr(schema, "violations", judge_one)

    def since(self) -> tuple[int, int]:
        counts = (self.read, self.judged)
        self.read = self.judged = 0
        return counts


def test_only_what_is_new_is_read_and_judged(lab, monkeypatch):  # noqa: F811
    work = Counted(monkeypatch)
    assert checked(lab) == []
    first = work.since()
    assert min(first) > 10
    assert checked(lab) == []
    assert work.since() == (0, 0)
    replace(lab / "host_vars" / "lab-gpu1" / "hardware.yml", "PHAB1000003K3P8", "PHAB1000003K3P9")
    assert checked(lab) == []
    assert work.since() == (1, 1)  # the file, and its one variable that changed


def test_what_is_wrong_is_said_every_time_and_no_more_once_it_is_right(lab, monkeypatch):  # noqa: F811
    file = lab / "group_vars" / "all" / "site.yml"
    good = file.read_text()
    for text, errors in [
        (good, []),
        (good.replace("mtu: 9000", "mtu: 900"), ["site_networks[1].mtu"]),
        (good + "site_domain: twice.example\n", ["site_domain"]),
        (good, []),
    ]:
        file.write_text(text)
        assert [checked(lab), checked(lab)] == [errors, errors]


def test_rules_over_several_hosts_see_what_was_read_before(lab):  # noqa: F811
    """Nothing but one host's file is new, and the mistake lies between it and another host's."""
    assert checked(lab) == []
    other = (lab / "host_vars" / "lab-ctl1" / "network.yml").read_text()
    (lab / "host_vars" / "lab-gpu1" / "network.yml").write_text(other)
    assert set(checked(lab)) >= {"vlan_network_addresses.management", "vlan_network_addresses.cluster"}


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[]", b'{"code": "other"}', b"\xff"])
def test_a_memory_that_cannot_be_used_is_as_good_as_none(lab, cache, spoilt):  # noqa: F811
    checked(lab)
    whole = json.loads(cache.read_text())
    cache.write_bytes(spoilt)
    assert checked(lab) == []
    assert json.loads(cache.read_text()) == whole


def test_other_code_asks_everything_again(lab, cache, monkeypatch):  # noqa: F811
    checked(lab)
    monkeypatch.setattr(memory, "code", lambda: "changed")
    assert recall("lab").known_documents == {}


def test_what_is_not_used_any_more_is_forgotten(lab, cache):  # noqa: F811
    extra = lab / "group_vars" / "all" / "extra.yml"
    extra.write_text("my_own: 1\n")
    checked(lab)
    assert {"my_own": 1} in json.loads(cache.read_text())["documents"].values()
    extra.unlink()
    checked(lab)
    assert {"my_own": 1} not in json.loads(cache.read_text())["documents"].values()


def test_secrets_are_not_kept(lab, cache):  # noqa: F811
    secret = "\n  ".join(["base_limit_memlock: !vault |", "$ANSIBLE_VAULT;1.1;AES256", "6161616161616161"])
    append(lab / "group_vars" / "all" / "base.yml", secret + "\nmy_plain: beside it")
    checked(lab)
    assert "beside it" not in cache.read_text() and "(vault)" not in cache.read_text()
    assert cache.stat().st_mode & 0o077 == 0


def test_an_inventory_in_memory_writes_nothing(cache):
    plain = Memory()
    plain.found_sound("site_domain", "a.example")
    plain.keep()
    assert not plain.is_sound("site_domain", "a.example")
    assert not cache.exists()
