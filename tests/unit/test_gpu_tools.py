"""Outputs of DCGM, nvbandwidth and nccl-tests, made by hand after their formats: each is said once."""

# ruff: noqa: E501  a table of nccl-tests is as wide as it is

from typing import Any

import pytest

from bedplate.acceptance import tools

NCCL = """# nThread 1 nGpus 8 minBytes 1073741824 maxBytes 1073741824 step: 1048576(bytes)
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
  1073741824     268435456     float     sum      -1   5205.1  206.29  361.00      {wrong}   5210.4  206.08  360.63      0
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 360.82
"""


def diagnosis(status: str, **where: Any) -> dict[str, Any]:
    """``dcgmi diag -r 2 -j``: one test that passed, one with ``status``."""
    said = {"status": status, **where} | ({"warnings": ["Detected 1 row remap"]} if status == "Fail" else {})
    tests = [
        {"name": "Denylist", "results": [{"status": "Pass"}]},
        {"name": "PCIe", "results": [{"status": "Pass", **where}, said]},
    ]
    return {"DCGM Diagnostic": {"test_categories": [{"category": "Integration", "tests": tests}]}}


def told(name: str, rc: int | None, output: Any) -> dict[str, Any]:
    return {"gpus": [{}] * 8, "tools": {name: {"present": True, "command": name, "rc": rc, "output": output}}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, []),
        ({"tools": {"dcgmi": {"present": False}}}, []),
        (told("dcgmi", 0, diagnosis("Pass", gpu_id="1")), []),
        (
            told("dcgmi", 226, diagnosis("Fail", gpu_id="1")),
            [("fail", "GPU 1", "DCGM PCIe: Detected 1 row remap, expected pass")],
        ),
        (
            told("dcgmi", 226, diagnosis("Fail", entity_group="GPU", entity_id=1)),
            [("fail", "GPU 1", "DCGM PCIe: Detected 1 row remap, expected pass")],
        ),
        (told("dcgmi", 226, "not JSON"), [("fail", "host", "exit code 226: a test failed: not JSON")]),
        (told("dcgmi", 217, ""), [("warn", "host", "exit code 217: another diagnosis runs")]),
        (told("nvbandwidth", 1, "no CUDA device"), [("warn", "host", "exit code 1: no CUDA device")]),
        (told("nvbandwidth", None, "timed out"), [("warn", "host", "timed out")]),
        (told("all_reduce_perf", 0, NCCL.format(wrong=0)), []),
        (told("all_reduce_perf", 0, NCCL.format(wrong=3)), [("fail", "host", "3 wrong of 1073741824 bytes")]),
    ],
)
def test_what_a_tool_found_is_said_once(
    document: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    found = list(tools.judge(document))
    assert [(c.level, c.where) for c in found] == [(level, where) for level, where, _ in expected]
    for complaint, (*_, words) in zip(found, expected, strict=True):
        assert words in str(complaint)


def test_figures_of_nccl_tests_stand_beside_ours() -> None:
    found = tools.figures(told("all_reduce_perf", 0, NCCL.format(wrong=0)))
    assert [(f.where, f.value, f.size, f.state) for f in found] == [("8 GPUs", 361.0, 2**30, "info")]


def test_figures_of_nvbandwidth_stand_beside_ours() -> None:
    matrix = {
        "name": "device_to_device_memcpy_read_ce",
        "bandwidth_matrix": [["N/A", "395.1"], ["394.8", "N/A"]],
    }
    host = {"name": "host_to_device_memcpy_ce", "bandwidth_matrix": [["55.2", "55.3"]]}
    odd = {"name": "a_test_of_tomorrow", "bandwidth_matrix": [["1"]]}
    found = tools.figures(told("nvbandwidth", 0, {"nvbandwidth": {"testcases": [matrix, host, odd]}}))
    assert [(f.name, f.where, f.value) for f in found] == [
        ("nvbandwidth pair", "GPU 0 to GPU 1", 395.1),
        ("nvbandwidth pair", "GPU 1 to GPU 0", 394.8),
        ("nvbandwidth h2d", "GPU 0", 55.2),
        ("nvbandwidth h2d", "GPU 1", 55.3),
    ]
