"""A host whose GPUs were measured once: what the controller has, and that nothing runs on."""

import json
import os
from pathlib import Path

import pytest

RESULT = "/var/lib/bedplate/results/gpu_acceptance.json"


@pytest.fixture(scope="module")
def brought(host):
    """What the controller keeps of the host."""
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "artifacts" / "hosts"
    return json.loads((folder / host.backend.name / "gpu_acceptance.json").read_text())


def test_the_figures_are_those_of_the_gpus(brought):
    assert (brought["level"], brought["complete"]) == ("quick", True)
    for gpu in brought["gpus"]:
        assert gpu["memory_copy"]["value"] == pytest.approx(4279, rel=0.005)
        assert gpu["bf16"]["value"] == pytest.approx(784, rel=0.005)
    assert brought["pairs"]["value"][0][1] == pytest.approx(395, rel=0.005)


def test_nvlink_multicast_is_off_where_the_inventory_says_so(brought):
    assert brought["environment"]["NCCL_NVLS_ENABLE"] == "0"


def test_what_the_host_keeps_is_what_the_controller_has(host, brought):
    assert json.loads(host.file(RESULT).content_string) == brought


def test_nothing_is_left_running(host):
    assert host.run("pgrep -f '[g]pu_acceptance.worker'").rc == 1
