"""Module units: the planner from tables of cases, and the module beside a systemctl that only remembers."""

import pytest
from units import Unit, Wish, changes, expected, parse, plan

from tests.ansible_module import Module

THERE = {
    "on": Unit(enabled=True, running=True),
    "off": Unit(),
    "new": Unit(known=False),
    "stale": Unit(enabled=True, running=True, stale=True),
    "masked": Unit(masked=True),
    "static": Unit(enabled=None, running=True),
}
SAID = """\
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no

LoadState=not-found
ActiveState=inactive
UnitFileState=
NeedDaemonReload=no

LoadState=masked
ActiveState=inactive
UnitFileState=masked
NeedDaemonReload=no
"""


def test_what_systemctl_said_is_read_unit_by_unit():
    assert parse(["a", "b", "c"], SAID) == {"a": THERE["on"], "b": THERE["new"], "c": THERE["masked"]}


@pytest.mark.parametrize(
    ("wishes", "actions"),
    [
        pytest.param([Wish("on", enabled=True, running=True)], [], id="as wished"),
        pytest.param([Wish("on")], [], id="nothing wished"),
        pytest.param(
            [Wish("off", enabled=True, running=True), Wish("on", enabled=True)],
            [("daemon-reload", ()), ("enable", ("off",)), ("start", ("off",))],
            id="enabled before it is started",
        ),
        pytest.param(
            [Wish("on", enabled=False, running=False)],
            [("daemon-reload", ()), ("disable", ("on",)), ("stop", ("on",))],
            id="off",
        ),
        pytest.param([Wish("new", enabled=False, running=False)], [], id="off and not there"),
        pytest.param([Wish("static", enabled=False)], [], id="cannot be disabled"),
        pytest.param([Wish("static", enabled=True)], [], id="need not be enabled"),
        pytest.param([Wish("stale", enabled=True)], [("daemon-reload", ())], id="its files are newer"),
    ],
)
def test_what_is_done(wishes, actions):
    assert plan(wishes, THERE) == (actions, [])


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish("new", enabled=True), "systemd knows no unit new"),
        (Wish("new", running=True), "systemd knows no unit new"),
        (Wish("masked", enabled=True), "run systemctl unmask masked"),
    ],
)
def test_one_refusal_and_nothing_is_done(wish, says):
    actions, (refusal,) = plan([Wish("off", enabled=True), wish], THERE)
    assert actions == [] and says in refusal


@pytest.mark.parametrize(
    ("wish", "lines"),
    [
        (Wish("new", enabled=True, running=True), ["enable new", "start new"]),
        (Wish("new", enabled=True, running=True, packaged=True), []),
        (Wish("new", enabled=False, running=False, packaged=True), ["disable new", "stop new"]),
        (Wish("off", enabled=True, packaged=True), ["enable off"]),
    ],
)
def test_check_mode_expects_what_the_run_would_bring(wish, lines):
    assert changes(plan([wish], expected([wish], THERE))[0]) == lines


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """A systemctl that knows a service, which does not start while a file ``broken`` is there; and its
    journal."""
    script = f"""#!/bin/sh
case $1 in
show) printf 'LoadState=loaded\\nActiveState=%s\\nUnitFileState=%s\\nNeedDaemonReload=no\\n' \\
  "$(cat {tmp_path}/state || echo inactive)" "$(test -e {tmp_path}/wanted && echo enabled)";;
enable) touch {tmp_path}/wanted;;
start) test -e {tmp_path}/broken && echo 'Job failed.' >&2 && exit 1; echo active >{tmp_path}/state;;
esac
"""
    journal = "#!/bin/sh\necho 'no such device'\n"
    for name, text in {"systemctl": script, "journalctl": journal}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_module_does_it_once_and_check_mode_says_so_before(systemctl):
    module, wish = Module("units"), {"units": [{"name": "acme", "enabled": True, "running": True}]}
    told = module(wish, check=True)
    assert told["plan"] == ["enable acme", "start acme"]
    assert not (systemctl / "wanted").exists()
    assert module(wish)["plan"] == told["plan"]
    assert module(wish)["changed"] is False


def test_what_does_not_start_says_why(systemctl):
    (systemctl / "broken").touch()
    answer = Module("units")({"units": [{"name": "acme", "running": True}]})
    assert answer["failed"]
    assert "systemctl start acme: Job failed.\nno such device" in answer["msg"]
