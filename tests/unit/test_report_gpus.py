"""GPU acceptance on the page: verdicts, matrix, bars and columns, from what ``bedplate accept`` leaves."""

import re
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import gpu_samples
import pytest
import report_samples as samples

from bedplate.acceptance import verdict
from bedplate.report.build import build
from bedplate.report.gpus import verdicts_of
from bedplate.report.model import Page
from bedplate.report.page import render

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def left(**changes: Any) -> dict[str, Any]:
    """What lies in artifacts/ENV/hosts/HOST after an acceptance of eight GPUs."""
    document = gpu_samples.measured(8, **changes)
    judged = verdict.judge("gpu1", document, gpu_samples.expected(count=8))
    return {"gpu_acceptance": document, "gpu_verdict": judged.as_dict()}


def page(gpu_nodes: int = 1, **acceptance: Any) -> Page:
    return build(samples.inventory(gpu_nodes), samples.records(acceptance=acceptance), NOW)


WRONG = [{"gpu": 3, "why": "the same matrix product gave two results", "wrong": True}]


@pytest.mark.parametrize(
    ("hosts", "acceptance", "state", "words"),
    [
        (1, {}, "none", "No GPU was measured"),
        (1, {"gpu1": left()}, "pass", "1 host with GPUs accepted"),
        (2, {"gpu1": left()}, "none", "1 of 2 hosts with GPUs accepted"),
        (2, {"gpu1": left(), "gpu2": left(failures=WRONG)}, "fail", "Not accepted: gpu2"),
    ],
)
def test_the_verdict_of_the_page(hosts: int, acceptance: dict[str, Any], state: str, words: str) -> None:
    check = next(c for c in page(hosts, **acceptance).checks if "GPUs perform" in c.label)
    assert (check.state, words in check.detail) == (state, True), check.detail


def test_refused_hosts_come_first_and_say_why() -> None:
    view = page(2, gpu1=left(), gpu2=left(failures=WRONG))
    assert [verdict.host for verdict in view.gpu_verdicts] == ["gpu2", "gpu1"]
    html = render(view)
    assert "the same matrix product gave two results" in html
    assert "it corrupts data silently" in html


def test_the_matrix_shows_every_pair() -> None:
    html = render(page(gpu1=left()))
    titles = re.findall(r"<title>GPU (\d) to GPU (\d): (NV\d+), (\d+) GB/s</title>", html)
    assert len(titles) == 56
    assert {(way, speed) for *_, way, speed in titles} == {("NV18", "395")}


def test_bars_have_the_proportions_of_the_figures() -> None:
    html = render(page(gpu1=left()))
    bar = re.search(r"<g><title>memory copy: 2,987 GB/s of 3,350.*?</g>", html)
    assert bar
    widths = [
        float(w) for w in re.findall(r'<rect[^>]* width="([\d.]+)"[^>]*class="(?:rest|s-pass)"', bar[0])
    ]
    assert widths[1] / widths[0] == pytest.approx(2987 / 3350, abs=0.002)


def test_columns_grow_with_the_size_of_the_message() -> None:
    html = render(page(gpu1=left()))
    columns = re.findall(r"<title>(\d+[MG]): ([\d.]+) GB/s, plain baseline ([\d.]+) GB/s</title>", html)
    assert columns == [("256M", "300.0", "300.0"), ("1G", "361.0", "361.0")]


def test_pictures_are_well_formed_and_the_section_is_linked() -> None:
    html = render(page(gpu1=left()))
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(picture)
    assert html.count('href="#acceptance"') == 2


def test_a_plan_has_no_such_section() -> None:
    assert 'id="acceptance"' not in render(page())


@pytest.mark.parametrize(
    "broken",
    [
        {"gpu_verdict": {}},
        {"gpu_verdict": {"figures": [{"name": "pair"}], "complaints": [{}], "wanted": {}}},
        {"gpu_verdict": {"accepted": True}, "gpu_acceptance": {"facts": None, "pairs": None}},
    ],
)
def test_a_document_that_is_cut_short_is_still_shown(broken: dict[str, Any]) -> None:
    found = verdicts_of(page().hosts, {"gpu1": broken})
    assert [verdict.host for verdict in found] == ["gpu1"]
    render(page(gpu1=broken))
