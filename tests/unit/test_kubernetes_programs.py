"""Which programs of the control plane start again, and that they do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kubernetes_programs import Program, stale, started

from tests.ansible_module import Module

API = Program("kube-apiserver", ("/a", "/b"))
OTHER = Program("kube-scheduler", ("/c",))


@pytest.mark.parametrize(
    ("begun", "written", "changing", "names"),
    [
        ({"kube-apiserver": 10.0}, {"/a": 9.0, "/b": 9.5}, (), []),
        ({"kube-apiserver": 10.0}, {"/a": 9.0, "/b": 11.0}, (), ["kube-apiserver"]),
        ({"kube-apiserver": 10.0, "kube-scheduler": 10.0}, {"/c": 12.0}, (), ["kube-scheduler"]),
        ({}, {"/a": 11.0}, (), []),
        ({"kube-apiserver": 10.0}, {}, ("/a",), ["kube-apiserver"]),
        ({"kube-apiserver": 10.0}, {}, ("/z",), []),
    ],
)
def test_who_reads_older_files(
    begun: dict[str, float], written: dict[str, float], changing: tuple[str, ...], names: list[str]
) -> None:
    assert stale([API, OTHER], begun, written, changing) == names


def test_when_a_process_began_is_read() -> None:
    stat = "7 (a (b) c) S " + " ".join(str(number) for number in range(4, 53))
    assert started(stat, 1000.0, 100) == 1000.22
    stat = Path("/proc/self/stat").read_text()
    boot = next(float(x.split()[1]) for x in Path("/proc/stat").read_text().splitlines() if "btime" in x)
    assert abs(started(stat, boot, os.sysconf("SC_CLK_TCK")) - time.time()) < 3600


def test_a_program_is_started_again_once(tmp_path: Path) -> None:
    """A stand-in of kubelet starts it again whenever it ends."""
    name, file = f"bp-{os.getpid()}", tmp_path / "policy"
    program = tmp_path / name
    program.write_text("#!/bin/sh\nsleep 600 & trap 'kill $!; exit' TERM; wait\n")
    program.chmod(0o755)
    file.write_text("old")
    os.utime(file, (1, 1))
    loop = f"while [ ! -e {tmp_path}/end ]; do {program}; sleep 0.1; done"
    kubelet = subprocess.Popen(["sh", "-c", loop], start_new_session=True)
    ask = {
        "programs": [{"name": name, "files": [str(file)], "well": [sys.executable, "-c", ""]}],
        "seconds": 20,
    }
    module = Module("kubernetes_programs")
    try:
        time.sleep(1.2)
        assert module(ask)["started"] == []
        file.write_text("new")
        os.utime(file, (time.time() + 1, time.time() + 1))
        assert module(ask, check=True)["started"] == [name]
        time.sleep(1.2)
        assert module(ask)["started"] == [name]
        assert module(ask)["changed"] is False
    finally:
        (tmp_path / "end").touch()
        os.killpg(kubelet.pid, 9)
