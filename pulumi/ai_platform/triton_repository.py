"""A Triton model repository from data: which files it has, and which directories are links to weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ai_platform import pods, sizing
from ai_platform.pbtxt import Enum, dumps
from ai_platform.settings import Settings, TritonModel, TritonService
from ai_platform.vllm_objects import model_path

VERSION = "1"
ENGINES = "/shared/engines"


@dataclass(frozen=True)
class Repository:
    """``files`` maps a path in the repository to its text, ``links`` a path to the directory that it points
    to."""

    files: Mapping[str, str]
    links: Mapping[str, str]


def repository(service: TritonService, settings: Settings) -> Repository:
    """All models of one service."""
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    for model in service.models:
        files[f"{model.name}/config.pbtxt"] = dumps(config(model, service))
        version = f"{model.name}/{VERSION}"
        if model.backend == "vllm":
            files[f"{version}/model.json"] = json.dumps(engine_arguments(model, service), indent=2) + "\n"
        elif model.backend == "ensemble":
            files[f"{version}/.keep"] = ""  # an ensemble has a version but nothing in it
        elif model.build:
            links[version] = engine_directory(model, service, settings)
        else:
            links[version] = f"{pods.MODELS_PATH}/{model.source}"
    return Repository(files, links)


def config(model: TritonModel, service: TritonService) -> dict[str, Any]:
    """The message of config.pbtxt. preferred_batch_size stays out: Triton batches better without it unless an
    engine has one profile per size."""
    message: dict[str, Any] = {"name": model.name}
    if model.backend == "ensemble":
        return message | _shape(model) | _ensemble(model)
    message["backend"] = model.backend
    if model.backend == "vllm":
        return message | _vllm()
    message |= _shape(model)
    kind = Enum("KIND_GPU" if service.gpus and model.backend != "python" else "KIND_CPU")
    message["instance_group"] = [{"count": model.instances, "kind": kind}]
    if model.max_batch_size:
        message["dynamic_batching"] = _batching(model)
    return message


def _shape(model: TritonModel) -> dict[str, Any]:
    def tensors(entries: tuple[Any, ...]) -> list[dict[str, Any]]:
        return [{"name": t.name, "data_type": Enum(f"TYPE_{t.type}"), "dims": list(t.dims)} for t in entries]

    return {
        "max_batch_size": model.max_batch_size,
        "input": tensors(model.inputs),
        "output": tensors(model.outputs),
    }


def _batching(model: TritonModel) -> dict[str, Any]:
    """Requests wait for company no longer than the delay; a full queue refuses instead of growing."""
    batching: dict[str, Any] = {"max_queue_delay_microseconds": model.queue_delay_microseconds}
    if model.queue_size:
        batching["default_queue_policy"] = {"max_queue_size": model.queue_size}
    return batching


def _ensemble(model: TritonModel) -> dict[str, Any]:
    def mapping(names: Mapping[str, str]) -> list[dict[str, str]]:
        return [{"key": key, "value": value} for key, value in names.items()]

    steps = [
        {
            "model_name": step.model,
            "model_version": -1,
            "input_map": mapping(step.inputs),
            "output_map": mapping(step.outputs),
        }
        for step in model.steps
    ]
    return {"platform": "ensemble", "ensemble_scheduling": {"step": steps}}


def _vllm() -> dict[str, Any]:
    """vLLM batches by itself and answers in pieces; its inputs and outputs come from the back end."""
    return {
        "instance_group": [{"count": 1, "kind": Enum("KIND_MODEL")}],
        "model_transaction_policy": {"decoupled": True},
        "parameters": [{"key": "REPORT_CUSTOM_METRICS", "value": {"string_value": "true"}}],
    }


def engine_arguments(model: TritonModel, service: TritonService) -> dict[str, Any]:
    """model.json of the vLLM back end: keys of vLLM's AsyncEngineArgs."""
    if model.model is None:
        raise ValueError(f"{model.name} has no model")
    return {
        "model": model_path(model.model),
        "served_model_name": [model.name],
        "tensor_parallel_size": service.gpus,
        "gpu_memory_utilization": sizing.TRITON_GPU_MEMORY,
        "max_model_len": min(sizing.TRITON_CONTEXT, model.model.max_context),
        "disable_log_stats": False,
    }


def engine_directory(model: TritonModel, service: TritonService, settings: Settings) -> str:
    """Where a built engine lies: it holds for one release of TensorRT, one GPU, one precision."""
    gpu = service.nodes.gpu.product if service.nodes.gpu else "cpu"
    release = settings.images.entries["triton"].tag
    return f"{ENGINES}/{service.name}/{model.name}/{release}/{gpu}/{model.build}"


def build_command(model: TritonModel, service: TritonService, settings: Settings) -> list[str]:
    """trtexec for a model's engine."""
    shapes = {
        name: [int(size) for size in sizes.split("x")]
        for name, _, sizes in (part.partition(":") for part in model.build_shapes.split(",") if part)
    }

    def profile(batch: int) -> str:
        return ",".join(f"{name}:{'x'.join(map(str, [batch, *sizes[1:]]))}" for name, sizes in shapes.items())

    most = max(model.max_batch_size, 1)
    sizes = [f"--{size}Shapes={profile(n)}" for size, n in (("min", 1), ("opt", most), ("max", most))]
    return [
        "/usr/src/tensorrt/bin/trtexec",
        f"--onnx={pods.MODELS_PATH}/{model.source}/model.onnx",
        f"--saveEngine={engine_directory(model, service, settings)}/model.plan.part",
        *([] if model.build == "fp32" else [f"--{model.build}"]),
        *(sizes if shapes else []),
    ]
