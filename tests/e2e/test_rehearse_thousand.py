"""A generated inventory of a thousand hosts, by the commands of a person: check, rehearsal, verdict."""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rehearsals import proved

from bedplate import paths

pytestmark = [pytest.mark.rehearsal, pytest.mark.long]
TEST = "tests/e2e/test_rehearse_thousand.py"
HOSTS, GATEWAYS, CONTROLLERS = 1000, 2, 3
GPUS_PER_HOST = 8
NAME = "thousand"


@dataclass(frozen=True)
class Walked:
    """The way of one inventory: seconds per step, and what the rehearsal wrote."""

    seconds: dict[str, float]
    told: dict[str, Any]
    words: str


def bedplate(*words: str, module: str = "bedplate") -> str:
    """Run a command that has to succeed; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, text=True, check=False, cwd=paths.ROOT
    )
    assert done.returncode == 0, (
        f"{words}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    folder = tmp_path_factory.mktemp("inventories") / NAME
    seconds, told = {}, {}
    steps = {
        "generate": lambda: bedplate(str(folder), "--hosts", str(HOSTS), module="bedplate.scaffold"),
        "check": lambda: bedplate("check", "-i", str(folder)),
        "rehearse": lambda: bedplate("rehearse", "-i", str(folder)),
    }
    try:
        for step, act in steps.items():
            begin = time.monotonic()
            words = act()
            seconds[step] = round(time.monotonic() - begin, 1)
        told = json.loads((paths.artifacts(NAME) / "rehearsal.json").read_text())
        yield Walked(seconds, told, words)
    finally:
        for left in (paths.artifacts(NAME), paths.state(NAME)):
            shutil.rmtree(left)


def test_everything_fits_and_nothing_would_change(walked: Walked) -> None:
    told = walked.told
    assert (told["verdict"], told["why"], told["unchanged"]) == ("fits", [], True)
    assert len(told["nodes"]) == HOSTS - GATEWAYS
    total = walked.seconds["check"] + walked.seconds["rehearse"]
    pods = len(told["placements"])
    claim = f"Check, rehearsal and verdict of a generated inventory of {HOSTS:,} hosts ({pods:,} pods placed)"
    proved("production", "thousand.path", claim, round(total, 1), TEST, unit="s", marker="long")
    claim = f"pulumi up of its platform, {sum(told['changes'].values())} resources, until every pod is Ready"
    proved(
        "production", "thousand.first-up", claim, told["seconds"]["first_up"], TEST, unit="s", marker="long"
    )
    memory = round(sum(told["memory"].values()) / 2**30, 1)
    claim = "Memory of the control plane that holds it"
    proved("production", "thousand.memory", claim, memory, TEST, unit="GiB", marker="long")


def test_no_host_has_more_than_its_gpus_and_the_rest_is_headroom(walked: Walked) -> None:
    taken: Counter[str] = Counter()
    for pod in walked.told["placements"]:
        taken[pod["node"]] += pod["gpus"]
    assert max(taken.values()) <= GPUS_PER_HOST
    room = {entry["group"]: entry for entry in walked.told["headroom"]}["gpu_nodes"]
    assert room["gpus"] == (HOSTS - GATEWAYS - CONTROLLERS) * GPUS_PER_HOST
    assert room["gpus_free"] == room["gpus"] - sum(taken.values())


def test_every_replica_of_the_largest_model_has_two_whole_hosts(walked: Walked) -> None:
    hosts = defaultdict(set)
    for pod in walked.told["placements"]:
        if pod["workload"].startswith("vllm-r1-"):
            hosts[pod["workload"]].add(pod["node"])
    assert [len(found) for found in hosts.values()] == [2, 2]
    others = {p["node"] for p in walked.told["placements"] if p["gpus"] and "vllm-r1-" not in p["workload"]}
    assert not others & set.union(*hosts.values())


def test_the_loss_of_any_host_is_told_once_for_those_alike(walked: Walked) -> None:
    losses = walked.told["losses"]
    named = Counter(name for loss in losses for name in loss["alike"])
    busy = {pod["node"] for pod in walked.told["placements"] if pod["gpus"]}
    assert set(named) >= busy
    assert set(named.values()) == {1}


def test_the_verdict_is_short_enough_to_read(walked: Walked) -> None:
    lines = walked.words.splitlines()
    assert f"{NAME} fits" in lines[-1]
    assert len(lines) < 150
