"""Inventory and records become the view model: tables of cases."""

from datetime import UTC, datetime
from typing import Any

import pytest
import report_samples as samples

from bedplate.report.build import build, links_of, racks_of
from bedplate.report.facts import Tier, hosts_of
from bedplate.report.model import Page
from bedplate.report.verdict import state_of_hosts

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def page(gpu_nodes: int = 1, **records: Any) -> Page:
    return build(samples.inventory(gpu_nodes), samples.records(**records), NOW)


def tier(raid: int, count: int, size: str = "4TB") -> Tier:
    disks = [{"serial": f"D{n}", "class": "nvme", "size": size} for n in range(count)]
    wanted = [{"name": "hot", "class": "nvme", "count": count, "raid": raid, "mount": "/srv/hot"}]
    host = {"hardware_disks": disks, "storage_tiers": wanted}
    return hosts_of(samples.inventory_of({"a": host}, {}))[0].tiers[0]


@pytest.mark.parametrize(
    ("raid", "count", "terabytes"),
    [(0, 4, 16), (1, 2, 4), (1, 3, 4), (5, 4, 12), (6, 6, 16), (10, 4, 8), (0, 1, 4)],
)
def test_usable_capacity(raid: int, count: int, terabytes: int) -> None:
    assert tier(raid, count).usable == terabytes * 10**12


def test_the_smallest_member_decides() -> None:
    disks = [{"serial": s, "class": "nvme", "size": z} for s, z in (("A", "4TB"), ("B", "2TB"))]
    host = {
        "hardware_disks": disks,
        "storage_tiers": [{"name": "hot", "class": "nvme", "count": 2, "raid": 1}],
    }
    view = hosts_of(samples.inventory_of({"a": host}, {}))[0].tiers[0]
    assert (view.usable, view.raw) == (2 * 10**12, 6 * 10**12)


def test_tiers_take_their_disks_and_leave_the_system_alone() -> None:
    host = page().hosts[1]
    assert [[d.serial for d in t.disks] for t in host.tiers] == [
        ["NV00010", "NV00011", "NV00012", "NV00013"],
        ["SD00010", "SD00011"],
    ]
    assert [disk.serial for disk in host.spare_disks] == ["HD0001"]


def test_a_disk_named_by_serial_is_not_taken_by_class() -> None:
    disks = [{"serial": s, "class": "nvme", "size": "1TB"} for s in "ABC"]
    wanted = [{"name": "scratch", "disks": ["B"]}, {"name": "hot", "class": "nvme", "count": 2, "raid": 1}]
    host = hosts_of(samples.inventory_of({"a": {"hardware_disks": disks, "storage_tiers": wanted}}, {}))[0]
    assert [[d.serial for d in t.disks] for t in host.tiers] == [["B"], ["A", "C"]]


@pytest.mark.parametrize(
    "broken",
    [
        {"hardware_disks": "none", "hardware_nics": 3, "hardware_rack": [], "hardware_gpus": "eight"},
        {"hardware_disks": [1, None], "storage_tiers": {"name": "hot"}, "hardware_rack": {"unit": "top"}},
        {"storage_tiers": [{"name": "hot", "class": "nvme", "count": 4, "raid": 5}]},
        {"vlan_network_links": [{"name": "a", "nics": ["missing"], "networks": ["missing"]}]},
        {},
    ],
)
def test_a_host_that_is_described_wrongly_is_still_shown(broken: dict[str, Any]) -> None:
    shown = build(samples.inventory_of({"odd": broken}, {}), samples.records(), NOW)
    assert [host.name for host in shown.hosts] == ["odd"]


def test_racks_are_drawn_from_the_top_and_hosts_without_one_come_last() -> None:
    hosts = hosts_of(
        samples.inventory_of(
            {
                "low": {"hardware_rack": {"rack": "r1", "unit": 1}},
                "high": {"hardware_rack": {"rack": "r1", "unit": 45, "height": 2}},
                "lost": {},
            },
            {},
        )
    )
    racks = [(rack.name, rack.units, [h.name for h in rack.hosts]) for rack in racks_of(hosts)]
    assert racks == [("r1", 46, ["high", "low"]), ("", 42, ["lost"])]


def test_hosts_that_are_built_alike_are_drawn_once() -> None:
    view = page(gpu_nodes=5)
    assert [len(layout.hosts) for layout in view.storage] == [1, 5]
    assert [len(layout.hosts) for layout in links_of(view.hosts)] == [6]


