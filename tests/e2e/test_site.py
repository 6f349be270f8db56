"""site.yml on the twin: bare machines become what the inventory says, whatever happens on the way.

The cuts form a chain: every run continues what the cut before it left, so the last one has to mend all of it.
"""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from conftest import LabTwin

from bedplate import evidence, paths, playbook, site
from bedplate.playbook import Event, PlaybookResult
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine

INVENTORY = paths.INVENTORIES / "lab"
HOST = "lab-gpu1"
TIERS = {"/srv/hot", "/srv/warm", "/srv/cold"}
COMMAND = "pytest tests/e2e/test_site.py"
# Where the power goes: tasks of the run.
SHORT = ("base : Hold the packages", "storage_tiers : Plan the tiers", "storage_tiers : Measure the tiers")
LONG = (
    "base : Take packages",
    "base : Install",
    "base : Hold the packages",
    "base : Configure the groups",
    "base : Configure the users",
    "base : Write the configuration",
    "base : Configure SSH",
    "base : Configure SSH",
    "vlan_network : Bring",
    "vlan_network : Bring",
    "vlan_network : Ask",
    "firewall : Load",
    "firewall : Load",
    "disk_health : Write",
    "disk_health : Start",
    "storage_tiers : Install",
    "storage_tiers : Plan",
    "storage_tiers : Plan",
    "storage_tiers : Plan",
    "storage_tiers : Measure",
)
TASKS_GOAL = 40
# A machine without power is given up after 30 s here, for good: what is shown is that the next run mends
# it. In production it is given up after two minutes and two more tries (ansible.cfg).
IMPATIENT = {
    "ANSIBLE_SSH_RETRIES": "0",
    "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=30m "
    "-o ServerAliveInterval=5 -o ServerAliveCountMax=6",
}


def record(twin: Twin, name: str, claim: str, value: float, command: str, **more: str) -> None:
    machine: dict[str, str | int] = {"accelerator": twin.accelerator}
    evidence.record(
        "lab", f"hosts.{name}", claim, value, proved_on="twin", command=command, machine=machine, **more
    )


def run(twin: Twin, **options: object) -> PlaybookResult:
    return playbook.run(INVENTORY, site.PLAYBOOK, overlays=[twin.overlay], **options)  # type: ignore[arg-type]


def run_with_cut(twin: Twin, machine: VirtualMachine, at: str, seconds: float) -> bool:
    """Run site.yml on ``machine``, and ``seconds`` into a task take its power away and give it back.

    Returns whether the run was cut off by that. Raises AssertionError when it failed before.
    """
    timers: list[threading.Timer] = []
    wrong: list[str] = []
    off = threading.Event()

    def power() -> None:
        machine.power_cut()
        off.set()
        machine.boot()

    def watch(event: Event) -> None:
        data = event.get("event_data", {})
        if data.get("host") != machine.name:
            return
        if event["event"] == "runner_on_failed" and not off.is_set() and not data.get("ignore_errors"):
            wrong.append(f"{data['task']}: {playbook.message(data.get('res', {}))}")
        name = f"{data.get('role', '')} : {data.get('task', '')}"
        if event["event"] == "runner_on_start" and name.startswith(at) and not timers:
            timers.append(threading.Timer(seconds, power))
            timers[0].start()

    done = run(twin, on_event=watch, limit=machine.name)
    for timer in timers:
        timer.join()
    machine.wait()
    machine.ssh("systemctl is-system-running --wait")  # mounts that may fail are not waited for by a login
    assert wrong == []
    assert timers, f"no task of site.yml is called {at!r}"
    return off.is_set() and done.rc != 0


class Data:
    """What a user stored on the tiers that are mounted; nothing of it may be lost."""

    def __init__(self, machine: VirtualMachine) -> None:
        self.machine, self.sums = machine, dict[str, str]()

    def store(self) -> None:
        """Put a file of 4 MiB on every mounted tier that has none yet."""
        for tier in self._mounted() - set(self.sums):
            file = f"{tier}/kept"
            self._do(f"sudo dd if=/dev/urandom of={file} bs=1M count=4 conv=fsync status=none")
            self.sums[tier] = self._do(f"sudo sha256sum {file}")

    def lost(self) -> list[str]:
        """Files that are not as they were stored; a tier that is gone counts."""
        return [
            tier
            for tier, told in self.sums.items()
            if self._do(f"sudo sha256sum {tier}/kept || true") != told
        ]

    def _mounted(self) -> set[str]:
        return set(self._do("findmnt -rno TARGET -t xfs || true").split())

    def _do(self, command: str) -> str:
        return self.machine.ssh(command, limit=300, check=True).out.strip()


