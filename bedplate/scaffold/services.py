"""Pure: a platform that gives most GPUs of a generated environment something to do, to measure with."""

from typing import Any

from bedplate.scaffold.answers import Answers
from bedplate.scaffold.generate import File

# Part of all GPUs that each service takes, in hundredths; most of what is missing to 100 stays free. The
# largest model has two replicas wherever they take no more than a tenth, as its groups start one by one.
_PARTS: dict[str, tuple[int, dict[str, Any]]] = {
    "analysis": (40, {"model": "deepseek-r1-distill-llama-70b", "gpus": 4}),
    "reasoning": (25, {"model": "deepseek-r1-distill-qwen-32b", "gpus": 2}),
    "chat": (15, {"model": "deepseek-r1-distill-qwen-7b", "gpus": 1}),
}
_LARGEST = {
    "name": "r1",
    "model": "deepseek-r1",
    "owner": "research",
    "hosts": 2,
    "gpus": 8,
    "context": 65536,
    "replicas": 2,
}
_LARGEST_GPUS = 32
_TENTH, _HUNDRED = 10, 100


def services(answers: Answers) -> File:
    """platform.yml: services whose replicas follow from the number of GPUs."""
    kind = answers.machines["gpu_nodes"]
    gpus = kind.count * kind.gpus
    shared = [
        {"name": name, **what, "owner": "research"} | {"replicas": gpus * part // _HUNDRED // what["gpus"]}
        for name, (part, what) in _PARTS.items()
    ]
    largest = [_LARGEST] if gpus >= _TENTH * _LARGEST_GPUS else []
    return File(
        "A platform to measure with: most GPUs have something to do.",
        {
            "platform_registry": f"registry.{answers.domain}",
            "platform_access": {role: [f"{role}s"] for role in ("admin", "analyst", "read_only")},
            "platform_vllm": [*largest, *shared],
        },
    )
