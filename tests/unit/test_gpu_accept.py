"""``bedplate accept`` around the playbook: what it judges, writes, records, and how it ends."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_samples as samples
import pytest
from rich.console import Console
from typer.testing import CliRunner

from bedplate import evidence, paths
from bedplate.acceptance import accept
from bedplate.check import source
from bedplate.cli import app
from bedplate.errors import BedplateError
from bedplate.inventory import parse
from bedplate.playbook import PlaybookResult

INVENTORY = Path("inventories/made")
HARDWARE = {"model": "h100-sxm5-80gb", "count": 4}
Lab = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """An environment in memory whose playbook leaves the given documents; what it was run with comes back."""

    def made(
        documents: dict[str, dict[str, Any] | str], hardware: dict[str, Any] | None = HARDWARE
    ) -> list[dict[str, Any]]:
        shared = samples.catalogue("gpus") | samples.catalogue("gpu_acceptance")
        shared |= {"version_nvidia_driver": samples.DRIVER} | (
            {"hardware_gpus": hardware} if hardware else {}
        )
        hosts = {name: dict(shared) for name in documents}
        listing = {
            "_meta": {"hostvars": hosts},
            "gpu_nodes": {"hosts": list(hosts)},
            "all": {"hosts": list(hosts)},
        }
        inventory = parse(listing, "made", INVENTORY)
        calls: list[dict[str, Any]] = []

        def run(_: Path, playbook: str, **words: Any) -> PlaybookResult:
            calls.append({"playbook": playbook, **words})
            failures = []
            for name, document in documents.items():
                folder = tmp_path / "hosts" / name
                folder.mkdir(parents=True, exist_ok=True)
                if isinstance(document, str):
                    failures.append((name, "Measure the GPUs", document))
                else:
                    (folder / accept.RESULT).write_text(json.dumps(document))
            return PlaybookResult(0, {name: {} for name in documents}, {}, 12.5, failures=tuple(failures))

        monkeypatch.setattr(accept, "read", lambda _: source.memory(inventory))
        monkeypatch.setattr(accept.playbook, "run", run)
        monkeypatch.setattr(paths, "artifacts", lambda _: tmp_path)
        return calls

    return made


def real(**changes: Any) -> dict[str, Any]:
    """The document of a host with NVIDIA's kernel module."""
    document = samples.measured(**changes)
    document["facts"]["module"] = {"version": samples.DRIVER, "open": True}
    return document


def test_the_verdict_is_written_beside_the_result(lab: Lab, tmp_path: Path) -> None:
    lab({"one": real(), "two": real(failures=[{"gpu": 2, "why": "no", "wrong": True}])})
    outcome = accept.accept(INVENTORY)
    assert [(v.host, v.accepted) for v in outcome.verdicts] == [("one", True), ("two", False)]
    assert not outcome.accepted
    written = json.loads((tmp_path / "hosts" / "two" / accept.VERDICT).read_text())
    assert (written["accepted"], written["complaints"][0]["where"]) == (False, "GPU 2")


def test_the_playbook_does_not_fail_before_the_verdict_is_said(lab: Lab) -> None:
    calls = lab({"one": real()})
    accept.accept(INVENTORY, limit="one", variables={"gpu_acceptance_level": "standard"})
    assert calls[0]["limit"] == "one"
    assert calls[0]["extra"] == {"gpu_acceptance_failure": "warn", "gpu_acceptance_level": "standard"}


def test_a_host_that_could_not_be_measured_is_refused_with_its_reason(lab: Lab) -> None:
    lab({"one": "python3 has no module torch: install PyTorch with CUDA for it"})
    found = accept.accept(INVENTORY).verdicts[0]
    assert not found.accepted
    assert "install PyTorch" in str(found.complaints[0])


@pytest.mark.parametrize(
    ("documents", "hardware", "words"),
    [({"one": {}}, None, "has hardware_gpus"), ({}, HARDWARE, "hardware_gpus")],
)
def test_nothing_to_accept_is_said(
    lab: Lab, documents: dict[str, Any], hardware: dict[str, Any] | None, words: str
) -> None:
    lab(documents, hardware)
    with pytest.raises(BedplateError, match=words):
        accept.accept(INVENTORY)


def test_evidence_names_the_number_of_gpus_that_were_measured(lab: Lab) -> None:
    lab({"one": real()})
    accept.record(accept.accept(INVENTORY), "bedplate accept", 25.0)
    proved = {entry.id: entry for entry in evidence.read("made")}
    assert {"gpu.x4.memory_copy", "gpu.x4.pair", "gpu.x4.all_reduce", "gpu.x4.standard.baseline"} <= set(
        proved
    )
    assert (proved["gpu.x4.bf16"].value, proved["gpu.x4.bf16"].goal) == (757.0, ">= 643")
    assert proved["gpu.x4.all_reduce"].claim.startswith("all-reduce of 1024 MiB")
    assert proved["gpu.x4.standard.failures"].verdict == "pass"
    assert {entry.proved_on for entry in proved.values()} == {"gpu"}


@pytest.mark.parametrize(("level", "goal"), [("quick", "< 30"), ("standard", "")])
def test_only_the_quick_level_has_a_time_to_keep(lab: Lab, level: str, goal: str) -> None:
    lab({"one": real(level=level)})
    accept.record(accept.accept(INVENTORY), "bedplate accept", 25.0)
    seconds = next(e for e in evidence.read("made") if e.id == f"gpu.x4.{level}.seconds")
    assert (seconds.value, seconds.goal) == (25.0, goal)


def test_a_host_without_the_driver_proves_nothing(lab: Lab) -> None:
    lab({"one": samples.measured()})
    accept.record(accept.accept(INVENTORY), "bedplate accept", 25.0)
    assert evidence.read("made") == []


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, 0, "accepted, level standard"),
        ({"failures": [{"gpu": 2, "why": "no", "wrong": True}]}, 1, "corrupts data silently"),
        ({"stopped": True, "complete": False}, 1, "run it again to its end"),
    ],
)
def test_how_the_command_ends(
    lab: Lab, changes: dict[str, Any], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr("bedplate.commands.accept.out", Console(file=said, width=200))
    lab({"one": real(**changes)})
    done = CliRunner().invoke(app, ["accept", "-i", str(INVENTORY)])
    assert (done.exit_code, words in said.getvalue()) == (code, True), said.getvalue()


def test_json_is_one_document(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr("bedplate.commands.accept.print_json", said.append)
    lab({"one": real()})
    CliRunner().invoke(app, ["accept", "-i", str(INVENTORY), "--json"], catch_exceptions=False)
    assert [(d["accepted"], d["hosts"][0]["host"]) for d in said] == [(True, "one")]


def test_options_become_the_roles_variables(lab: Lab) -> None:
    calls = lab({"one": real()})
    words = ["accept", "-i", str(INVENTORY), "--level", "burn-in", "--hours", "0.5", "--capture", "--stop"]
    CliRunner().invoke(app, words, catch_exceptions=False)
    assert calls[0]["extra"] == {
        "gpu_acceptance_failure": "warn",
        "gpu_acceptance_level": "burn-in",
        "gpu_acceptance_capture": True,
        "gpu_acceptance_burn_in_seconds": 1800,
        "gpu_acceptance_action": "stop",
    }
