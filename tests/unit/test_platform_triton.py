"""Triton's model repository: text format, files, links, and the program that puts it together in the pod."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ai_platform import triton_objects
from ai_platform.pbtxt import Enum, dumps
from ai_platform.reading import read
from ai_platform.scripts import FILES
from ai_platform.settings import Settings, TritonService
from ai_platform.triton_repository import build_command, config, engine_directory, repository
from tests.platform_samples import ENGINE, IDS, VECTOR, inventory, onnx, triton
from tests.platform_samples import FILES as SHARED

LLM = {"name": "llm", "backend": "vllm", "model": "deepseek-r1-distill-qwen-7b"}


def served(*models: dict[str, Any], **fields: Any) -> tuple[TritonService, Settings]:
    settings = read(inventory(triton=[triton(*models, **fields)], shared_files=SHARED))
    return settings.triton[0], settings


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"name": "a"}, 'name: "a"\n'),
        ({"count": 2, "flag": True, "off": False}, "count: 2\nflag: true\noff: false\n"),
        ({"kind": Enum("KIND_GPU")}, "kind: KIND_GPU\n"),
        ({"dims": [-1, 8]}, "dims: [ -1, 8 ]\n"),
        ({"dims": []}, "dims: [  ]\n"),
        ({"name": 'with "quotes" and \\'}, 'name: "with \\"quotes\\" and \\\\"\n'),
        ({"a": {"b": {"c": 1}}}, "a {\n  b {\n    c: 1\n  }\n}\n"),
        ({"step": [{"n": 1}, {"n": 2}]}, "step {\n  n: 1\n}\nstep {\n  n: 2\n}\n"),
    ],
)
def test_text_format(message: dict[str, Any], text: str) -> None:
    assert dumps(message) == text


def test_an_onnx_model_on_gpus() -> None:
    service, _ = served(onnx(max_batch_size=32, queue_delay_microseconds=500, queue_size=64), gpus=1)
    assert dumps(config(service.models[0], service)) == (
        'name: "encoder"\n'
        'backend: "onnxruntime"\n'
        "max_batch_size: 32\n"
        'input {\n  name: "x"\n  data_type: TYPE_FP32\n  dims: [ -1 ]\n}\n'
        'output {\n  name: "x"\n  data_type: TYPE_FP32\n  dims: [ -1 ]\n}\n'
        "instance_group {\n  count: 1\n  kind: KIND_GPU\n}\n"
        "dynamic_batching {\n  max_queue_delay_microseconds: 500\n"
        "  default_queue_policy {\n    max_queue_size: 64\n  }\n}\n"
    )


def test_without_gpus_instances_are_on_cpus() -> None:
    service, _ = served(onnx(instances=3))
    assert config(service.models[0], service)["instance_group"] == [{"count": 3, "kind": "KIND_CPU"}]


def test_a_model_that_does_not_batch_has_no_batcher() -> None:
    service, _ = served(onnx(max_batch_size=0))
    assert "dynamic_batching" not in config(service.models[0], service)


def test_no_preferred_batch_sizes() -> None:
    service, settings = served(onnx(max_batch_size=8), ENGINE | {"name": "e"}, gpus=1)
    assert all("preferred_batch_size" not in text for text in repository(service, settings).files.values())


def test_the_vllm_back_end() -> None:
    service, settings = served(LLM, gpus=1)
    found = repository(service, settings)
    assert "KIND_MODEL" in found.files["llm/config.pbtxt"]
    assert "decoupled: true" in found.files["llm/config.pbtxt"]
    engine = json.loads(found.files["llm/1/model.json"])
    assert engine["model"].startswith("/models/deepseek-ai/DeepSeek-R1-Distill-Qwen-7B/")
    assert engine["tensor_parallel_size"] == 1
    assert triton_objects.image(service) == "triton-vllm"
    assert "--disable-auto-complete-config" not in triton_objects.arguments(service, settings)


def test_an_ensemble_wires_its_models() -> None:
    both = {
        "name": "both",
        "backend": "ensemble",
        "max_batch_size": 8,
        "inputs": IDS,
        "outputs": VECTOR,
        "steps": [{"model": "encoder", "inputs": {"x": "ids"}, "outputs": {"x": "vector"}}],
    }
    service, settings = served(onnx(), both)
    text = repository(service, settings).files["both/config.pbtxt"]
    assert 'platform: "ensemble"' in text
    assert "instance_group" not in text
    assert 'input_map {\n      key: "x"\n      value: "ids"\n    }' in text


def test_an_engine_lies_where_release_gpu_and_precision_say() -> None:
    service, settings = served(ENGINE, gpus=1)
    directory = engine_directory(service.models[0], service, settings)
    assert directory == "/shared/engines/search/encoder/26.07-py3/NVIDIA-H100-80GB-HBM3/fp16"
    assert repository(service, settings).links["encoder/1"] == directory


def test_an_engine_is_built_for_every_batch_size_up_to_the_largest() -> None:
    service, settings = served(ENGINE, gpus=1)
    command = build_command(service.models[0], service, settings)
    assert "--fp16" in command
    assert "--minShapes=ids:1x512" in command
    assert "--maxShapes=ids:64x512" in command
    assert "--onnx=/models/triton/encoder/model.onnx" in command


def test_a_build_is_another_job_when_it_builds_something_else() -> None:
    names = set()
    for precision in ("fp16", "bf16"):
        service, settings = served(ENGINE | {"build": precision}, gpus=1)
        (job,) = triton_objects.builds(service, settings)
        names.add(job["metadata"]["name"])
        assert len(job["metadata"]["name"]) <= 63
    assert len(names) == 2


def test_a_finished_engine_is_not_built_again(tmp_path: Path) -> None:
    """The job's own script, with trtexec replaced by a counter."""
    service, settings = served(ENGINE, gpus=1)
    (job,) = triton_objects.builds(service, settings)
    script = job["spec"]["template"]["spec"]["containers"][0]["command"][2]
    tool = tmp_path / "trtexec"
    tool.write_text(
        f"#!/bin/sh\necho run >> {tmp_path}/runs\n"
        'for a; do case $a in --saveEngine=*) echo e > "${a#*=}";; esac; done\n'
    )
    tool.chmod(0o755)
    script = script.replace("/usr/src/tensorrt/bin/trtexec", str(tool)).replace("/shared", str(tmp_path))
    for _ in range(2):
        subprocess.run(["/bin/sh", "-euc", script], check=True, timeout=30)
    assert (tmp_path / "runs").read_text() == "run\n"
    plan = tmp_path / "engines/search/encoder/26.07-py3/NVIDIA-H100-80GB-HBM3/fp16/model.plan"
    assert plan.read_text() == "e\n"


