"""The HTML: whole, safe, self-contained, and small enough for a thousand hosts."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
import report_samples as samples

from bedplate.inventory import Inventory
from bedplate.report.build import build
from bedplate.report.page import render

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
VOID = {"meta", "input", "br", "img", "link", "hr"}
HOSTILE = "\"><script>alert(1)</script>' onload=x &amp; {{ 7*7 }}"


class Reader(HTMLParser):
    """Collects tags, attributes and text; fails on tags that are closed wrongly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def html_of(inventory: Inventory, **records: Any) -> str:
    return render(build(inventory, samples.records(**records), NOW))


FULL = {
    "runs": (samples.run(["ctl1", "gpu1"], changed=4), samples.run(["ctl1", "gpu1"])),
    "evidence": (samples.proof(), samples.proof("platform.first_up.seconds", verdict="fail")),
    "unreadable": ("runs.jsonl line 3: cut off",),
    "findings": (samples.finding("warning"), samples.finding("error")),
}
CASES = {
    "plan": (samples.inventory(), {}),
    "full": (samples.inventory(), FULL),
    "empty": (samples.inventory_of({}, {}), {}),
    "many": (samples.inventory(60), FULL),
}


@pytest.fixture(params=CASES, scope="module")
def html(request: pytest.FixtureRequest) -> str:
    inventory, records = CASES[request.param]
    return html_of(inventory, **records)


def test_every_tag_is_closed(html: str) -> None:
    assert Reader(html).open == []


def test_every_picture_is_well_formed_xml(html: str) -> None:
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(picture)


def test_nothing_is_loaded_from_outside(html: str) -> None:
    loading = {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}
    links = [value for _, name, value in Reader(html).attributes if name in loading]
    assert [link for link in links if not link.startswith("#")] == []
    assert not re.search(r"url\(|@import|https?://|\bfetch\(|XMLHttpRequest", html)


def test_links_inside_the_page_have_a_target_and_names_are_unique(html: str) -> None:
    attributes = Reader(html).attributes
    names = [value for _, name, value in attributes if name == "id"]
    assert len(names) == len(set(names))
    assert {v[1:] for t, name, v in attributes if name == "href"} <= set(names)


def test_every_host_is_named_in_picture_and_table() -> None:
    reader = Reader(html_of(samples.inventory(30)))
    rows = {value for tag, name, value in reader.attributes if tag == "tr" and name == "id"}
    drawn = {value for tag, name, value in reader.attributes if tag == "a" and name == "href"}
    for host in samples.inventory(30).hosts:
        assert f"host-{host}" in rows
        assert f"#host-{host}" in drawn


def test_figures_of_the_plan_stand_on_the_page() -> None:
    text = Reader(html_of(samples.inventory())).text
    for fact in ("11.52 TB", "RAID 5", "encrypted", "promises 500,000, not measured", "VLAN 20", "10.20.0.3"):
        assert fact in text
    assert "H100 SXM5 80 GB" in text
    assert "802.3ad" in text


def test_records_stand_on_the_page() -> None:
    text = Reader(html_of(samples.inventory(), **FULL)).text
    for fact in (
        "7 min 05 s",
        "emulated CPU",
        "hosts.second_run.seconds",
        "0 changes",
        "say it in words",
        "runs.jsonl line 3",
    ):
        assert fact in text
    assert "No record yet about: api, kubernetes, gpu" in text


def hostile(value: Any) -> Any:
    """The same structure with every text replaced by one that tries to break out."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def test_hostile_words_stay_words() -> None:
    variables = hostile(samples.SITE | samples.gpu_node(1))
    inventory = samples.inventory_of({HOSTILE: variables}, {HOSTILE: [HOSTILE]}, HOSTILE)
    proof = samples.proof(**dict.fromkeys(("claim", "unit", "goal", "command", "time", "proved_on"), HOSTILE))
    run = samples.run([HOSTILE]) | {"playbook": HOSTILE, "accelerator": HOSTILE, "time": HOSTILE}
    html = html_of(inventory, evidence=(proof,), runs=(run,), unreadable=(HOSTILE,))
    reader = Reader(html)
    assert reader.tags.count("script") == 1
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert "49" not in re.findall(r"onload=x &amp;amp; (\S+)", html)
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(picture)


def test_a_thousand_hosts_fit_into_five_megabytes_and_start_folded() -> None:
    html = html_of(samples.inventory(999), runs=(samples.run([f"gpu{n}" for n in range(1, 1000)]),))
    assert len(html.encode()) < 5_000_000
    folds = re.findall(r"<details[^>]*>", html)
    assert not [fold for fold in folds if re.search(r"\bopen\b", fold)]
    assert len(folds) > 125
