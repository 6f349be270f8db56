"""What the program refuses before anything is sent: each wrong platform.yml is found, named, and has a
remedy."""

from typing import Any

import pytest

from ai_platform.reading import read
from bedplate.errors import BadInput
from tests.platform_samples import FILES, batch, host, inventory, onnx, triton, vllm

R1 = {"model": "deepseek-r1"}
TENSOR = [{"name": "x", "type": "FP32", "dims": [-1]}]
LLM = {"name": "llm", "backend": "vllm", "model": "deepseek-r1-distill-qwen-7b"}
ENSEMBLE = {"name": "both", "backend": "ensemble", "inputs": TENSOR, "outputs": TENSOR}
STEP = {"inputs": {"x": "x"}, "outputs": {"x": "x"}}
SMALL = {"gpu1": host("h100-sxm5-80gb", 4), "gpu2": host("h100-sxm5-80gb", 4)}
MIXED = {"gpu1": host("h100-sxm5-80gb"), "gpu2": host("l40s", 4)}
OLD = {f"gpu{n}": host("a100-sxm4-80gb") for n in range(1, 9)}

# name, hosts, platform variables, key, part of why, part of the remedy
CASES: list[tuple[str, dict[str, Any] | None, dict[str, Any], str, str, str]] = [
    ("unknown model", None, {"vllm": [vllm(model="deepseek-r1-distil-qwen-7b")]},
     "platform_vllm.0.model", "no such model", "`deepseek-r1-distill-qwen-7b`"),
    ("a model nobody has", None, {"vllm": [vllm(model="gpt")]},
     "platform_vllm.0.model", "no such model", "use one of: deepseek-r1"),
    ("unknown group", None, {"vllm": [vllm(nodes="gpu_node")]},
     "platform_vllm.0.nodes", "no group of Kubernetes nodes", "`gpu_nodes`"),
    ("group without GPUs", None, {"vllm": [vllm(nodes="control_plane")]},
     "platform_vllm.0.nodes", "same, known GPU model", "one model of GPU"),
    ("group of two GPU models", MIXED, {"vllm": [vllm()]},
     "platform_vllm.0.nodes", "same, known GPU model", "one model of GPU"),
    ("GPU the catalogue does not know", {"gpu1": host("h999")}, {"vllm": [vllm()]},
     "platform_vllm.0.nodes", "same, known GPU model", "catalogue_gpus"),
    ("671B on one host", None, {"vllm": [vllm(**R1, gpus=8)]},
     "platform_vllm.0.model", "per GPU lack 17", "it fits on 2 hosts x 8 GPUs"),
    ("671B where nothing holds it", SMALL, {"vllm": [vllm(**R1, gpus=4)]},
     "platform_vllm.0.model", "lack", "no layout on the hosts of gpu_nodes holds it"),
    ("FP8 on A100", OLD, {"vllm": [vllm(**R1, gpus=8, hosts=2)]},
     "platform_vllm.0.model", "compute capability 8.9", "serve a bfloat16 model there"),
    ("70B on one GPU", None, {"vllm": [vllm(model="deepseek-r1-distill-llama-70b")]},
     "platform_vllm.0.model", "weights of 131.4 GiB", "it fits on 1 host x 4 GPUs"),
    ("context that the cache cannot hold", None,
     {"vllm": [vllm(model="deepseek-r1-distill-qwen-32b", gpus=1, context=65536)]},
     "platform_vllm.0.model", "65536 tokens of context", "or lower context to"),
    ("context beyond the model", None, {"vllm": [vllm(context=200000)]},
     "platform_vllm.0.context", "trained for 131072", "at most 131072"),
    ("three GPUs do not divide 28 heads", None, {"vllm": [vllm(gpus=3)]},
     "platform_vllm.0.gpus", "do not divide the attention heads", "another number"),
    ("more GPUs than a host has", SMALL, {"vllm": [vllm(gpus=8)]},
     "platform_vllm.0.gpus", "one host has 4 GPUs", "another number"),
    ("parts of hosts for a model over hosts", None, {"vllm": [vllm(**R1, gpus=4, hosts=4)]},
     "platform_vllm.0.gpus", "takes whole hosts", "write gpus: 8"),
    ("more hosts than the group has", SMALL, {"vllm": [vllm(**R1, gpus=4, hosts=8, context=2048)]},
     "platform_vllm.0.hosts", "gpu_nodes has 2 hosts", "fewer hosts"),
    ("fewer at most than at least", None, {"vllm": [vllm(replicas=3, max_replicas=2)]},
     "platform_vllm.0.max_replicas", "below replicas (3)", "write 3 or more"),
    ("scaling a model over hosts", None, {"vllm": [vllm(**R1, gpus=8, hosts=2, max_replicas=2)]},
     "platform_vllm.0.max_replicas", "not scaled by load", "leave max_replicas out"),
    ("a digest of an image that nobody runs", None, {"image_digests": {"vlm": "sha256:" + "0" * 64}},
     "platform_image_digests.vlm", "no such image", "`vllm`"),
    ("a digest that is none", None, {"image_digests": {"vllm": "sha256:abc"}},
     "platform_image_digests.vllm", "sha256:abc", "pattern"),
    ("two services of one name", None, {"vllm": [vllm(), vllm()]},
     "platform_vllm.name", "2 entries have this name", "a name of its own"),
    ("not enough main memory", {"gpu1": host("h100-sxm5-80gb", hardware_memory="64GiB")},
     {"vllm": [vllm(gpus=4)]}, "platform_vllm.0.gpus", "main memory", "more memory"),
    ("mistyped setting", None, {"vllm": [vllm(replica=2)]},
     "platform_vllm.0.replica", "no such setting", "`replicas`"),
    ("mistyped variable", None, {"vlm": [vllm()]},
     "platform_vlm", "no such setting", "`platform_vllm`"),
    ("missing owner", None, {"vllm": [{"name": "a", "model": "deepseek-r1"}]},
     "platform_vllm.0.owner", "missing", "add `owner`"),
    ("a name Kubernetes refuses", None, {"vllm": [vllm(name="Chat_1")]},
     "platform_vllm.0.name", "does not match", ""),
    ("GPU memory of everything", None, {"vllm": [vllm(gpu_memory=1.0)]},
     "platform_vllm.0.gpu_memory", "greater than the maximum", ""),
    ("registry with a scheme", None, {"registry": "https://registry.example"},
     "platform_registry", "does not match", ""),
    ("nobody is admin", None, {"access": {"admin": [], "analyst": ["a"], "read_only": ["b"]}},
     "platform_access.admin", "", ""),
    ("object store without TLS", None, {"object_store": {"endpoint": "http://s3", "bucket": "models"}},
     "platform_object_store.endpoint", "does not match", ""),
    ("ONNX without source", None, {"triton": [triton(onnx(source=""))]},
     "platform_triton.0.models.0.source", "", ""),
    ("ONNX without outputs", None, {"triton": [triton(onnx(outputs=[]))]},
     "platform_triton.0.models.0.outputs", "needs it", "add `outputs`"),
    ("TensorRT without GPU", None, {"triton": [triton(onnx(backend="tensorrt"))]},
     "platform_triton.0.models.0.backend", "needs a GPU", "set gpus"),
    ("engine without a place", None,
     {"triton": [triton(onnx(backend="tensorrt", build="fp16"), gpus=1)]},
     "platform_triton.0.models.0.build", "shared files", "platform_shared_files"),
    ("build of what is not built", None, {"shared_files": FILES, "triton": [triton(onnx(build="fp16"))]},
     "platform_triton.0.models.0.build", "only TensorRT", "leave build out"),
    ("ensemble of an unknown model", None,
     {"triton": [triton(onnx(), ENSEMBLE | {"steps": [STEP | {"model": "encodr"}]})]},
     "platform_triton.0.models.1.steps", "no such model", "it has: encoder"),
    ("ensemble of itself", None,
     {"triton": [triton(onnx(), ENSEMBLE | {"steps": [STEP | {"model": "both"}]})]},
     "platform_triton.0.models.1.steps", "no such model", "it has: encoder"),
    ("vLLM beside ONNX", None, {"triton": [triton(onnx(), LLM, gpus=1)]},
     "platform_triton.0.models", "no published Triton image", "split them"),
    ("vLLM in Triton without GPU", None, {"triton": [triton(LLM)]},
     "platform_triton.0.models.0.backend", "needs a GPU", "set gpus"),
    ("70B in a Triton of one GPU", None,
     {"triton": [triton(LLM | {"model": "deepseek-r1-distill-llama-70b"}, gpus=1)]},
     "platform_triton.0.models.0.model", "does not fit", "it fits on 1 host x"),
    ("Triton of more GPUs than a host", None, {"triton": [triton(onnx(), gpus=16)]},
     "platform_triton.0.gpus", "has 8 GPUs", "at most 8"),
    ("batch without files", None, {"batch": [batch()]},
     "platform_batch.0.requests", "no shared files", "platform_shared_files"),
    ("parallel batch over one file", None, {"shared_files": FILES, "batch": [batch(parallel=2)]},
     "platform_batch.0.requests", "all read the same file", "{index}"),
    ("batch with an absolute path", None, {"shared_files": FILES, "batch": [batch(requests="/etc/x")]},
     "platform_batch.0.requests", "does not match", ""),
    ("batch of 671B on one host", None, {"shared_files": FILES, "batch": [batch(**R1, gpus=8)]},
     "platform_batch.0.model", "does not fit", "2 hosts x 8 GPUs"),
    ("schedule that is none", None, {"shared_files": FILES, "batch": [batch(schedule="daily")]},
     "platform_batch.0.schedule", "does not match", ""),
    ("unknown MIG layout", None, {"mig": {"gpu_nodes": "h100-seventh"}},
     "platform_mig.gpu_nodes", "no such MIG layout", "`h100-sevenths`"),
    ("MIG layout of another GPU", None, {"mig": {"gpu_nodes": "a100-sevenths"}},
     "platform_mig.gpu_nodes", "cannot be cut so", "h100-sevenths"),
    ("MIG for no group", None, {"mig": {"gpus": "h100-sevenths"}},
     "platform_mig.gpus.nodes", "no group", "`gpu_nodes`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("hosts", "platform", "key", "why", "remedy"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_refused(
    hosts: dict[str, Any] | None, platform: dict[str, Any], key: str, why: str, remedy: str
) -> None:
    with pytest.raises(BadInput) as refused:
        read(inventory(hosts, **platform))
    findings = refused.value.findings
    assert [finding.key for finding in findings] == [key], "\n".join(map(str, findings))
    assert why in findings[0].why
    assert remedy in findings[0].remedy
    assert findings[0].remedy
    assert findings[0].file == "inventories/sample/group_vars/all/platform.yml"


def test_everything_wrong_is_found_in_one_run() -> None:
    wrong = {"vllm": [vllm(model="deepseek-r1", gpus=8), vllm(name="b", gpus=3)], "batch": [batch()]}
    with pytest.raises(BadInput) as refused:
        read(inventory(**wrong))
    assert [f.key for f in refused.value.findings] == [
        "platform_batch.0.requests",
        "platform_vllm.0.model",
        "platform_vllm.1.gpus",
    ]


@pytest.mark.parametrize(
    "platform",
    [
        {},
        {"vllm": [vllm()]},
        {"vllm": [vllm(**R1, gpus=8, hosts=2)]},
        {"vllm": [vllm(**R1, gpus=8, hosts=2, replicas=4)]},
        {"triton": [triton(onnx())]},
        {"triton": [triton(LLM, gpus=1)]},
        {"shared_files": FILES, "batch": [batch(parallel=4, requests="a/{index}.jsonl")]},
        {"mig": {"gpu_nodes": "h100-mixed"}},
    ],
)
def test_accepted(platform: dict[str, Any]) -> None:
    assert read(inventory(**platform)).environment == "sample"


def test_what_is_not_written_is_derived() -> None:
    service = read(inventory(vllm=[vllm()])).vllm[0]
    assert (service.layout.tensor, service.layout.pipeline, service.replicas, service.context) == (
        1,
        1,
        1,
        32768,
    )
    assert service.nodes.gpu is not None
    assert service.nodes.gpu.product == "NVIDIA-H100-80GB-HBM3"
    assert service.nodes.interface == "cluster"
