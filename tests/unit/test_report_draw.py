"""The pictures show what they should: places, proportions, colours."""

from typing import Any
from xml.etree import ElementTree

import pytest
import report_samples as samples

from bedplate.report import draw
from bedplate.report.build import racks_of
from bedplate.report.facts import Disk, Host, Tier, hosts_of
from bedplate.report.model import GpuHost, Occupant
from bedplate.report.svg import element, shorten


def hosts(**places: dict[str, Any]) -> tuple[Host, ...]:
    return hosts_of(samples.inventory_of({n: {"hardware_rack": p} for n, p in places.items()}, {}))


def boxes(picture: str, class_: str) -> list[dict[str, float]]:
    found = ElementTree.fromstring(picture).iter("rect")
    return [
        {k: float(b.attrib[k]) for k in ("x", "y", "width", "height")}
        for b in found
        if b.attrib["class"].split()[0] == class_
    ]


@pytest.mark.parametrize("compact", [False, True])
def test_a_higher_unit_stands_higher_and_boxes_do_not_overlap(compact: bool) -> None:
    placed = hosts(low={"rack": "r1", "unit": 1, "height": 2}, high={"rack": "r1", "unit": 3})
    low, high = boxes(draw.rack(racks_of(placed)[0], {}, compact), "box")
    assert high["y"] + high["height"] <= low["y"]
    assert low["height"] == pytest.approx(2 * high["height"] + 1)


def test_hosts_in_the_same_unit_stand_side_by_side() -> None:
    placed = hosts(a={"rack": "r1", "unit": 7}, b={"rack": "r1", "unit": 7})
    left, right = boxes(draw.rack(racks_of(placed)[0], {}, compact=False), "box")
    assert left["x"] + left["width"] <= right["x"]
    assert left["y"] == right["y"]


def test_a_host_has_the_colour_of_its_state() -> None:
    picture = draw.rack(racks_of(hosts(a={"rack": "r1", "unit": 1}))[0], {"a": "fail"}, compact=False)
    assert len(boxes(picture, "s-fail")) == 1


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (6, 6, 1), (7, 6, 2), (24, 6, 4)])
def test_drives_wrap(count: int, columns: int, rows: int) -> None:
    drives = boxes(draw.disks(tuple(Disk(str(n), "nvme", 10**12) for n in range(count)), "t-hot", ""), "disk")
    assert len({d["x"] for d in drives}) == columns
    assert len({d["y"] for d in drives}) == rows
    assert len({(d["x"], d["y"]) for d in drives}) == count


def test_the_bar_shows_the_usable_share() -> None:
    four = tuple(Disk(str(n), "nvme", 10**12) for n in range(4))
    tier = Tier("hot", "nvme", "RAID 5", four, "/srv/hot", encrypted=False, promise=())
    whole, used = (
        boxes(draw.capacity(tier, "t-hot"), "rest")[0],
        boxes(draw.capacity(tier, "t-hot"), "fill")[0],
    )
    assert used["width"] / whole["width"] == pytest.approx(3 / 4, abs=0.01)


def test_every_link_is_wired_from_its_ports_to_its_networks() -> None:
    host = hosts_of(samples.inventory())[1]
    picture = ElementTree.fromstring(draw.links(host))
    wires = [path.attrib["class"] for path in picture.iter("path")]
    assert wires == ["wire", "wire z-management", "wire", "wire", "wire z-compute"]


def test_gpus_are_as_many_as_there_are() -> None:
    host = hosts_of(samples.inventory())[1]
    picture = ElementTree.fromstring(draw.gpus(GpuHost(host, (Occupant("a", 3, 0), Occupant("b", 1, 1)), 4)))
    squares = [path.attrib["d"].count("M") for path in picture.iter("path")]
    assert squares == [3, 1, 4]


@pytest.mark.parametrize(
    ("words", "letters", "expected"),
    [("gpu1", 10, "gpu1"), ("production-gpu-17", 9, "prod…u-17"), ("abc", 3, "abc")],
)
def test_long_names_keep_both_ends(words: str, letters: int, expected: str) -> None:
    assert shorten(words, letters) == expected


def test_values_are_escaped() -> None:
    assert element("text", "<b>", class_='"x') == '<text class="&#34;x">&lt;b&gt;</text>'
