"""Small programs that run inside pods, as immutable ConfigMaps: a changed program has a new name, so pods
that use it are replaced."""

import hashlib
from pathlib import Path

from ai_platform import names
from ai_platform.manifest import Manifest

FILES = Path(__file__).with_name("files")


def config_map(name: str, namespace: str, data: dict[str, str], labels: dict[str, str]) -> Manifest:
    """An immutable ConfigMap whose name ends with a hash of what it holds."""
    content = "\0".join(f"{key}\0{data[key]}" for key in sorted(data))
    suffix = hashlib.sha256(content.encode()).hexdigest()[:8]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(f"{name}-{suffix}", namespace, labels=labels),
        "immutable": True,
        "data": data,
    }


def read(*programs: str) -> dict[str, str]:
    """The named files as ConfigMap data."""
    return {program: (FILES / program).read_text() for program in programs}
