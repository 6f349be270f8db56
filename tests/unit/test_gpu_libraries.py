"""Which CUDA toolkits and which NCCL the measuring program finds on a host."""

import sys
from pathlib import Path

import pytest

from bedplate import paths

sys.path.append(str(paths.ROLES / "gpu_acceptance" / "files"))
from gpu_acceptance import libraries

UBUNTU, RED_HAT = "usr/lib/x86_64-linux-gnu", "usr/lib64"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], {"cuda": [], "nccl": []}),
        (
            ["usr/local/cuda-13.0/version.json", "usr/local/cuda-9.2/version.json"],
            {"cuda": ["9.2", "13.0"], "nccl": []},
        ),
        (["usr/local/cuda/version.json", "usr/local/cuda-13/version.json"], {"cuda": [], "nccl": []}),
        (["usr/local/cuda-12.9/lib64/libcudart.so"], {"cuda": [], "nccl": []}),  # the rest of a removed one
        (
            [f"{UBUNTU}/libnccl.so.2", f"{UBUNTU}/libnccl.so.2.30.4", f"{RED_HAT}/libnccl.so.2.9.9"],
            {"cuda": [], "nccl": ["2.9.9", "2.30.4"]},
        ),
    ],
)
def test_versions_are_read_from_the_names_of_files(
    tmp_path: Path, files: list[str], found: dict[str, list[str]]
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert libraries.read(tmp_path) == found
