"""A gateway loses its power while requests come in: what it had answered is in the archive of the collector.

The promise (docs/audit.md): what was answered more than a second before the power went is in the archive,
once. nginx writes a record when the answer has gone, role audit_log's program brings it to the disk; what
was answered in between may be gone. How old the oldest such answer was is measured.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import audit_chain
import pytest
from gateway_load import UntilPowerGoes

from bedplate import audit, evidence, paths, playbook
from bedplate.twin.lab import Twin

INVENTORY = paths.ROOT / "tests/e2e/inventories/audit"
PLAYBOOK = str(paths.ROOT / "tests/e2e/playbooks/audit.yml")
GATEWAY, COLLECTOR, NAME = "audit-gw1", "audit-log1", "gateway.audit.example.internal"
ARCHIVE = "/var/lib/bedplate-audit/archive"
RECORDS = int(os.environ.get("BEDPLATE_RECORDS", "2000"))  # 100000 is the full size
CUTS = int(os.environ.get("BEDPLATE_CUTS", "3"))
PROMISE = 1.0  # seconds
SILENCE = 300.0  # seconds without an answer, or without a record that arrives, are too many
BOOT = 900.0  # a machine that has just lost its power among others that work
COMMAND = "pytest tests/e2e/test_audit_power.py"

pytestmark = [pytest.mark.twin, pytest.mark.long]


@dataclass(frozen=True)
class Story:
    """What was asked, when the power went, and what the collector has."""

    twin: Twin
    load: UntilPowerGoes
    archive: Path

    @property
    def arrived(self) -> list[str]:
        """Ids of the gateway's records, as often as they are there."""
        lines = audit_chain.entries(audit_chain.files(self.archive))
        records = [json.loads(line)["record"] for _, _, line in lines]
        return [record["id"] for record in records if record["source"] == "gateway"]

    @property
    def lost(self) -> list[float]:
        """Seconds between the answers whose record is nowhere and the cut after them."""
        gone = set(self.load.answers) - set(self.arrived)
        moments = [self.load.answers[name] for name in gone]
        return [next(cut for cut in self.load.cuts if cut >= moment) - moment for moment in moments]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Two machines, and a gateway whose power goes several times."""
    twin, folder = Twin.load(INVENTORY), tmp_path_factory.mktemp("audit")
    twin.up()
    run(twin, PLAYBOOK, folder)
    run(twin, "issue_client.yml", folder, client="tester")
    load = UntilPowerGoes(NAME, folder / "pki/clients/tester", victim=twin.machine(GATEWAY))
    for number in range(CUTS):
        machine = twin.machine(GATEWAY)
        load.until(RECORDS * (number + 1) // (CUTS + 1), machine, SILENCE)
        machine.boot()
        machine.wait(BOOT)
    load.victim = None
    load.until(RECORDS, twin.machine(GATEWAY), SILENCE)
    yield Story(twin, load, fetched(twin, len(load.answers), folder / "archive"))
    twin.down()


def run(twin: Twin, name: str, folder: Path, **extra: str) -> None:
    result = playbook.run(
        INVENTORY, name, overlays=[twin.overlay], extra={"pki_folder": str(folder / "pki"), **extra}
    )
    assert result.rc == 0, result.failures or result.output


def fetched(twin: Twin, number: int, folder: Path) -> Path:
    """A copy of the archive once it holds the records of so many requests, or gets no more."""
    collector = twin.machine(COLLECTOR)
    held, deadline = -1, 0.0
    while held < number and (held < 0 or time.monotonic() < deadline):
        count = f'sudo sh -c "cat {ARCHIVE}/*.jsonl | grep -c \'\\"source\\":\\"gateway\\"\'"'
        now = int(collector.ssh(count).out or 0)
        if now != held:
            held, deadline = now, time.monotonic() + 60
        time.sleep(2)
    folder.mkdir()
    for name in collector.ssh(f"sudo ls {ARCHIVE}", check=True).out.split():
        (folder / name).write_text(collector.ssh(f"sudo cat {ARCHIVE}/{name}", check=True).out)
    return folder


def note(story: Story, name: str, claim: str, value: float, **more: str) -> None:
    machine: dict[str, str | int] = {"accelerator": story.twin.accelerator}
    evidence.record(
        "lab",
        f"hosts.audit.power.{name}",
        claim,
        value,
        proved_on="twin",
        command=COMMAND,
        machine=machine,
        **more,
    )


def test_what_was_answered_is_in_the_archive_once(story: Story) -> None:
    answered, arrived = len(story.load.answers), story.arrived
    broken = [age for age in story.lost if age > PROMISE]
    doubled = len(arrived) - len(set(arrived))
    say = (
        f"Of {answered} answered requests and {len(story.load.cuts)} power cuts of the gateway: records lost"
    )
    note(story, "lost", f"{say} that were older than a second", len(broken), goal="== 0")
    note(story, "young", f"{say} that were younger", len(story.lost) - len(broken))
    oldest = round(max(story.lost, default=0.0) * 1000)
    note(story, "window", "The oldest answer whose record a power cut took", oldest, unit="ms", goal="< 1000")
    note(story, "doubled", "Records written twice in the same run", doubled, goal="== 0")
    assert len(story.load.cuts) == CUTS and answered >= RECORDS
    assert (broken, doubled) == ([], 0)


def test_the_chain_is_whole_and_one_changed_byte_is_found_by_name(story: Story) -> None:
    (collector,) = audit.site(INVENTORY, overlays=[story.twin.overlay])
    assert collector.verdict.broken is None and collector.verdict.records >= RECORDS
    file = audit_chain.files(story.archive)[0]
    lines = file.read_bytes().splitlines(keepends=True)
    place = len(lines) // 2
    lines[place] = lines[place].replace(b'"duration_ms"', b'"duration_mz"')
    file.write_bytes(b"".join(lines))
    broken = audit.folder(story.archive, 180).verdict.broken
    assert broken is not None and (broken.file, broken.line) == (file.name, place + 1)