def test_a_host_that_differs_by_one_disk_is_drawn_on_its_own() -> None:
    hosts = {"a": samples.gpu_node(1), "b": samples.gpu_node(2), "c": samples.gpu_node(3)}
    hosts["c"]["hardware_disks"].append({"serial": "X", "class": "hdd", "size": "20TB"})
    view = build(samples.inventory_of(hosts, {}), samples.records(), NOW)
    assert [[h.name for h in layout.hosts] for layout in view.storage] == [["a", "b"], ["c"]]


ALL = ["ctl1", "gpu1"]


@pytest.mark.parametrize(
    ("records", "label", "state", "words"),
    [
        ({}, "inventory right", "none", "not checked"),
        ({"findings": ()}, "inventory right", "pass", "No errors, 0 warnings."),
        ({"findings": (samples.finding("warning"),)}, "inventory right", "pass", "No errors, 1 warning."),
        ({"findings": (samples.finding("error"),)}, "inventory right", "fail", "1 error, 0 warnings."),
        ({}, "site.yml", "none", "has not been run"),
        ({"runs": (samples.run(ALL, changed=3),)}, "site.yml", "pass", "2 hosts in 7 min 05 s"),
        ({"runs": (samples.run(ALL, rc=2),)}, "site.yml", "fail", "failed on ctl1, gpu1"),
        ({"runs": (samples.run([], rc=2),)}, "site.yml", "fail", "before it reached a host"),
        ({"runs": (samples.run(["ctl1"]),)}, "site.yml", "none", "has not been run on gpu1"),
        ({"runs": (samples.run(["gpu1"]), samples.run(["ctl1"]))}, "site.yml", "pass", "1 host in"),
        ({"runs": (samples.run(ALL, changed=3),)}, "second run", "none", "made 6 changes"),
        (
            {"runs": (samples.run(ALL, changed=3), samples.run(ALL))},
            "second run",
            "pass",
            "0 changes, 36 tasks",
        ),
        ({"runs": (samples.run(ALL), samples.run(ALL, rc=2))}, "site.yml", "fail", "failed"),
        ({}, "reach each other", "none", "Not measured on ctl1, gpu1"),
        ({"acceptance": {"ctl1": samples.verified()}}, "reach each other", "none", "Not measured on gpu1"),
        (
            {"acceptance": dict.fromkeys(ALL, samples.verified())},
            "reach each other",
            "pass",
            "4 of 4 gateways",
        ),
        (
            {"acceptance": {"gpu1": samples.verified("data0 is down")}},
            "reach each other",
            "fail",
            "Not gpu1.",
        ),
        ({}, "storage tiers", "none", "1 of 1 promise not measured"),
        (
            {"acceptance": {"gpu1": samples.acceptance()}},
            "storage tiers",
            "pass",
            "1 promise measured and kept.",
        ),
        ({"acceptance": {"gpu1": samples.acceptance("cold")}}, "storage tiers", "none", "not measured"),
        (
            {"acceptance": {"gpu1": samples.acceptance(mode="relative")}},
            "storage tiers",
            "pass",
            "as a ratio to the tiers' own raw members",
        ),
        (
            {"acceptance": {"gpu1": samples.acceptance(value=9000, verdict="fail")}},
            "storage tiers",
            "fail",
            "Not kept: gpu1 hot read IOPS",
        ),
        ({"evidence": (samples.proof(),)}, "other measurements", "pass", "1 of 1 goals met"),
        (
            {"evidence": (samples.proof(verdict="fail"),)},
            "other measurements",
            "fail",
            "hosts.second_run.seconds",
        ),
        ({"evidence": (samples.proof(verdict="info", goal=""),)}, "other measurements", "none", "no record"),
        ({"evidence": (samples.proof("gpu.bandwidth"),)}, "GPUs perform", "pass", "1 of 1 goals met"),
        ({}, "GPUs perform", "none", "No GPU was measured"),
    ],
)
def test_answers(records: dict[str, Any], label: str, state: str, words: str) -> None:
    check = next(check for check in page(**records).checks if label in check.label)
    assert (check.state, words in check.detail) == (state, True), check.detail


