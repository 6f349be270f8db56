"""A burn-in that found a GPU that computes wrongly, with everything of role gpu_acceptance set."""

import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def kept(host):
    """Folder of what the controller keeps of the host."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "artifacts" / "hosts" / host.backend.name


def test_the_burn_in_went_round_and_ended(kept):
    result = json.loads((kept / "gpu_acceptance.json").read_text())
    assert (result["level"], result["complete"]) == ("burn-in", True)
    assert result["rounds"] >= 1
    assert result["gpus"][0]["load"]["value"] == pytest.approx(784, rel=0.005)


def test_the_gpu_that_computes_wrongly_is_named(kept):
    result = json.loads((kept / "gpu_acceptance.json").read_text())
    assert [(failure["gpu"], failure["wrong"]) for failure in result["failures"]] == [(1, True)]


def test_fixtures_are_brought_and_masked(kept):
    facts = json.loads((kept / "captured" / "facts.json").read_text())
    assert [gpu["name"] for gpu in facts["gpus"]] == ["NVIDIA H200", "NVIDIA H200"]
    assert {gpu["uuid"][:12] for gpu in facts["gpus"]} == {"GPU-00000000"}


def test_nothing_is_left_running(host):
    assert host.run("pgrep -f '[g]pu_acceptance.worker'").rc == 1
