"""Small inventories for tests of the platform program, made without Ansible."""

from functools import cache
from typing import Any

import yaml

from bedplate import paths
from bedplate.inventory import Inventory, parse

ACCESS = {"admin": ["admins"], "analyst": ["analysts"], "read_only": ["guests"]}
FILES = {"server": "files.example.internal", "path": "/export/ai", "capacity": "2TB"}
NETWORKS = [
    {"name": "cluster", "vlan": 20, "subnet": "10.20.0.0/24", "mtu": 9000, "zone": "compute"},
    {"name": "management", "subnet": "10.10.0.0/24", "mtu": 1500, "zone": "management"},
]
IDS = [{"name": "ids", "type": "INT64", "dims": [512]}]
VECTOR = [{"name": "vector", "type": "FP16", "dims": [1024]}]
ENGINE = {
    "name": "encoder",
    "backend": "tensorrt",
    "source": "triton/encoder",
    "build": "fp16",
    "build_shapes": "ids:1x512",
    "max_batch_size": 64,
    "inputs": IDS,
    "outputs": VECTOR,
}


@cache
def common() -> dict[str, Any]:
    """inventories/_common as Ansible merges it."""
    merged: dict[str, Any] = {}
    for path in sorted(paths.COMMON.glob("*.yml")):
        merged |= yaml.safe_load(path.read_text())
    return merged


def host(gpu: str = "", gpus: int = 8, *, kind: str = "ethernet", **more: Any) -> dict[str, Any]:
    """Variables of one host."""
    variables: dict[str, Any] = {
        "hardware_cpus": 128,
        "hardware_memory": "1TiB",
        "hardware_nics": [{"name": "data0", "kind": kind}],
        "site_networks": NETWORKS,
        "vlan_network_links": [{"name": "data0", "nics": ["data0"], "networks": ["cluster"]}],
    }
    if gpu:
        variables["hardware_gpus"] = {"model": gpu, "count": gpus}
    return variables | more


def inventory(
    hosts: dict[str, dict[str, Any]] | None = None,
    groups: dict[str, list[str]] | None = None,
    **platform: Any,
) -> Inventory:
    """An environment of eight 8-GPU H100 hosts and one control plane, or of the hosts given."""
    hosts = hosts or {f"gpu{n}": host("h100-sxm5-80gb") for n in range(1, 9)} | {"ctl1": host()}
    groups = groups or {
        "gpu_nodes": [name for name in hosts if name.startswith("gpu")],
        "control_plane": [name for name in hosts if name.startswith("ctl")],
    }
    shared = common() | {"platform_registry": "registry.example.internal", "platform_access": ACCESS}
    shared |= {f"platform_{key}": value for key, value in platform.items()}
    hostvars = {name: shared | own for name, own in hosts.items()}
    listing: dict[str, Any] = {"_meta": {"hostvars": hostvars}}
    listing |= {name: {"hosts": members} for name, members in groups.items()}
    listing["kubernetes"] = {"children": [name for name in groups if name != "gateways"]}
    listing["all"] = {"children": ["kubernetes", "gateways"] if "gateways" in groups else ["kubernetes"]}
    return parse(listing, "sample", paths.INVENTORIES / "sample")


def vllm(**fields: Any) -> dict[str, Any]:
    """One entry of platform_vllm."""
    return {"name": "chat", "model": "deepseek-r1-distill-qwen-7b", "owner": "research"} | fields


def triton(*models: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One entry of platform_triton."""
    return {"name": "search", "owner": "research", "models": list(models)} | fields


def onnx(**fields: Any) -> dict[str, Any]:
    """One ONNX model."""
    tensor = [{"name": "x", "type": "FP32", "dims": [-1]}]
    plain = {"name": "encoder", "backend": "onnxruntime", "source": "triton/encoder"}
    return plain | {"inputs": tensor, "outputs": tensor} | fields


def batch(**fields: Any) -> dict[str, Any]:
    """One entry of platform_batch."""
    plain = {"name": "evaluation", "model": "deepseek-r1-distill-qwen-7b", "owner": "research"}
    return plain | {"requests": "evaluation.jsonl"} | fields
