"""Records are read as far as they can be read; what cannot is named."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import report_samples as samples

from bedplate import paths
from bedplate.errors import BedplateError
from bedplate.report import docs, sources, write


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return paths.artifacts("sample")


def test_nothing_there_is_nothing_read(artifacts: Path) -> None:
    assert sources.read("sample") == sources.Records()


def test_everything_there_is_read(artifacts: Path) -> None:
    (artifacts / "runs.jsonl").write_text(json.dumps({"playbook": "site.yml"}) + "\n")
    (artifacts / "rehearsal.json").write_text("{}")
    (artifacts / "evidence.jsonl").write_text(json.dumps(asdict(samples.proof())) + "\n")
    (artifacts / "hosts" / "gpu1").mkdir(parents=True)
    (artifacts / "hosts" / "gpu1" / "storage_tiers.json").write_text('{"tiers": []}')
    records = sources.read("sample")
    assert records.runs == ({"playbook": "site.yml"},)
    assert records.rehearsal == {}
    assert records.evidence == (samples.proof(),)
    assert records.acceptance == {"gpu1": {"storage_tiers": {"tiers": []}}}
    assert records.unreadable == ()


def test_what_was_cut_off_is_left_out_and_named(artifacts: Path) -> None:
    (artifacts / "runs.jsonl").write_text('{"playbook": "a.yml"}\n{"playbook": "b.y')
    (artifacts / "rehearsal.json").write_text("[]")
    (artifacts / "evidence.jsonl").write_text('{"id": "hosts.x"}\n')
    records = sources.read("sample")
    assert records.runs == ({"playbook": "a.yml"},)
    assert [note.split(":")[0] for note in records.unreadable] == [
        "evidence.jsonl",
        "runs.jsonl line 2",
        "rehearsal.json",
    ]


def test_the_report_is_written_beside_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "artifacts", lambda environment: tmp_path)
    file, page = write(paths.INVENTORIES / "lab")
    assert file == tmp_path / "report.html"
    assert [host.name for host in page.hosts] == ["lab-ctl1", "lab-gpu1"]
    assert page.headline in file.read_text()


def test_the_table_of_evidence_has_a_stable_order_and_one_anchor_per_id() -> None:
    rows = [
        docs.Row("staging", samples.proof("hosts.a", claim="a | b")),
        docs.Row("lab", samples.proof("hosts.a")),
        docs.Row("lab", samples.proof("gateway.z", value=5000, unit="requests/s", goal=">= 5000")),
    ]
    table = docs.table(rows)
    assert table == docs.table(rows[::-1])
    lines = [line for line in table.splitlines() if line.startswith("| <a") or line.startswith("| `")]
    assert [line.count('<a id="') for line in lines] == [1, 1, 0]
    assert lines[0].startswith('| <a id="gateway.z"></a>`gateway.z` ')
    assert "| 5,000 requests/s | ≥ 5,000 | pass |" in lines[0]
    assert "a \\| b" in lines[2]


def test_the_table_is_written_from_every_environment(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs, "FILE", paths.ROOT / "docs" / "evidence.md")
    for environment in ("lab", "production"):
        line = json.dumps(asdict(samples.proof(f"hosts.{environment}")))
        (paths.artifacts(environment) / "evidence.jsonl").write_text(line + "\n")
    written = docs.write().read_text()
    assert "twin `lab`" in written
    assert "twin `production`" in written


def test_a_table_that_others_link_to_is_never_emptied(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs, "FILE", paths.ROOT / "evidence.md")
    docs.FILE.write_text("before")
    with pytest.raises(BedplateError, match="no record"):
        docs.write()
    assert docs.FILE.read_text() == "before"
