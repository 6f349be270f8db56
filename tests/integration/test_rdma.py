"""Role rdma's module on a port of its own network namespace, whose card is played by tools that remember
what they are
told (molecule/rdma-alternative/tool): it sets what differs, and the program for every boot sets all of it
from nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bedplate import paths

TOOL = paths.ROOT / "molecule" / "rdma-alternative" / "tool"
LIMITED = os.geteuid() != 0
PROGRAM = (
    "import json, sys; sys.path[:0] = sys.argv[3:]; from tests.ansible_module import Module;"
    " print(json.dumps(Module('rdma')(json.loads(sys.argv[1]), check=sys.argv[2] == 'check')))"
)
ROCE = {"dscp": 26, "priority": 4, "cnp_dscp": 48, "cnp_priority": 6}


class Port:
    """A namespace with interface data0, and tools that remember within ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.program = folder, folder / "rdma_ports"
        (folder / "bin").mkdir()
        text = TOOL.read_text().replace("/run/card", str(folder / "card"))
        for name in ("dcb", "ethtool", "rdma"):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)

    def within(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a namespace of its own."""
        make = "ip link add data0 type veth peer name switch0"
        words = ["unshare", "--net", "sh", "-c", f'{make}; exec "$@"', "sh", *command]
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"
        return subprocess.run(
            words, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
        )

    def set(self, *, check: bool = False, **words: Any) -> dict[str, Any]:
        """The module."""
        given = json.dumps({"program": str(self.program), **words})
        found = [str(paths.ROOT), str(paths.ROOT / "plugins" / "module_utils")]
        mode = "check" if check else "run"
        done = self.within(sys.executable, "-c", PROGRAM, given, mode, *found)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    @property
    def card(self) -> dict[str, str]:
        """What the card is set to."""
        names = ("app", "pfc")
        files = {name: self.folder / "card" / name for name in names}
        return {name: file.read_text().strip() for name, file in files.items() if file.exists()}


WISHED = {"app": "dscp-prio 26:4", "pfc": "prio-pfc 0:off 1:off 2:off 3:off 4:on 5:off 6:off 7:off"}


@pytest.fixture
def port(tmp_path: Path) -> Port:
    if LIMITED:
        pytest.skip("a network namespace needs root")
    return Port(tmp_path)


def test_a_port_is_set_once(port: Port) -> None:
    foreseen = port.set(ports={"data0": "roce"}, roce=ROCE, check=True)
    assert port.card == {} and not port.program.exists()
    done = port.set(ports={"data0": "roce"}, roce=ROCE)
    assert done["plan"] == foreseen["plan"] and len(done["plan"]) == 4
    assert port.card == WISHED and done["inactive"] == []
    again = port.set(ports={"data0": "roce"}, roce=ROCE)
    assert not again["changed"] and again["plan"] == []
    assert done["devices"][0] | {"gid": None} == {
        "device": "mlx5_0",
        "netdev": "data0",
        "active": True,
        "gid": None,
    }


def test_a_boot_sets_it_again(port: Port) -> None:
    port.set(ports={"data0": "roce"}, roce=ROCE)
    for file in (port.folder / "card").iterdir():
        file.unlink()
    assert port.within(str(port.program)).returncode == 0
    assert port.card == WISHED
    assert port.within(str(port.program)).returncode == 0, "and it may run twice"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"ports": {"data7": "roce"}}, "RoCE port data7, and there is no such interface"),
        ({"soft": [{"name": "rxe0", "nic": "data0"}]}, "data0 has mlx5_0 already"),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(
    port: Port, words: dict[str, Any], said: str
) -> None:
    answer = port.set(**words)
    assert answer["failed"] and said in answer["msg"]
    assert port.card == {} and not port.program.exists()
