"""Which packages bring CUDA toolkits side by side, cuDNN and NCCL. Pure.

Toolkits of several minor versions live beside each other, cuDNN 9 has a package for every CUDA major version;
cuDNN 8 and NCCL have one package name for all, so a host has one build of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TOOLKIT, LIBRARIES = "toolkit", "libraries"
_OWN_NAMES = 9  # first cuDNN with a package for every CUDA major version


def major(version: str) -> str:
    """``13`` of ``13.0``."""
    return version.partition(".")[0]


def per_major(versions: Any, cuda: Sequence[str]) -> dict[str, str]:
    """A version for every CUDA major version that is installed: the same for all, or as a dictionary says."""
    majors = list(dict.fromkeys(major(version) for version in cuda))
    if isinstance(versions, Mapping):
        return {one: str(versions[one]) for one in majors if one in versions}
    return {one: str(versions) for one in majors} if versions else {}


def toolkits(cuda: Sequence[str], updates: Mapping[str, str], what: str) -> list[dict[str, str]]:
    """A package for every toolkit; ``updates`` names exact updates (13.0: 13.0.2)."""
    return [
        {"name": f"cuda-{what}-{version.replace('.', '-')}", "version": updates.get(version, version)}
        for version in cuda
    ]


def cudnn(versions: Any, cuda: Sequence[str], what: str) -> tuple[list[dict[str, str]], list[str]]:
    """Packages of cuDNN for every CUDA major version, and refusals."""
    found, single = [], {}
    for one, version in per_major(versions, cuda).items():
        if int(major(version)) >= _OWN_NAMES:
            name = f"cudnn9-cuda-{one}" if what == TOOLKIT else f"libcudnn9-cuda-{one}"
            found.append({"name": name, "version": version})
        else:
            single[one] = version
    if len(single) > 1:
        told = " and ".join(f"{version} for CUDA {one}" for one, version in single.items())
        why = f"cuDNN 8 has one package for all CUDA versions, and {told} is asked for"
        return [], [f"{why}; name it for one major version in version_cudnn, and take cuDNN 9 for the other"]
    for one, version in single.items():
        names = ("libcudnn8", "libcudnn8-dev") if what == TOOLKIT else ("libcudnn8",)
        found += [{"name": name, "version": f"{version}*+cuda{one}*"} for name in names]
    return found, []


def nccl(versions: Any, cuda: Sequence[str], what: str) -> list[dict[str, str]]:
    """NCCL for the first toolkit of the list: its runtime is inside the library, so that programs of an older
    toolkit use it too.
    """
    first = major(cuda[0])
    version = per_major(versions, cuda).get(first)
    names = ("libnccl2", "libnccl-dev") if what == TOOLKIT else ("libnccl2",)
    return [{"name": name, "version": f"{version}-*+cuda{first}*"} for name in names] if version else []


def family(cuda: Sequence[str]) -> list[str]:
    """Patterns of everything that belongs to these toolkits and libraries."""
    return [
        *(f"*-{version.replace('.', '-')}" for version in cuda),
        *("cuda-toolkit-*config-common", "cudnn9-*", "libcudnn8*", "libcudnn9-*", "libnccl*"),
    ]
