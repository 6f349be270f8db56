"""The measuring program as a host runs it, on GPUs that exist only as a clock (tests/fakes).

Its figures are the speeds of those GPUs, faults are named, and whatever happens no process is left behind.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bedplate import paths
from bedplate.acceptance import accept, verdict
from bedplate.acceptance.wanted import Wanted, wanted
from bedplate.check.source import read

PROGRAM = paths.ROLES / "gpu_acceptance" / "files"
FAKES = paths.ROOT / "tests" / "fakes"
COMMON = [
    yaml.load((paths.COMMON / f).read_text(), yaml.CSafeLoader) for f in ("gpus.yml", "gpu_acceptance.yml")
]
BUSY = 75


def expected(count: int) -> Wanted:
    hardware = {"model": "h200-sxm5-141gb", "count": count}
    return wanted(hardware, COMMON[0]["catalogue_gpus"], COMMON[1]["catalogue_gpu_acceptance"], "580.159.04")


class Host:
    """A machine with fake GPUs, as far as the program sees it."""

    def __init__(self, state: Path, gpus: int = 2, fault: str = "", python_path: str = str(FAKES)) -> None:
        self.state, self.result = state, state / "result.json"
        self.environment = dict(os.environ) | {
            "PYTHONPATH": python_path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "FAKE_GPUS": str(gpus),
            "FAKE_GPU_FAULT": fault,
            "NCCL_NVLS_ENABLE": "0",
            "BEDPLATE_TEST_RUN": str(state),  # by which its processes are found, and only its own
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gpu_acceptance", "--state", str(self.state), *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=PROGRAM, env=self.environment, **pipes)

    def do(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err

    def run(self, level: str, *words: str) -> dict[str, Any]:
        code, output = self.do("run", "--level", level, "--result", str(self.result), *words)
        assert code == 0, output + (self.state / "workers.log").read_text()
        return self.read()

    def begin(self, level: str, *words: str) -> subprocess.Popen[str]:
        """Start a run and wait until its workers have measured something."""
        process = self.start("run", "--level", level, "--result", str(self.result), *words)
        self.wait(lambda: self.do("status")[1].find('"step": "start"') < 0 and len(self.processes()) > 1)
        return process

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.result.read_text())
        return found

    def processes(self) -> list[int]:
        mark = f"BEDPLATE_TEST_RUN={self.state}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    mark in (entry / "environ").read_bytes().split(b"\0")
                    and b"gpu_acceptance" in (entry / "cmdline").read_bytes()
                ):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def wait(self, condition: Any, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.1)


@pytest.fixture
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    made = Host(tmp_path, **getattr(request, "param", {}))
    yield made
    made.wait(lambda: not made.processes(), 20)  # nothing is ever left behind


@pytest.mark.parametrize(
    "host", [{"gpus": 1}, {"gpus": 2}, {"gpus": 8}], indirect=True, ids=lambda h: f"x{h['gpus']}"
)
@pytest.mark.parametrize("level", ["quick", "standard"])
def test_figures_are_the_speeds_of_the_gpus(host: Host, level: str) -> None:
    document = host.run(level, "--load", "2")
    gpus = int(host.environment["FAKE_GPUS"])
    judged = verdict.judge("host", document, expected(gpus))
    speeds = {"memory_copy": 4279, "h2d": 55, "d2h": 55, "bf16": 784, "fp8": 1370, "pair": 395, "load": 784}
    for figure in judged.figures:
        if figure.name in speeds:
            assert figure.value == pytest.approx(speeds[figure.name], rel=0.005)
        elif figure.size >= 2**30:
            assert figure.value == pytest.approx(
                322, rel=0.005
            )  # of nccl-tests' definition, whatever the number
        assert figure.ratio is None or figure.ratio == pytest.approx(1, abs=0.01)
    if gpus == 8:  # the clock's all-reduce is that of two GPUs, the gate that of eight
        assert {c.check for c in judged.complaints} <= {"figure.all_reduce"}
    else:
        assert ([str(c) for c in judged.complaints], judged.accepted) == ([], True)


def test_a_standard_run_measures_every_size_of_every_collective(host: Host) -> None:
    document = host.run("standard", "--load", "1")
    found = {(c["operation"], c["bytes"]) for c in document["collectives"]}
    sizes = {2**20 << n for n in range(13)}
    assert found == {(o, s) for o in ("all_reduce", "all_gather", "all_to_all") for s in sizes}
    assert document["gpus"][1]["memory_holds"] > 100 * 2**30
    assert document["load"][0]["looks"] >= 1
    assert set(document["tools"]) == {"dcgmi", "nvbandwidth", "all_reduce_perf"}


@pytest.mark.parametrize(
    ("host", "level", "check", "words"),
    [
        ({"fault": "1:wrong"}, "quick", "compute.wrong", "gave two results"),
        ({"fault": "1:forgets"}, "standard", "compute.wrong", "memory does not hold"),
        ({"fault": "1:dies"}, "quick", "measure.failed", "its process ended during products"),
    ],
    indirect=["host"],
)
def test_a_broken_gpu_is_named(host: Host, level: str, check: str, words: str) -> None:
    document = host.run(level, "--load", "1")
    judged = verdict.judge("host", document, expected(2))
    assert [(c.check, c.where) for c in judged.complaints if c.level == "fail"] == [(check, "GPU 1")]
    assert words in str(judged.failures[0])
    assert {f.name for f in judged.figures} >= {"memory_copy", "h2d"}  # what was measured before is kept


@pytest.mark.parametrize("host", [{"fault": "1:hangs"}], indirect=True)
def test_a_run_that_hangs_is_stopped_with_what_it_has(host: Host) -> None:
    process = host.begin("quick")
    assert json.loads(host.do("stop")[1]) == {"stopped": True}
    process.communicate(timeout=30)
    document = host.read()
    assert (document["stopped"], document["complete"]) == (True, False)
    assert "memory_copy" in document["gpus"][0]


def test_a_burn_in_goes_round_and_round_until_it_is_stopped(host: Host) -> None:
    process = host.begin("burn-in", "--seconds", "3600", "--load", "1")
    host.wait(lambda: host.result.exists() and host.read()["rounds"] >= 2)
    status = json.loads(host.do("status")[1])
    assert (status["level"], status["until"]) == ("burn-in", 3600)
    assert json.loads(host.do("stop")[1]) == {"stopped": True}
    process.communicate(timeout=30)
    judged = verdict.judge("host", host.read(), expected(2))
    assert not judged.accepted
    assert [c.check for c in judged.complaints] == ["measure.stopped"]
    assert {f.name for f in judged.figures} >= {"bf16", "pair", "all_reduce", "load"}


def test_a_burn_in_ends_by_itself(host: Host) -> None:
    document = host.run("burn-in", "--seconds", "3", "--load", "1")
    assert document["complete"]
    assert document["rounds"] >= 2


def test_one_run_at_a_time(host: Host) -> None:
    process = host.begin("burn-in", "--seconds", "3600", "--load", "1")
    code, output = host.do("run", "--level", "quick", "--result", str(host.result))
    assert (code, "another run goes on here" in output) == (BUSY, True)
    host.do("stop")
    process.communicate(timeout=30)


def test_workers_end_with_a_runner_that_is_killed(host: Host) -> None:
    process = host.begin("burn-in", "--seconds", "3600", "--load", "1")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    host.wait(lambda: not host.processes(), 20)
    assert json.loads(host.do("stop")[1]) == {"stopped": False}


def test_the_run_of_a_parent_that_is_killed_ends(host: Host) -> None:
    """As Ansible's module ends when the controller loses its host."""
    command = f"{sys.executable} -m gpu_acceptance --state {host.state} run --with-parent --level burn-in"
    shell = f"{command} --load 1 --result {host.result} & echo started; wait"
    parent = subprocess.Popen(
        ["bash", "-c", shell], cwd=PROGRAM, env=host.environment, stdout=subprocess.DEVNULL
    )
    host.wait(lambda: len(host.processes()) > 2)
    parent.kill()
    parent.wait()
    host.wait(lambda: not host.processes(), 30)


