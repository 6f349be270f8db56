"""What a rehearsal found out, as the page shows it."""

from datetime import UTC, datetime
from typing import Any

import pytest
import report_samples as samples

from bedplate.report.build import build
from bedplate.report.model import Failover, GpuHost, Occupant, Page, Rehearsal
from bedplate.report.page import render
from bedplate.report.rehearsal import rehearsal_of


def page(document: dict[str, Any] | None) -> Page:
    records = samples.records(rehearsal=document)
    return build(samples.inventory(3), records, datetime(2026, 11, 23, tzinfo=UTC))


def shown(**fields: Any) -> Rehearsal:
    view = rehearsal_of(samples.rehearsal(**fields))
    assert view is not None
    return view


def by_name(hosts: tuple[GpuHost, ...]) -> dict[str, tuple[list[tuple[str, int]], int]]:
    return {h.host.name: ([(o.workload, o.gpus) for o in h.occupants], h.free) for h in hosts}


def test_gpus_have_their_workloads_and_alike_nodes_are_unfolded() -> None:
    assert by_name(page(samples.rehearsal()).gpus) == {
        "gpu1": ([("r1-70b", 8)], 0),
        "gpu2": ([("r1-8b", 2)], 6),
        "gpu3": ([("r1-8b", 2)], 6),
    }


def test_without_a_rehearsal_every_gpu_is_free() -> None:
    assert by_name(page(None).gpus) == {name: ([], 8) for name in ("gpu1", "gpu2", "gpu3")}


def test_a_workload_has_one_colour_everywhere() -> None:
    view = page(samples.rehearsal())
    assert view.rehearsal is not None
    legend = {o.workload: o.index for o in view.rehearsal.legend}
    assert view.rehearsal.legend == (Occupant("r1-70b", 8, 0), Occupant("r1-8b", 4, 1))
    assert all(o.index == legend[o.workload] for h in view.gpus for o in h.occupants)


@pytest.mark.parametrize(
    ("fields", "state", "words"),
    [
        ({}, "pass", "It fits: 3 pods placed on 2 nodes, 10 GPUs in use."),
        ({"verdict": "does not fit", "why": ["a wants 2 hosts"]}, "fail", "Does not fit: a wants 2 hosts."),
        ({"verdict": "failed", "why": []}, "fail", "Failed: no reason given."),
        ({"verdict": None}, "fail", "No verdict"),
    ],
)
def test_verdict(fields: dict[str, Any], state: str, words: str) -> None:
    check = next(c for c in page(samples.rehearsal(**fields)).checks if "platform fit" in c.label)
    assert (check.state, words in check.detail) == (state, True), check.detail


def test_workloads_are_summed_and_the_largest_is_first() -> None:
    assert [(w.name, w.pods, w.gpus, w.nodes, w.ready) for w in shown().placed] == [
        ("r1-70b", 1, 8, "gpu1", "6 min 12 s"),
        ("r1-8b", 2, 2, "gpu2", "1 min 01 s"),
    ]


def test_what_must_run_is_named_before_what_may_wait() -> None:
    waiting = [
        {"workload": "batch", "sentence": "batch wants 1 GPU", "may_wait": True},
        {"workload": "r1", "sentence": "r1 wants 8 GPUs", "may_wait": False},
    ]
    view = shown(waiting=waiting, refused=[{"workload": "web", "message": "exceeded quota"}])
    assert [w.workload for w in view.waiting] == ["web", "r1", "batch"]


def test_the_loss_of_a_host() -> None:
    assert shown().failovers == (
        Failover("gpu1", "info", "nothing", "2 of r1-8b", "r1-70b"),
        Failover("gpu2, or one of 1 like it", "pass", "2 of r1-8b", "nothing", "nothing"),
    )


@pytest.mark.parametrize("document", [{"verdict": "fits"}, {"verdict": "fits", "picture": 3, "losses": [1]}])
def test_a_document_that_lacks_parts_is_shown(document: dict[str, Any]) -> None:
    assert "It fits" in render(page(document))


def test_everything_stands_on_the_page() -> None:
    html = render(page(samples.rehearsal()))
    for fact in (
        "nightly wants 8 GPUs",
        "6 of 16",
        "41.5 s",
        "or one of 1 like it",
        "r1-70b, 8 GPUs",
        "99.5",
    ):
        assert fact in html
