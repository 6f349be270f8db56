"""A change that may cut the controller off: scripts run for real, the controller with a made-up host."""

import json
import subprocess
from pathlib import Path

import pytest
from safe_change.scripts import Change, File, Step, apply_script, restore_script
from safe_change.transaction import Transaction

from bedplate.confirmed_change import PATIENCE_AFTER_ROLLBACK, Clock, NoConnection, confirm


class Host:
    """A folder that stands for a host: files below ``etc``, a log of what was run."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.etc, self.log = root / "etc dir", root / "log"
        self.etc.mkdir()
        (self.etc / "kept").write_text("old\n")
        (self.etc / "gone").write_text("was here\n")
        monkeypatch.setattr("safe_change.transaction.UNITS", root)
        self.ran: list[list[str]] = []
        self.transaction = Transaction(self.run, str(root / "state"), "try")

    def run(self, command):
        self.ran.append(command)
        if command[0] == "/bin/sh":
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        return 0, "", ""

    def change(self, command: str = "true") -> Change:
        note = ("sh", "-c", f"echo forward >>'{self.log}'; {command}")
        back, rename = (("sh", "-c", f"echo {word} >>'{self.log}'") for word in ("back", "rename"))
        return Change(
            "try",
            (
                File(f"{self.etc}/kept", "old\n", "new\n", "0600", "0644"),
                File(f"{self.etc}/gone", "was here\n", None),
                File(f"{self.etc}/deep/added", None, "added\n"),
            ),
            (Step("do it", (note,)),),
            (Step("undo it", (back,)), Step("rename back", (rename,), boot=True)),
        )

    def files(self) -> dict[str, str]:
        return {
            str(f.relative_to(self.etc)): f.read_text() for f in sorted(self.etc.rglob("*")) if f.is_file()
        }

    def restore(self, why: str) -> None:
        subprocess.run(
            ["/bin/sh", self.transaction.folder / "restore.sh", why], check=True, capture_output=True
        )


OLD = {"gone": "was here\n", "kept": "old\n"}
NEW = {"deep/added": "added\n", "kept": "new\n"}


@pytest.fixture
def host(tmp_path, monkeypatch):
    host = Host(tmp_path, monkeypatch)
    host.transaction.arm(host.change(), {"id": "1", "tried": "it"}, 60)
    return host


def test_armed_before_anything_changes(host):
    assert host.files() == OLD
    assert host.transaction.pending()["id"] == "1"
    timer = next(c for c in host.ran if c[0] == "systemd-run")
    assert "--on-active=60" in timer
    assert timer[-2:] == [str(host.transaction.folder / "restore.sh"), "timer"]
    assert ["systemctl", "enable", "bedplate-restore.service"] in host.ran


def test_applied_and_confirmed_it_stays(host):
    assert host.transaction.apply() == ""
    assert host.files() == NEW
    assert (host.etc / "kept").stat().st_mode & 0o777 == 0o600
    assert host.transaction.applied() > 0
    assert host.transaction.confirm()
    assert host.transaction.pending() is None
    host.restore("timer")
    assert host.files() == NEW
    assert host.transaction.outcome()["outcome"] == "confirmed"


@pytest.mark.parametrize(
    ("why", "commands"), {"timer": ["back", "rename"], "host": ["back", "rename"], "boot": ["rename"]}.items()
)
def test_taken_back_by(host, why, commands):
    host.transaction.apply()
    host.restore(why)
    assert host.files() == OLD
    assert (host.etc / "kept").stat().st_mode & 0o777 == 0o644
    assert host.log.read_text().split() == ["forward", *commands]
    ended = host.transaction.outcome()
    assert (ended["outcome"], ended["by"], ended["id"]) == ("restored", why, "1")
    assert not host.transaction.confirm()
    host.restore("timer")
    assert host.log.read_text().split() == ["forward", *commands], "taken back once only"


def test_a_step_that_fails_takes_everything_back(tmp_path, monkeypatch):
    host = Host(tmp_path, monkeypatch)
    host.transaction.arm(host.change("exit 3"), {"id": "2"}, 60)
    assert host.transaction.apply() == "do it"
    assert host.files() == OLD
    assert host.transaction.outcome()["failed_step"] == "do it"
    assert host.transaction.applied() is None


def test_a_power_cut_after_any_line_of_either_script_ends_in_the_old_files(host):
    folder, change = host.transaction.folder, host.change()
    marker = (folder / "armed").read_text()
    forward = apply_script(str(folder), change).splitlines()
    backward = restore_script(str(folder), change).splitlines()
    cuts = 0
    for first in range(3, len(forward) + 1):
        for second in range(4, len(backward) + 1, 3):
            for name in ("restoring", "restored", "outcome", "applied"):
                (folder / name).unlink(missing_ok=True)
            (folder / "armed").write_text(marker)
            for lines, argument in ((forward[:first], ""), (backward[:second], "timer")):
                subprocess.run(["/bin/sh", "-c", "\n".join(lines), "script", argument], check=False)
            host.restore("boot")
            assert host.files() == OLD, (first, second)
            assert host.transaction.pending() is None
            cuts += 1
    assert cuts > 20


def test_a_power_cut_before_the_marker_leaves_nothing_to_take_back(tmp_path, monkeypatch):
    host = Host(tmp_path, monkeypatch)
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("power")))
    with pytest.raises(OSError, match="power"):
        host.transaction.arm(host.change(), {"id": "3"}, 60)
    host.restore("boot")
    assert host.files() == OLD
    assert not host.log.exists()


# ---- the controller's half ----


class Time:
    """A clock that only sleeping moves; ``answers`` come one for each question."""

    def __init__(self, *answers) -> None:
        self.now, self.answers, self.asked = 0.0, list(answers), 0

    def ask(self):
        self.asked += 1
        self.now += 4.0
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise NoConnection
        return answer

    def confirm(self):
        first = {
            "armed": True,
            "changed": True,
            "rollback_after": 60,
            "tried": "another gateway",
            "folder": "/f",
        }
        return confirm(first, self.ask, Clock(lambda: self.now, self.sleep))

    def sleep(self, seconds):
        self.now += seconds


YES, RESTORED = {"outcome": "confirmed"}, {"outcome": "restored", "by": "timer", "now": "mgmt0 10.0.0.1/24"}
TIMER = "the controller could not come back"
ENDS = {
    "at once": ([YES], True, ""),
    "while it is applied": ([{"outcome": "applying"}, {"outcome": "stale"}, YES], True, ""),
    "after a short cut": ([None, None, YES], True, ""),
    "taken back by the timer": ([None, None, None, RESTORED], False, TIMER),
    "taken back because a gateway is silent": (
        [{"outcome": "unsettled", "reason": "gateway 10.0.0.9 on mgmt0 did not answer"}, None, RESTORED],
        False,
        "gateway 10.0.0.9 on mgmt0 did not answer",
    ),
    "taken back by a boot": ([None, {**RESTORED, "by": "boot"}], False, "the host booted"),
    "a step failed": (
        [{**RESTORED, "by": "failed", "failed_step": "do it"}],
        False,
        "the step `do it` failed",
    ),
}


@pytest.mark.parametrize(("answers", "stays", "why"), ENDS.values(), ids=ENDS.keys())
def test_how_a_change_ends(answers, stays, why):
    result = Time(*answers).confirm()
    assert result.get("failed", False) is not stays
    assert result["changed"] is stays
    assert why in result.get("msg", "")
    if not stays:
        assert result["msg"].startswith("Tried: another gateway. It was taken back: ")
        assert result["msg"].endswith("mgmt0 10.0.0.1/24.")


def test_a_host_that_never_comes_back_is_said_so():
    time = Time(None)
    result = time.confirm()
    assert result["failed"]
    assert "sh /f/restore.sh host" in result["msg"]
    assert 60 + PATIENCE_AFTER_ROLLBACK <= time.now < 60 + PATIENCE_AFTER_ROLLBACK + 10


def test_what_the_host_remembers_is_readable_by_people(host):
    marker = json.loads((host.transaction.folder / "armed").read_text())
    assert marker["rollback_after"] == 60
    assert marker["tried"] == "it"