@pytest.mark.parametrize("missing", ["pynvml", "torch"])
def test_what_is_missing_is_said(tmp_path: Path, missing: str) -> None:
    only = tmp_path / "only"
    only.mkdir()
    if missing == "torch":
        (only / "pynvml.py").symlink_to(FAKES / "pynvml.py")
    code, output = Host(tmp_path, python_path=str(only)).do("run", "--result", str(tmp_path / "r.json"))
    assert code != 0
    assert f"has no module {missing}: install" in output


def test_captured_outputs_hold_no_serial_number_and_no_uuid(host: Host, tmp_path: Path) -> None:
    """The same GPU has the same made-up number in every place of one file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    smi = programs / "nvidia-smi"
    uuid, serial = "3f0a9d5c-1111-4222-8333-000000000001", "1654321000001"
    smi.write_text(
        "#!/bin/sh\n"
        f'echo "<serial>{serial}</serial><uuid>GPU-{uuid}</uuid><pdi>0xd8af4123cca1986a</pdi>"\n'
        f'echo "GPU 0: NVIDIA H200 (UUID: GPU-{uuid})"\n'
        'printf "\\033[4mGPU0\\033[0m\\n"\n'
    )
    smi.chmod(0o755)
    host.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    assert host.do("capture", str(tmp_path / "kept"))[0] == 0
    texts = {file.name: file.read_text() for file in (tmp_path / "kept").iterdir()}
    assert set(texts) >= {"nvidia-smi-q.xml", "topo-m.txt", "facts.json"}
    everything = "".join(texts.values())
    assert uuid not in everything
    assert serial not in everything
    assert "d8af4123cca1986a" not in everything
    assert "\x1b" not in everything
    assert len(set(re.findall(r"GPU-([0-9a-f-]{36})", texts["nvidia-smi-q.xml"]))) == 1
    assert json.loads(texts["facts.json"])["gpus"][1]["memory_mib"] == 143771


DEVICES = sorted(
    folder.name for folder in (paths.ROOT / "tests" / "device").iterdir() if (folder / "hosts.yml").exists()
)
REFUSALS = {
    "wrong-count": ("gpus.count", "2, expected 8"),
    "wrong-model": ("gpus.model", "GPUs 0 and 1: GPU model: NVIDIA H200, expected NVIDIA B200"),
    "wrong-power": ("power.wanted", "900 W wanted, expected 200 to 700 W"),
}


@pytest.mark.parametrize("device", DEVICES)
def test_inventories_of_lent_machines(host: Host, device: str) -> None:
    """Each is read as Ansible reads it; what says something else of two H200 than they are is refused."""
    values = next(iter(read(paths.ROOT / "tests" / "device" / device).inventory.hosts.values()))
    assert values["gpu_acceptance_environment"]["NCCL_NVLS_ENABLE"] == "0"
    wish = accept.expectations(values)
    host.environment["FAKE_GPUS"] = "2" if device in REFUSALS else str(wish.count)
    facts = json.loads(host.do("facts")[1])
    if wish.model == "h100-sxm5-80gb":
        for gpu in facts["gpus"]:
            gpu.update(name="NVIDIA H100 80GB HBM3", memory_mib=81559)
    judged = verdict.judge(device, {"facts": facts}, wish)
    check, words = REFUSALS.get(device, ("", ""))
    assert {c.check for c in judged.failures} == ({check} if check else set())
    assert words in " ".join(map(str, judged.failures))
