"""The hot tier (RAID 5 on NVMe) loses a member under load, gets a blank disk, and is whole again.

Nothing that was written may be lost: the sums of what the writer wrote are kept beside the tiers.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from conftest import LabTwin

from bedplate import evidence, inventory, paths, playbook, site
from bedplate.playbook import PlaybookResult
from bedplate.twin import faults
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine

pytestmark = pytest.mark.long
COMMAND = "pytest tests/e2e/test_storage_faults.py"
INVENTORY = paths.INVENTORIES / "lab"
HOST = "lab-gpu1"
TIERS = {"/srv/hot", "/srv/warm", "/srv/cold"}
ARRAY = "bedplate-hot"
SUMS = "/var/tmp/written.sums"
# Every file is in the sums only once it is on the tier for good.
WRITER = f"""#!/bin/bash
mkdir -p /srv/hot/load; n=0; : >{SUMS}
while n=$((n + 1)); do
  head -c 131072 /dev/urandom >/dev/shm/block
  sum=$(sha256sum </dev/shm/block | cut -c-64)
  dd if=/dev/shm/block of=/srv/hot/load/$n conv=fsync status=none || exit 1
  echo "$sum  /srv/hot/load/$n" >>{SUMS}
  sleep 0.2
done
"""


@dataclass
class Tier:
    """The hot tier on its machine."""

    twin: Twin
    machine: VirtualMachine
    metrics: str  # file that node_exporter reads

    def do(self, command: str) -> str:
        """What a command prints; as root."""
        found = self.machine.ssh(f"sudo bash -c '{command}'", limit=300, check=True)
        return found.out.strip()

    def array(self, file: str) -> str:
        """A file of the array in sysfs."""
        return self.do(f"cat /sys/block/$(basename $(realpath /dev/md/{ARRAY}))/md/{file}")

    def metric(self, name: str) -> int:
        """A metric of the array, exported now instead of when the timer says so."""
        self.do("systemctl start disk-health.service")
        line = self.do(f'grep -F "{name}{{array=\\"{ARRAY}\\"}}" {self.metrics}')
        return int(line.split()[-1])

    def written(self) -> int:
        """How many files the writer has written for good."""
        return int(self.do(f"cat {SUMS} 2>/dev/null | wc -l"))

    def lost(self) -> str:
        """Files that are not as they were written, read from the disks."""
        self.do("sync; echo 3 >/proc/sys/vm/drop_caches")
        return self.do(f"sha256sum --check --quiet {SUMS} 2>&1 || true")

    def mounted(self) -> set[str]:
        """File systems of tiers that are mounted."""
        return set(self.do("findmnt -rno TARGET -t xfs || true").split())

    def converge(self) -> PlaybookResult:
        """Run what an administrator runs after a disk was replaced."""
        done = playbook.run(
            INVENTORY,
            site.PLAYBOOK,
            overlays=[self.twin.overlay],
            limit=HOST,
            tags="disk_health,storage_tiers",
        )
        assert done.rc == 0, site.explain(done)
        return done

    def record(self, name: str, claim: str, value: float, *, unit: str = "", goal: str = "") -> None:
        evidence.record(
            "lab",
            f"hosts.storage.{name}",
            claim,
            value,
            unit=unit,
            goal=goal,
            proved_on="twin",
            command=COMMAND,
            machine={"accelerator": self.twin.accelerator},
        )


@pytest.fixture(scope="module")
def tier(lab_twin: LabTwin) -> Iterator[Tier]:
    """The tier, made if need be, with a writer on it."""
    folder = inventory.load(INVENTORY).hosts[HOST]["path_textfile_metrics"]
    tier = Tier(lab_twin.twin, lab_twin.twin.machine(HOST), f"{folder}/disk_health.prom")
    tier.converge()
    tier.machine.ssh(f"sudo tee /usr/local/bin/writer >/dev/null <<'END'\n{WRITER}END\n", check=True)
    tier.do("chmod +x /usr/local/bin/writer; systemd-run --unit=writer --quiet /usr/local/bin/writer")
    yield tier
    tier.do("systemctl stop writer || true; rm -rf /srv/hot/load /usr/local/bin/writer")


def seconds_until(question: Callable[[], bool], limit: float = 300) -> float:
    """How long it takes until the answer is yes. Raises AssertionError after ``limit`` seconds."""
    begin = time.monotonic()
    while not question():
        assert time.monotonic() - begin < limit, f"not within {limit:.0f} s"
        time.sleep(1)
    return round(time.monotonic() - begin, 1)


def test_a_member_that_is_pulled_under_load_is_replaced_and_nothing_is_lost(tier: Tier) -> None:
    seconds_until(lambda: tier.written() > 5)
    assert tier.metric("bedplate_md_members_missing") == 0
    serial = [disk.serial for disk in tier.machine.spec.disks if disk.kind == "nvme"][1]

    faults.pull(tier.machine, serial)
    degraded = seconds_until(lambda: tier.array("degraded") == "1")
    tier.record(
        "member_pulled.degraded", "The array runs on without the pulled member after", degraded, unit="s"
    )
    missing = tier.metric("bedplate_md_members_missing")
    tier.record(
        "member_pulled.metric", "Members that the exported metric says are missing", missing, goal="== 1"
    )
    assert missing == 1
    before = tier.written()
    seconds_until(lambda: tier.written() > before + 5)  # it takes data while it is degraded

    faults.push(tier.machine, serial, blank=True)
    begin = time.monotonic()
    assert tier.converge().changed > 0
    seconds_until(lambda: (tier.array("degraded"), tier.array("sync_action")) == ("0", "idle"), limit=900)
    rebuilt = round(time.monotonic() - begin)
    claim = "From the run that takes the blank replacement to a whole array, under load"
    tier.record("member_pulled.rebuilt", claim, rebuilt, unit="s")
    assert tier.metric("bedplate_md_members_missing") == 0

    tier.do("systemctl stop writer")
    files, lost = tier.written(), tier.lost()
    wrong = len(lost.splitlines())
    claim = f"Of {files} files written before, during and after, those that are not as they were written"
    tier.record("member_pulled.lost", claim, wrong, unit="files", goal="== 0")
    assert (lost, files > before) == ("", True)
    assert tier.converge().changed == 0


def test_parity_is_right_on_the_rebuilt_member(tier: Tier) -> None:
    tier.do(f"echo check >/sys/block/$(basename $(realpath /dev/md/{ARRAY}))/md/sync_action")
    seconds_until(lambda: tier.array("sync_action") == "idle", limit=600)
    assert tier.array("mismatch_cnt") == "0"


def test_a_reboot_brings_all_tiers_back_the_encrypted_one_too(tier: Tier) -> None:
    assert tier.mounted() == TIERS
    for mount in TIERS:
        tier.do(f"echo {mount} >{mount}/name; sync {mount}/name")
    boot = tier.do("cat /proc/sys/kernel/random/boot_id")
    begin = time.monotonic()
    tier.machine.ssh("sudo systemctl reboot")
    tier.machine.connection.hang_up(HOST)

    def rebooted() -> bool:
        now = tier.machine.ssh("cat /proc/sys/kernel/random/boot_id", limit=60)
        return now.code == 0 and now.out.strip() != boot

    seconds_until(rebooted, limit=420)
    seconds_until(lambda: tier.mounted() == TIERS)
    back = round(time.monotonic() - begin)
    assert {mount: tier.do(f"cat {mount}/name") for mount in TIERS} == {mount: mount for mount in TIERS}
    # Once for each disk of the array below it.
    assert set(tier.do("lsblk -rno TYPE,MOUNTPOINTS | grep crypt").splitlines()) == {"crypt /srv/warm"}
    assert tier.lost() == ""
    tier.record("reboot.tiers", "Tiers that a reboot brings back with their data", len(TIERS), goal="== 3")
    tier.record("reboot.seconds", "A reboot until all tiers are mounted", back, unit="s")
    assert tier.converge().changed == 0
