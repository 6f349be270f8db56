"""site.yml on the twin: bare machines become what the inventory says, whatever happens on the way.

The cuts form a chain: every run continues what the cut before it left, so the last one has to mend all of it.
"""

import threading
import time

import pytest
from conftest import LabTwin

from bedplate import evidence, paths, playbook, site
from bedplate.playbook import Event, PlaybookResult
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine

INVENTORY = paths.INVENTORIES / "lab"
HOST = "lab-gpu1"
# Where the power goes: the role whose change is under way, or the how manieth task of the run.
SHORT = ("base : Hold the packages", "disk_health : Write", "storage_tiers : Plan")
LONG = tuple(range(4, 24))
TASKS_GOAL = 40
CONVERGED_BEFORE = 12  # tasks; a run that changes fewer did not begin with bare machines


def record(twin: Twin, name: str, claim: str, value: float, command: str, **more: str) -> None:
    machine: dict[str, str | int] = {"accelerator": twin.accelerator}
    evidence.record(
        "lab", f"hosts.{name}", claim, value, proved_on="twin", command=command, machine=machine, **more
    )


def run(twin: Twin, **options: object) -> PlaybookResult:
    return playbook.run(INVENTORY, site.PLAYBOOK, overlays=[twin.overlay], **options)  # type: ignore[arg-type]


def run_with_cut(twin: Twin, machine: VirtualMachine, at: str | int, seconds: float) -> bool:
    """Run site.yml and cut the power of ``machine`` ``seconds`` into a task; whether it came to that."""
    started = 0
    cut = threading.Event()

    def watch(event: Event) -> None:
        nonlocal started
        data = event["event_data"]
        if event["event"] != "runner_on_start" or data["host"] != machine.name:
            return
        started += 1
        name = f"{data.get('role', '')} : {data.get('task', '')}"
        if not cut.is_set() and (started >= at if isinstance(at, int) else name.startswith(at)):
            cut.set()
            threading.Timer(seconds, machine.power_cut).start()

    run(twin, on_event=watch)
    return cut.is_set() and not machine.running


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


def cut_and_converge(
    lab_twin: LabTwin, points: tuple[str, ...] | tuple[int, ...], command: str
) -> tuple[PlaybookResult, Data, int]:
    """A chain of runs with a power cut in each, then one that is left alone."""
    twin = lab_twin.twin
    machine = twin.machine(HOST)
    data, cuts = Data(machine), 0
    for number, point in enumerate(points):
        cuts += run_with_cut(twin, machine, point, seconds=2 + number * 5 % 11)
        twin.up()
        assert data.lost() == []
        data.store()
    done = run(twin)
    assert done.rc == 0, site.explain(done)
    data.store()
    record(twin, "power_cuts", "Power cuts during site.yml after which the next run converged", cuts, command)
    return done, data, cuts


@pytest.fixture(scope="module")
def converged(lab_twin: LabTwin) -> PlaybookResult:
    """The first run on machines that were bare (or that an earlier test left anyhow)."""
    begun = time.monotonic()
    done = site.converge(INVENTORY, [lab_twin.twin.overlay], accelerator=lab_twin.twin.accelerator)
    seconds = round(time.monotonic() - begun)
    if done.changed > CONVERGED_BEFORE:
        claim = "site.yml turns two bare machines into configured hosts in"
        record(lab_twin.twin, "first_run.seconds", claim, seconds, "make test", unit="s", goal="< 1500")
    return done


@pytest.mark.twin
def test_bare_machines_become_what_the_inventory_says(lab_twin: LabTwin, converged: PlaybookResult) -> None:
    mounted = lab_twin.twin.machine(HOST).ssh("findmnt -rno TARGET -t xfs", check=True).out.split()
    assert set(mounted) == {"/srv/hot", "/srv/warm", "/srv/cold"}
    assert set(converged.stats) == {"lab-ctl1", "lab-gpu1"}


@pytest.mark.twin
def test_the_second_run_changes_nothing(lab_twin: LabTwin, converged: PlaybookResult) -> None:
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
def test_check_mode_says_exactly_what_the_next_run_does(lab_twin: LabTwin, converged: PlaybookResult) -> None:
    machine = lab_twin.twin.machine("lab-ctl1")
    for drift in ("sysctl -qw vm.max_map_count=65530", "nft delete table inet bedplate"):
        machine.ssh(f"sudo {drift}", check=True)
    machine.ssh("echo '# drift' | sudo tee -a /etc/chrony/chrony.conf", check=True)
    told = run(lab_twin.twin, limit=machine.name, tags="base,firewall", check=True)
    done = run(lab_twin.twin, limit=machine.name, tags="base,firewall")
    assert done.rc == 0, site.explain(done)
    assert done.changed_tasks != (), "the drift must have been seen"
    assert told.changed_tasks == done.changed_tasks


@pytest.mark.long
def test_three_power_cuts(lab_twin: LabTwin) -> None:
    _, data, cuts = cut_and_converge(lab_twin, SHORT, "make long")
    assert cuts == len(SHORT)
    assert set(data.sums) == {"/srv/hot", "/srv/warm", "/srv/cold"}
    assert data.lost() == []


@pytest.mark.chaos
def test_twenty_power_cuts(lab_twin: LabTwin) -> None:
    _, data, cuts = cut_and_converge(lab_twin, LONG, "make chaos")
    again = run(lab_twin.twin)
    assert (cuts >= len(LONG) - 2, data.lost(), again.changed) == (True, [], 0)
