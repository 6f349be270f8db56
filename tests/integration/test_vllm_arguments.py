"""What we tell vLLM, judged by vLLM: the argument parser of the very release that the image carries reads
the command lines of every environment. Its installation takes 8 GB and minutes: part of `make long`."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from ai_platform import vllm_objects
from ai_platform.reading import read
from ai_platform.scripts import FILES
from ai_platform.settings import Settings, VllmService
from ai_platform.triton_repository import engine_arguments
from bedplate import evidence, paths
from bedplate.inventory import load

pytestmark = pytest.mark.long
JUDGE = Path(__file__).parent / "vllm" / "judge.py"
ENVIRONMENTS = ("lab", "staging", "production")
PORT = 8000
WRONG = {
    "an unknown flag": "--tensor-parallel-sizes=8",
    "a word for a number": "--max-model-len=much",
    "a word for another number": "--tensor-parallel-size=eight",
    "a type that there is not": "--kv-cache-dtype=none-such",
}


def services() -> list[tuple[VllmService, Settings]]:
    """Every service of every environment."""
    found = (read(load(paths.INVENTORIES / name)) for name in ENVIRONMENTS)
    return [(service, settings) for settings in found for service in settings.vllm]


def command_lines(service: VllmService) -> list[list[str]]:
    """What each rank of a service is started with, as its pod's program puts it together."""
    given = vllm_objects.arguments(service, PORT)
    if not service.multi_host:
        return [given]
    spec = importlib.util.spec_from_file_location("group", FILES / "group.py")
    assert spec is not None and spec.loader is not None
    group = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(group)
    hosts = service.layout.pipeline
    return [group.arguments(rank, hosts, "leader", "29501", given)[2:] for rank in range(hosts)]


@pytest.fixture(scope="module")
def python() -> Path:
    """Python of an environment that has the image's release of vLLM; fetched once."""
    wanted = str(load(paths.INVENTORIES / "lab").shared["catalogue_images"]["vllm"]["tag"]).removeprefix("v")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = paths.cache("judges") / f"vllm-{wanted}-python{version}"
    if not home.exists():
        partial = home.with_name(f"{home.name}.{os.getpid()}")
        venv.create(partial, with_pip=True)
        command = [partial / "bin" / "python", "-m", "pip", "install", "-q", f"vllm=={wanted}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(partial)
            pytest.skip(f"vLLM {wanted} is not to be had here: {done.stderr.strip()[-200:]}")
        partial.rename(home)
    return home / "bin" / "python"


def judged(python: Path, lines: list[list[str]]) -> dict[str, Any]:
    """What the judge says of these command lines."""
    done = subprocess.run(
        [python, JUDGE], input=json.dumps(lines), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def test_the_release_s_own_parser_reads_what_we_tell_it(python: Path) -> None:
    served = [(service, line) for service, _ in services() for line in command_lines(service)]
    right = [line for _, line in served]
    told = judged(python, [*right, *([*right[0], flag] for flag in WRONG.values())])
    complaints = [answer["complaint"] for answer in told["answers"] if "complaint" in answer]
    assert len(complaints) == len(WRONG), complaints  # what is wrong is refused, and nothing else
    for (service, line), answer in zip(served, told["answers"], strict=False):
        values = answer["values"]
        assert values["tensor_parallel_size"] == service.layout.tensor
        assert values["max_model_len"] == service.context
        assert values["served_model_name"] == [service.name, service.model.id]
        assert values["headless"] is ("--headless" in line)
        assert line[0] in (values.get("model"), values.get("model_tag"))
    _tritons_vllm_takes_its_arguments_from(set(told["fields"]))
    evidence.record(
        "lab",
        "platform.vllm.arguments",
        f"Command lines of all environments that the parser of vLLM {told['version']} reads as meant",
        len(served),
        goal=f"== {len(right)}",
        proved_on="program",
        command="pytest -m long tests/integration/test_vllm_arguments.py",
    )


def _tritons_vllm_takes_its_arguments_from(known: set[str]) -> None:
    """model.json of Triton's vLLM back end has keys of the engine's own arguments."""
    found = [read(load(paths.INVENTORIES / name)) for name in ENVIRONMENTS]
    given = [
        engine_arguments(model, service)
        for settings in found
        for service in settings.triton
        for model in service.models
        if model.backend == "vllm"
    ]
    assert given, "no environment serves vLLM through Triton"
    for arguments in given:
        assert set(arguments) <= known
