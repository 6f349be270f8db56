"""What DCGM, nvbandwidth and nccl-tests said where the host has them. Pure.

Formats: ``dcgmi diag -j`` of DCGM 3 and 4, ``nvbandwidth -j``, and the table of nccl-tests.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bedplate.acceptance.complaint import Complaint
from bedplate.acceptance.figures import Figure

Document = Mapping[str, Any]
# dcgmi ends with DCGM's status as a byte (dcgm_structs.h): -30 failed, -39 running already, -51 isolate.
_ENDS = {226: "a test failed", 217: "another diagnosis runs", 205: "isolate the GPU"}
_KEPT = 200  # characters of what a tool said
_BANDWIDTHS = {
    "host_to_device_memcpy_ce": "h2d",
    "device_to_host_memcpy_ce": "d2h",
    "device_to_device_memcpy_read_ce": "pair",
}
# size, count, type, redop, root, then time, algbw, busbw and #wrong out of place
_ROW = re.compile(r"^\s*(\d+)\s+\d+\s+\w+\s+\w+\s+-?\d+\s+[\d.]+\s+[\d.]+\s+([\d.]+)\s+(\d+)", re.MULTILINE)


def judge(document: Document) -> Iterator[Complaint]:
    """What a tool found wrong; a tool that is absent or was not asked says nothing."""
    told = document.get("tools") or {}
    for name, tool in told.items():
        if "rc" not in tool or tool["rc"] == 0:
            continue
        failed = list(_failed_tests(tool.get("output"))) if name == "dcgmi" else []
        yield from failed or [_ended_badly(name, tool)]
    for size, _, wrong in _rows(told):
        if wrong:
            remedy = "take the host out of service: its GPUs or links corrupt data silently"
            value = f"{wrong} wrong of {size} bytes"
            yield Complaint("tool.all_reduce_perf", "host", "results of nccl-tests", value, "0 wrong", remedy)


def figures(document: Document) -> list[Figure]:
    """What the tools measured, to be read beside our own figures."""
    told = document.get("tools") or {}
    gpus = len(document.get("gpus") or ())
    found = [Figure(f"nvbandwidth {name}", where, value, "GB/s") for name, where, value in _bandwidths(told)]
    rows = [Figure("nccl-tests", f"{gpus} GPUs", busbw, "GB/s", size=size) for size, busbw, _ in _rows(told)]
    return found + rows


def _ended_badly(name: str, tool: Document) -> Complaint:
    code = tool["rc"]
    output = tool.get("output")
    said = output.strip()[-_KEPT:] if isinstance(output, str) else ""
    meant = _ENDS.get(code, "") if name == "dcgmi" else ""
    value = ": ".join(filter(None, [f"exit code {code}", meant, said]))
    level = "fail" if name == "dcgmi" and code in _ENDS and meant != _ENDS[217] else "warn"
    remedy = f"run it by hand: {tool.get('command')}"
    return Complaint(
        f"tool.{name}", "host", name, value, "exit code 0", remedy, "fail" if level == "fail" else "warn"
    )


def _failed_tests(output: Any) -> Iterator[Complaint]:
    """Tests of ``dcgmi diag -j`` that failed, by GPU: DCGM 3 says gpu_id, DCGM 4 entity_id."""
    diagnosis: Any = next(iter(output.values()), {}) if isinstance(output, Mapping) else {}
    for category in diagnosis.get("test_categories", ()) if isinstance(diagnosis, Mapping) else ():
        for test in category.get("tests", ()):
            for result in test.get("results", ()):
                if str(result.get("status", "")).lower() == "fail":
                    number = result.get("entity_id", result.get("gpu_id"))
                    where = "host" if number is None else f"GPU {number}"
                    said = "; ".join(_warning(w) for w in result.get("warnings") or ()) or "fail"
                    remedy = "follow what DCGM says; RMA if the same test fails after a reset"
                    yield Complaint("tool.dcgmi", where, f"DCGM {test.get('name')}", said, "pass", remedy)


def _warning(entry: Any) -> str:
    return str(entry.get("warning", "")) if isinstance(entry, Mapping) else str(entry)


def _bandwidths(told: Document) -> Iterator[tuple[str, str, float]]:
    """Every cell of nvbandwidth's matrices: host copies have one row, pairs one per GPU."""
    output = (told.get("nvbandwidth") or {}).get("output")
    cases = output.get("nvbandwidth", {}).get("testcases", ()) if isinstance(output, Mapping) else ()
    for case in cases:
        name = _BANDWIDTHS.get(str(case.get("name")))
        for one, row in enumerate(case.get("bandwidth_matrix") or () if name else ()):
            for other, cell in enumerate(row):
                if str(cell) not in ("N/A", ""):
                    where = f"GPU {one} to GPU {other}" if name == "pair" else f"GPU {other}"
                    yield str(name), where, float(cell)


def _rows(told: Document) -> list[tuple[int, float, int]]:
    """Size in bytes, bus bandwidth, and wrong words of every row of nccl-tests."""
    output = (told.get("all_reduce_perf") or {}).get("output")
    text = output if isinstance(output, str) else ""
    return [(int(row[1]), float(row[2]), int(row[3])) for row in _ROW.finditer(text)]
