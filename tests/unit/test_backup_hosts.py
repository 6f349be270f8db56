"""What the backups of hosts say, as `bedplate backup -i` shows it; Ansible's part is played."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bedplate import audit, paths, playbook
from bedplate.backup import hosts
from bedplate.errors import BedplateError
from bedplate.playbook import Event, PlaybookResult

Play = Callable[[Mapping[str, Mapping[str, Any]], int], None]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Make the next playbook end so: what each host's task answered, and how Ansible ended."""

    def prepare(answers: Mapping[str, Mapping[str, Any]], rc: int) -> None:
        def run(*_: object, on_event: Callable[[Event], None], **__: object) -> PlaybookResult:
            for host, answer in answers.items():
                on_event({"event": "runner_on_ok", "event_data": {"host": host, "res": answer}})
            failures = (("a", "Work", "no connection"),) if rc else ()
            return PlaybookResult(rc=rc, stats={}, tasks={}, seconds=1, failures=failures)

        monkeypatch.setattr(playbook, "run", run)

    return prepare


def test_every_item_of_every_host_is_told(play: Play) -> None:
    said = [{"ok": True, "item": "host", "said": "all equal"}, {"ok": False, "item": "db", "said": "differs"}]
    play(
        {"b": {"stdout": json.dumps(said)}, "a": {"stdout": json.dumps(said[:1])}, "c": {"skipped": True}}, 0
    )
    told = hosts.work(Path("inventories/lab"), "drill")
    assert [(one.host, one.item, one.ok) for one in told] == [
        ("a", "host", True),
        ("b", "host", True),
        ("b", "db", False),
    ]


def test_what_is_kept_is_told_by_host(play: Play) -> None:
    kept = {"kept": 9, "removed": 2, "unclear": []}
    odd = {"kept": 1, "removed": 0, "unclear": ["a host 12345678 says 2038-01-01 00:00:00"]}
    play({"server": {"msg": {"a": odd, "b": json.dumps(kept)}}, "b": {"skipped": True}}, 0)
    told = hosts.keep(Path("inventories/lab"))
    assert [(one.host, one.ok) for one in told] == [("a", False), ("b", True)]
    assert told[1].said == "9 kept, 2 removed"
    assert "2038" in told[0].said


def test_a_host_that_cannot_be_asked_is_an_error(play: Play) -> None:
    play({}, 4)
    with pytest.raises(BedplateError, match="a: no connection"):
        hosts.work(Path("inventories/lab"), "run")


def test_an_inventory_without_backups_says_what_to_write(play: Play) -> None:
    play({"a": {"skipped": True}}, 0)
    with pytest.raises(BedplateError, match="no host is backed up") as error:
        hosts.work(Path("inventories/lab"), "list")
    assert "backup_server" in error.value.remedy


@pytest.mark.parametrize("name", [hosts.WORK, hosts.KEEP, audit.PLAYBOOK])
def test_playbooks_that_commands_run_are_there(name: str) -> None:
    assert (paths.PLAYBOOKS / name).is_file()
