"""What we generate for Triton, judged by Triton: a real server loads the lab's repository and answers, and
its parser reads the configuration of back ends that need a GPU."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from triton_server import KEY, MODELS, Server, assemble, install

from ai_platform.reading import read
from ai_platform.settings import Settings, TritonService
from bedplate import evidence, paths
from bedplate.inventory import load
from tests.platform_samples import ENGINE, FILES, inventory, onnx, triton

COMMAND = "pytest tests/integration/test_triton.py"
LOADED = ("tokenizer", "encoder", "embed")
NEED_A_GPU: dict[str, dict[str, Any]] = {
    "onnxruntime": onnx(max_batch_size=64, instances=2, queue_delay_microseconds=2000, queue_size=512),
    "tensorrt": ENGINE | {"queue_delay_microseconds": 500},
    "vllm": {"name": "encoder", "backend": "vllm", "model": "deepseek-r1-distill-qwen-7b"},
}


parsed: set[str] = set()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    yield install()
    if parsed:
        claim = "Back ends that need a GPU and whose config.pbtxt a real Triton reads and takes"
        proved("parsed", claim, len(parsed))


def search() -> tuple[TritonService, Settings]:
    """The lab's own service; its ONNX model is a program here, as no ONNX back end can be had."""
    platform = load(paths.INVENTORIES / "lab").shared["platform_triton"]
    (entry,) = (dict(service) for service in platform if service["name"] == "search")
    entry["models"] = [
        model | {"backend": "python"} if model["backend"] == "onnxruntime" else model
        for model in entry["models"]
    ]
    settings = read(inventory(triton=[entry], shared_files=FILES))
    return settings.triton[0], settings


def test_the_lab_s_repository_is_loaded_and_answers(server: Server, tmp_path: Path) -> None:
    service, settings = search()
    repository = assemble(service, settings, tmp_path, {name: MODELS / name for name in LOADED})
    with server.running(service, settings, repository) as client:
        loaded = [name for name in LOADED if client.ask("GET", f"/v2/models/{name}/ready")[0] == 200]
        text = {"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": ["abc", "abd"]}
        status, answer = client.ask("POST", "/v2/models/embed/infer", {"inputs": [text]})
        _, told = client.ask("GET", "/v2/models/tokenizer/config", **{"admin-key": KEY})
        closed, _ = client.ask("POST", "/v2/repository/index")
        opened, index = client.ask("POST", "/v2/repository/index", **{"admin-key": KEY})
    assert (status, tuple(loaded)) == (200, LOADED), answer
    (vectors,) = answer["outputs"]
    assert (vectors["name"], vectors["datatype"], vectors["shape"]) == ("embedding", "FP32", [2, 1024])
    assert vectors["data"][:2] + vectors["data"][1024:1026] == [294.0, 295.0, 295.0, 296.0]
    assert (closed, opened, len(index)) == (403, 200, 3), "administration needs its key, and the key opens it"
    wanted = {model.name: model for model in service.models}["tokenizer"]
    assert told["max_batch_size"] == wanted.max_batch_size
    assert told["instance_group"][0]["count"] == wanted.instances
    proved("served", "Models of the lab's repository that a real Triton loads and answers with", len(loaded))


@pytest.mark.parametrize("backend", NEED_A_GPU)
def test_a_real_parser_takes_every_configuration(server: Server, tmp_path: Path, backend: str) -> None:
    """The server reads and checks a model's configuration before it looks for the back end."""
    repository, service, settings = generated(tmp_path, backend)
    said = server.refusal(service, settings, repository)
    assert "failed to load 'encoder'" in said
    assert f"unable to find backend library for backend '{backend}'" in said, said[-3000:]
    parsed.add(backend)


@pytest.mark.parametrize(
    ("backend", "right", "wrong"),
    [
        ("onnxruntime", 'name: "encoder"', 'nmae: "encoder"'),
        ("tensorrt", "count: ", "count: x"),
        ("vllm", "kind: KIND_", "kind: KIND_OF_"),
    ],
)
def test_the_same_parser_refuses_a_spoilt_one(
    server: Server, tmp_path: Path, backend: str, right: str, wrong: str
) -> None:
    repository, service, settings = generated(tmp_path, backend)
    config = repository / "encoder" / "config.pbtxt"
    assert right in config.read_text()
    config.write_text(config.read_text().replace(right, wrong))
    said = server.refusal(service, settings, repository)
    assert "unable to find backend library" not in said


def generated(folder: Path, backend: str) -> tuple[Path, TritonService, Settings]:
    """A repository of one model, with a directory where its weights would be."""
    platform = inventory(triton=[triton(NEED_A_GPU[backend], gpus=1)], shared_files=FILES)
    settings = read(platform)
    weights = folder / "weights"
    weights.mkdir()
    (weights / "model.placeholder").touch()
    service = settings.triton[0]
    return assemble(service, settings, folder, {"encoder": weights}), service, settings


def proved(name: str, claim: str, count: int) -> None:
    goal = {"served": f"== {len(LOADED)}", "parsed": f"== {len(NEED_A_GPU)}"}[name]
    evidence.record(
        "lab", f"platform.triton.{name}", claim, count, goal=goal, proved_on="program", command=COMMAND
    )
