"""What was measured on made-up hosts: figures, gates, neighbours, baselines, and what happens under load."""

from collections.abc import Callable
from typing import Any

import gpu_samples as samples
import pytest
from gpu_samples import GIB, MIB, Document, collective, measured

from bedplate.acceptance import figures, verdict
from bedplate.acceptance.verdict import Verdict


def judged(document: Document, gpus: int = 4) -> Verdict:
    return verdict.judge("host", document, samples.expected(count=gpus))


@pytest.mark.parametrize("gpus", [4, 8])
def test_a_healthy_host_is_accepted(gpus: int) -> None:
    found = judged(measured(gpus), gpus)
    assert ([str(c) for c in found.complaints], found.accepted) == ([], True)


def test_every_figure_stands_beside_baseline_gate_and_published_figure() -> None:
    found = {figure.where: figure for figure in judged(measured()).figures if figure.name == "memory_copy"}
    figure = found["GPU 2"]
    assert (figure.value, figure.unit, figure.gate, figure.published) == (2987.0, "GB/s", 2610, 3350)
    assert figure.source
    assert figure.ratio == pytest.approx(1)


@pytest.mark.parametrize(
    ("operation", "factor"), [("all_reduce", 1.75), ("all_gather", 0.875), ("all_to_all", 0.875)]
)
def test_bus_bandwidth_is_that_of_nccl_tests(operation: str, factor: float) -> None:
    entry = {"operation": operation, "bytes": GIB, "gpus": 8, "seconds": 0.01, "baseline_seconds": 0.01}
    found = figures.figures({"collectives": [entry]}, samples.expected(count=8))
    assert found[0].value == pytest.approx(GIB * factor / 0.01 / 1e9)


def test_all_reduce_is_judged_by_its_largest_message_and_by_whether_nvls_was_allowed() -> None:
    gates = {
        figure.size: figure.gate for figure in judged(measured(8), 8).figures if figure.name == "all_reduce"
    }
    assert gates == {256 * MIB: None, GIB: 324}
    with_nvls = measured(8, environment={}, collectives=[collective("all_reduce", 4 * GIB, 8, 400.0)])
    assert [c.check for c in judged(with_nvls, 8).complaints] == ["figure.all_reduce"]


def change(path: str, value: Any) -> Callable[[Document], Document]:
    """Set one value of a document by its dotted path."""

    def apply(document: Document) -> Document:
        *parents, last = path.split(".")
        inner: Any = document
        for part in parents:
            inner = inner[int(part) if part.isdigit() else part]
        inner[int(last) if last.isdigit() else last] = value
        return document

    return apply


def slow_pair(one: int, other: int, bandwidth: float) -> Callable[[Document], Document]:
    """One direction that is slow, and whose baseline says so too."""

    def apply(document: Document) -> Document:
        for kind in ("value", "baseline"):
            document["pairs"][kind][one][other] = bandwidth
        return document

    return apply


