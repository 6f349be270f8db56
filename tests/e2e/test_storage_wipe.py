"""playbooks/storage_wipe.yml through Ansible: what it refuses, and that it wipes what was named, no more."""

import shlex
from collections.abc import Iterator

import pytest
from storage_bench import HOST, INVENTORY, digest, machine

from bedplate import evidence, playbook
from bedplate.playbook import PlaybookResult
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine

pytestmark = pytest.mark.long
PLAYBOOK = "storage_wipe.yml"
ONE, TWO, OTHER = "NVME000001", "NVME000002", "SSD0000001"
MOUNTED, SYSTEM = "NVME000003", "SYSTEM0001"
WORDS = f"wipe {HOST} {ONE} {TWO}"
COMMAND = "pytest tests/e2e/test_storage_wipe.py"


@pytest.fixture(scope="module")
def bench() -> Iterator[VirtualMachine]:
    """The machine, with a filesystem on each of four disks, one of which is mounted."""
    with machine() as target:
        for serial in (ONE, TWO, OTHER, MOUNTED):
            sh(target, f"mkfs.ext4 -q {device(target, serial)}")
        used = f"mkdir -p /mnt/used && mount {device(target, MOUNTED)} /mnt/used && echo kept >/mnt/used/file"
        sh(target, f"{used} && sync")
        yield target


def sh(target: VirtualMachine, command: str) -> str:
    """What a command prints; as root."""
    return target.ssh(f"sudo sh -c {shlex.quote(command)}", check=True).out.strip()


def device(target: VirtualMachine, serial: str) -> str:
    listed = (line.split() for line in sh(target, "lsblk -dno SERIAL,NAME").splitlines())
    return f"/dev/{dict(pair for pair in listed if len(pair) == 2)[serial]}"


def wipe(disks: str, confirm: str = "", target: str = HOST) -> PlaybookResult:
    """What a person types."""
    extra = {"target": target, "disks": disks} | ({"confirm": confirm} if confirm else {})
    return playbook.run(INVENTORY, PLAYBOOK, overlays=[Twin.load(INVENTORY).overlay], extra=extra)


def digests(target: VirtualMachine) -> dict[str, str]:
    """SHA-256 of every disk with data that is not mounted."""
    sh(target, "sync")
    return {serial: digest(target, serial) for serial in (ONE, TWO, OTHER)}


def refusal(result: PlaybookResult) -> str:
    assert result.rc != 0, "it must not have been done"
    return result.failures[0][2]


def test_nothing_is_wiped_unless_exactly_that_is_confirmed(bench: VirtualMachine) -> None:
    before = digests(bench)
    said = refusal(wipe(f"{ONE},{TWO}"))
    assert f'type exactly: "{WORDS}"' in said
    assert said.count("an ext4 filesystem") == 2, "what would be lost is named"
    wrong = {
        "another host": f"wipe disks2 {ONE} {TWO}",
        "one disk fewer": f"wipe {HOST} {ONE}",
        "one disk more": f"{WORDS} {OTHER}",
        "yes": "yes",
    }
    for kind, words in wrong.items():
        assert f'type exactly: "{WORDS}"' in refusal(wipe(f"{ONE},{TWO}", words)), kind
    assert digests(bench) == before


@pytest.mark.parametrize(
    ("serial", "why"),
    [
        (MOUNTED, "it is mounted at /mnt/used"),
        (SYSTEM, "the running system lies on it"),
        ("NVME999999", "no disk of this"),
    ],
)
def test_a_disk_in_use_is_refused_whatever_is_typed(bench: VirtualMachine, serial: str, why: str) -> None:
    before = digests(bench)
    said = refusal(wipe(f"{ONE},{serial}", f"wipe {HOST} {ONE} {serial}"))
    assert why in said
    assert digests(bench) == before, "the disk that could be wiped is not wiped either"
    assert sh(bench, "cat /mnt/used/file") == "kept"


def test_no_host_or_more_than_one_is_refused(bench: VirtualMachine) -> None:
    before = digests(bench)
    none = wipe(ONE, f"wipe {HOST} {ONE}", target="nobody")
    assert (none.tasks, none.changed) == ({}, 0)
    assert digests(bench) == before


def test_exactly_the_confirmed_disks_are_wiped(bench: VirtualMachine) -> None:
    before = digests(bench)
    done = wipe(f"{ONE},{TWO}", WORDS)
    assert done.rc == 0, done.output
    after = digests(bench)
    changed = {serial for serial, sum in after.items() if sum != before[serial]}
    for serial in (ONE, TWO):
        disk = device(bench, serial)
        assert sh(bench, f"wipefs --no-act {disk}; head -c 64M {disk} | tr -d '\\0' | wc -c") == "0"
    evidence.record(
        "lab",
        "hosts.storage.wiped",
        "Disks that storage_wipe.yml changed when two of three with data were confirmed (SHA-256 of each)",
        len(changed),
        unit="disks",
        goal="== 2",
        proved_on="twin",
        command=COMMAND,
        machine={"accelerator": bench.hardware.accelerator},
    )
    assert changed == {ONE, TWO}
    assert sh(bench, "cat /mnt/used/file") == "kept"