@pytest.mark.parametrize(
    ("records", "state", "words"),
    [
        ({}, "none", "Nothing of it has been measured"),
        ({"findings": ()}, "none", "Nothing of it has been measured"),
        ({"findings": (samples.finding("error"),)}, "fail", "1 of 8 answers is no"),
        ({"runs": (samples.run(ALL),)}, "info", "questions are still open"),
        ({"runs": (samples.run(ALL, rc=2),)}, "fail", "1 of 8 answers is no"),
    ],
)
def test_headline(records: dict[str, Any], state: str, words: str) -> None:
    view = page(**records)
    assert (view.state, words in view.headline) == (state, True), view.headline


@pytest.mark.parametrize(
    ("measure", "asked", "measured", "ratio", "state"),
    [
        ({}, "500,000", "612,000", 1.224, "pass"),
        ({"value": 250000, "verdict": "fail"}, "500,000", "250,000", 0.5, "fail"),
        (
            {"what": "write_bandwidth", "value": "2.450GB", "goal": "", "verdict": "info"},
            "",
            "2.45 GB/s",
            0.0,
            "info",
        ),
        ({"what": "capacity", "value": "19.998TB", "goal": "16TB"}, "16 TB", "20 TB", 1.249875, "pass"),
        ({"what": "latency_p99", "value": 3, "goal": 5}, "5", "3", 0.6, "pass"),
        ({"value": "broken", "goal": None, "verdict": "odd"}, "None", "broken", 0.0, "info"),
    ],
)
def test_measures(measure: dict[str, Any], asked: str, measured: str, ratio: float, state: str) -> None:
    view = page(acceptance={"gpu1": samples.acceptance(**measure)})
    found = next(m for m in view.storage[1].tiers[0].measures if m.measured)
    assert (found.asked, found.measured, found.state) == (asked, measured, state)
    assert found.ratio == pytest.approx(ratio)


def test_a_failed_promise_fails_its_host() -> None:
    view = page(runs=(samples.run(ALL),), acceptance={"gpu1": samples.acceptance(verdict="fail")})
    measures = [m for layout in view.storage for tier in layout.tiers for m in tier.measures]
    assert state_of_hosts(view.hosts, view.runs, measures) == {"ctl1": "pass", "gpu1": "fail"}


def test_an_environment_without_gpus_is_not_asked_about_them() -> None:
    assert "GPU" not in " ".join(check.label for check in page(gpu_nodes=0).checks)


def test_a_host_is_failed_when_its_run_or_its_storage_failed() -> None:
    run = samples.run(["ctl1", "gpu1", "gpu2"])
    run["stats"]["gpu2"]["unreachable"] = 1
    view = page(gpu_nodes=3, runs=(run,))
    assert state_of_hosts(view.hosts, view.runs, []) == {
        "ctl1": "pass",
        "gpu1": "pass",
        "gpu2": "fail",
        "gpu3": "none",
    }


def test_runs_are_shown_newest_first() -> None:
    view = page(runs=(samples.run(ALL, changed=9), samples.run(ALL)))
    assert [run.changed for run in view.runs] == [0, 18]


def test_a_run_with_nothing_but_a_name_is_shown() -> None:
    run = page(runs=({"playbook": "site.yml"},)).runs[0]
    assert (run.playbook, run.state, run.hosts, run.seconds) == ("site.yml", "fail", (), 0.0)


def test_the_same_input_gives_the_same_page() -> None:
    assert page() == page()


def test_a_link_carries_only_networks_on_which_the_host_has_an_address() -> None:
    links = page().hosts[1].links
    assert [(link.name, [n.name for n in link.networks]) for link in links] == [
        ("mgmt0", ["management"]),
        ("bond0", ["cluster"]),
    ]


@pytest.mark.parametrize(
    ("document", "state", "answered", "notes"),
    [
        (samples.verified(), "pass", 2, ()),
        (samples.verified(answers=False), "pass", 1, ("10.20.0.2 does not answer",)),
        (samples.verified(full=False), "pass", 2, ("packets of the full MTU to 10.20.0.2 are lost",)),
        (samples.verified("10.20.0.2 is away", answers=False), "fail", 1, ("10.20.0.2 is away",)),
        ({}, "none", 0, ()),
        ({"vlan_network": {}}, "none", 0, ()),
        ({"vlan_network": {"reachable": "odd"}}, "pass", 0, ()),
    ],
)
def test_who_answers(document: dict[str, Any], state: str, answered: int, notes: tuple[str, ...]) -> None:
    found = page(acceptance={"gpu1": document}).reach[1]
    assert (found.state, found.answered, found.notes) == (state, answered, notes)