def test_administration_needs_a_key_and_models_are_loaded_once() -> None:
    service, settings = served(onnx())
    found = triton_objects.arguments(service, settings)
    assert "--model-control-mode=none" in found
    restricted = next(a for a in found if a.startswith("--http-restricted-api="))
    assert "model-repository" in restricted
    assert restricted.endswith("admin-key=$(TRITON_ADMIN_KEY)")


# ---- assemble.py, run for real


def assemble(config_map: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FILES / "assemble.py"), str(config_map), str(target)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def laid_out(tmp_path: Path, service: TritonService, settings: Settings) -> Path:
    """The ConfigMap as kubelet mounts it, with the model store in ``tmp_path``."""
    mounted = tmp_path / "files"
    mounted.mkdir()
    for key, text in triton_objects.repository_files(service, settings)["data"].items():
        (mounted / key).write_text(text.replace("/models/", f"{tmp_path}/models/"))
    return mounted


def test_a_repository_is_put_together(tmp_path: Path) -> None:
    service, settings = served(onnx(max_batch_size=8))
    mounted = laid_out(tmp_path, service, settings)
    weights = tmp_path / "models/triton/encoder"
    weights.mkdir(parents=True)
    (weights / "model.onnx").write_text("weights")
    for _ in range(2):  # a restarted init container finds what the first one left
        done = assemble(mounted, tmp_path / "repository")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "repository/encoder/1/model.onnx").read_text() == "weights"
    text = (tmp_path / "repository/encoder/config.pbtxt").read_text()
    assert text == dumps(config(service.models[0], service))


@pytest.mark.parametrize("empty", [False, True])
def test_missing_weights_are_named(tmp_path: Path, empty: bool) -> None:
    service, settings = served(onnx())
    mounted = laid_out(tmp_path, service, settings)
    if empty:
        (tmp_path / "models/triton/encoder").mkdir(parents=True)
    done = assemble(mounted, tmp_path / "repository")
    assert done.returncode == 1
    assert "encoder/1: there is nothing in" in done.stderr
