"""Which CUDA toolkits, which NCCL and which descriptions of GPUs the measuring program finds on a host."""

import sys
from pathlib import Path

import pytest

from bedplate import paths

sys.path.append(str(paths.ROLES / "gpu_acceptance" / "files"))
from gpu_acceptance import cdi, libraries

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


# Made by hand after what nvidia-ctk 1.18 writes for two GPUs; most of its edits are left out.
SPEC = """{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu",
 "devices": [
  {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}, {"path": "/dev/dri/card1"}]}},
  {"name": "1", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia1"}]}},
  {"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}, {"path": "/dev/nvidia1"}]}},
  {"name": "bare", "containerEdits": {}}],
 "containerEdits": {"deviceNodes": [{"path": "/dev/nvidiactl"}]}}"""
NODES = {"0": ["/dev/nvidia0", "/dev/dri/card1"], "1": ["/dev/nvidia1"], "bare": []}


@pytest.mark.parametrize(("works", "error"), [(True, ""), (False, "failed to initialize NVML")])
def test_the_toolkit_says_what_containers_can_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool, error: str
) -> None:
    (tmp_path / "spec.json").write_text(SPEC)
    made = f"cat {tmp_path}/spec.json" if works else f"echo '{error}' >&2; exit 1"
    listed = "echo nvidia.com/gpu=0; echo nvidia.com/gpu=all; echo vendor.example/nic=0"
    program = tmp_path / "nvidia-ctk"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in\n"cdi generate --format=json") {made};;\n"cdi list") {listed};;\nesac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said = cdi.read()
    assert said is not None
    assert (said["error"], said["described"]) == (error, ["0", "all"])
    assert said["devices"] == (NODES | {"all": ["/dev/nvidia0", "/dev/nvidia1"]} if works else {})


def test_a_host_without_the_toolkit_says_nothing_of_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cdi.read() is None