@dataclass
class Chain:
    """Runs with a power cut in each, and the one after them that was left alone."""

    cuts: int
    data: Data
    done: PlaybookResult


def cut_and_converge(twin: Twin, points: Sequence[str]) -> Chain:
    """Every run continues what the cut before it left; the last one has to mend all of it."""
    machine = twin.machine(HOST)
    data, cuts = Data(machine), 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in IMPATIENT.items():
            patch.setenv(name, value)
        for number, point in enumerate(points):
            cuts += run_with_cut(twin, machine, point, seconds=2 + number * 5 % 11)
            assert data.lost() == []
            data.store()
    done = site.converge(INVENTORY, [twin.overlay], accelerator=twin.accelerator)
    return Chain(cuts, data, done)


def record_cuts(twin: Twin, chain: Chain, goal: int, command: str) -> None:
    claim = "Power cuts during site.yml, one after the other: the run after the last converged, no data lost"
    record(twin, f"power_cuts.{goal}", claim, chain.cuts, command, goal=f"== {goal}")


@pytest.fixture(scope="module")
def chain(lab_twin: LabTwin) -> Chain:
    """Machines that are bare (or that an earlier test left anyhow), converged after three power cuts."""
    return cut_and_converge(lab_twin.twin, SHORT)


@pytest.mark.twin
def test_bare_machines_become_what_the_inventory_says(lab_twin: LabTwin, chain: Chain) -> None:
    mounted = lab_twin.twin.machine(HOST).ssh("findmnt -rno TARGET -t xfs", check=True).out.split()
    assert set(mounted) == TIERS
    assert set(chain.done.stats) == {"lab-ctl1", HOST}


@pytest.mark.twin
def test_three_power_cuts_lose_nothing(lab_twin: LabTwin, chain: Chain) -> None:
    assert set(chain.data.sums) == TIERS, "stored before the last run, on every tier"
    assert chain.data.lost() == []
    record_cuts(lab_twin.twin, chain, len(SHORT), COMMAND)
    assert chain.cuts == len(SHORT)


@pytest.mark.twin
def test_the_second_run_changes_nothing(lab_twin: LabTwin, chain: Chain) -> None:
    again = site.converge(INVENTORY, [lab_twin.twin.overlay], accelerator=lab_twin.twin.accelerator)
    command = "bedplate up -i inventories/lab"
    most = max(again.tasks.values())
    record(
        lab_twin.twin,
        "second_run.changed",
        "Tasks that a second site.yml changes, all hosts",
        again.changed,
        command,
        goal="== 0",
    )
    record(
        lab_twin.twin,
        "second_run.tasks",
        "Tasks that a second site.yml executes on one host",
        most,
        command,
        goal=f"< {TASKS_GOAL}",
    )
    record(
        lab_twin.twin,
        "second_run.seconds",
        "A second site.yml on two hosts takes",
        round(again.seconds),
        command,
        unit="s",
    )
    assert again.changed_tasks == ()
    assert most < TASKS_GOAL


@pytest.mark.twin
def test_check_mode_says_exactly_what_the_next_run_does(lab_twin: LabTwin, chain: Chain) -> None:
    machine = lab_twin.twin.machine("lab-ctl1")
    for drift in ("sysctl -qw vm.max_map_count=65530", "nft delete table inet bedplate"):
        machine.ssh(f"sudo {drift}", check=True)
    machine.ssh("echo '# drift' | sudo tee -a /etc/chrony/chrony.conf", check=True)
    told = run(lab_twin.twin, limit=machine.name, tags="base,firewall", check=True)
    done = run(lab_twin.twin, limit=machine.name, tags="base,firewall")
    assert done.rc == 0, site.explain(done)
    assert done.changed_tasks != (), "the drift must have been seen"
    assert told.changed_tasks == done.changed_tasks


@pytest.mark.chaos
def test_twenty_power_cuts(lab_twin: LabTwin) -> None:
    """BEDPLATE_CUTS=NUMBER takes that many of the twenty points, as far apart as they can be."""
    wanted = int(os.environ.get("BEDPLATE_CUTS", len(LONG)))
    points = [LONG[number * len(LONG) // wanted] for number in range(wanted)]
    begun = time.monotonic()
    chain = cut_and_converge(lab_twin.twin, points)
    again = run(lab_twin.twin)
    record_cuts(lab_twin.twin, chain, wanted, "make chaos")
    claim = f"A chain of {wanted} power cuts, the run that mends it and one that changes nothing"
    record(
        lab_twin.twin, "power_cuts.seconds", claim, round(time.monotonic() - begun), "make chaos", unit="s"
    )
    assert (chain.cuts, chain.data.lost(), again.changed) == (wanted, [], 0)