FAULTS: dict[str, tuple[Callable[[Document], Document], str, str, str]] = {
    "slow memory": (
        change("gpus.1.memory_copy", {"value": 2500.0, "baseline": 2500.0}),
        "figure.memory_copy",
        "GPU 1",
        "2500 GB/s",
    ),
    "slow PCIe": (
        change("gpus.1.h2d", {"value": 26.0, "baseline": 26.0}),
        "figure.h2d",
        "GPU 1",
        "at least 48",
    ),
    "slow tensor cores": (
        change("gpus.1.bf16", {"value": 600.0, "baseline": 600.0}),
        "figure.bf16",
        "GPU 1",
        "600 TFLOP/s",
    ),
    "slower than its neighbours": (
        change("gpus.1.bf16", {"value": 700.0, "baseline": 700.0}),
        "spread.bf16",
        "GPU 1",
        "within 5% of the host's median, 757 TFLOP/s",
    ),
    "a slow pair": (slow_pair(1, 2, 200.0), "figure.pair", "GPU 1 to GPU 2", "200 GB/s"),
    "a pair slower than the others": (
        slow_pair(1, 2, 345.0),
        "spread.pair",
        "GPU 1 to GPU 2",
        "395 GB/s",
    ),
    "PCIe falls back under load": (
        change("load.1.pcie_generation", 4),
        "pcie.generation",
        "GPU 1",
        "under load: 4",
    ),
    "PCIe loses lanes under load": (
        change("load.1.pcie_width", 8),
        "pcie.width",
        "GPU 1",
        "x8, expected x16",
    ),
    "throttled under load": (
        change("load.1.reasons", {"sw_power_cap": 60, "hw_thermal_slowdown": 3}),
        "clocks.slowed",
        "GPU 1",
        "hw_thermal_slowdown",
    ),
    "NVLink errors grow under load": (
        change("after.gpus.1.links.7.errors", {"crc": 12}),
        "nvlink.errors",
        "GPU 1",
        "link 7: 12 more",
    ),
    "an error of memory under load": (
        change("after.gpus.1.ecc.volatile.uncorrected", 1),
        "ecc.uncorrected",
        "GPU 1",
        "1, expected 0",
    ),
    "an XID under load": (
        change(
            "after.kernel_log.xids",
            [{"kind": "xid", "bus": "0000:00:07", "code": 79, "time": 9.0, "text": "x"}],
        ),
        "xid.79",
        "GPU 1",
        "fallen off the bus",
    ),
    "wrong results": (
        change("failures", [{"gpu": 1, "why": "the same matrix product gave two results", "wrong": True}]),
        "compute.wrong",
        "GPU 1",
        "corrupts data silently",
    ),
    "a measurement that ended": (
        change("failures", [{"gpu": 1, "why": "its process ended during pairs", "wrong": False}]),
        "measure.failed",
        "GPU 1",
        "its process ended during pairs",
    ),
    "a baseline that says something else": (
        change("gpus.1.bf16.baseline", 700.0),
        "figure.baseline",
        "GPU 1",
        "757.0 TFLOP/s against 700.0",
    ),
    "stopped": (change("stopped", True), "measure.stopped", "host", "after 1 rounds, 173 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named_once(fault: str) -> None:
    apply, check, where, words = FAULTS[fault]
    found = judged(apply(measured())).complaints
    assert [(c.check, c.where.split(" (0000")[0]) for c in found] == [(check, where)]
    assert words in str(found[0])


def test_one_dead_gpu_of_many_pairs_is_one_complaint() -> None:
    document = measured(8)
    for other in range(8):
        if other != 3:
            slow_pair(3, other, 12.0)(slow_pair(other, 3, 12.0)(document))
    found = judged(document, 8).complaints
    assert [c.check for c in found] == ["figure.pair"]
    assert "GPU 3 to GPU 0" in found[0].where
    assert "and 6 more" in found[0].where


def test_of_another_model_no_figure_is_judged() -> None:
    """The one thing to say is that the machine is another one, not that it is slow for what it is not."""
    found = verdict.judge("host", measured(), samples.expected("b200-sxm6-180gb"))
    assert {c.check for c in found.complaints} == {"gpus.model"}


def test_a_run_that_was_cut_off_accepts_nothing() -> None:
    assert not judged(measured(complete=False)).accepted


@pytest.mark.parametrize("model", samples.catalogue("gpus")["catalogue_gpus"])
def test_gates_hang_together(model: str) -> None:
    """A gate is below what was seen, and what was seen below what the vendor promises (NVLS excepted)."""
    wanted = samples.expected(model, count=8)
    for name in wanted.figures:
        rows = wanted.figures[name]
        for row in rows if isinstance(rows, list) else [rows]:
            assert row["gate"] < row["seen"]
            assert row["source"]
            assert row["seen"] <= row["published"] or row.get("nvls")


def test_thresholds_are_of_models_that_exist() -> None:
    acceptance = samples.catalogue("gpu_acceptance")["catalogue_gpu_acceptance"]
    assert set(acceptance["figures"]) <= set(samples.catalogue("gpus")["catalogue_gpus"])
    assert {row["level"] for row in acceptance["xids"].values()} == {"fail", "warn", "ignore"}
    assert [
        code for code, row in acceptance["xids"].items() if row["level"] != "ignore" and not row.get("remedy")
    ] == []


def test_the_verdict_is_plain_json() -> None:
    document = judged(measured()).as_dict()
    assert document["accepted"] is True
    assert document["figures"][0]["ratio"] == pytest.approx(1)
    assert document["figures"][0]["state"] == "pass"
