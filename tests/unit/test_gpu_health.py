"""Hosts as nvidia-smi and the kernel log showed them: healthy ones pass, a change gives one complaint."""

from typing import Any

import gpu_samples as samples
import pytest
from gpu_samples import in_gpu, in_text, without_gpu, xid

from bedplate.acceptance import health, observed, smi
from bedplate.acceptance.complaint import several
from bedplate.errors import BadInput

ACTIVE = ("Not Active</clocks_event_reason_{0}>", "Active</clocks_event_reason_{0}>")


def complaints(recorded: samples.Recorded, wanted: samples.Wanted) -> list[health.Complaint]:
    return health.judge(observed.host(recorded.document), wanted)


HEALTHY = {
    "four H100, recorded": (samples.four(), samples.expected()),
    "one H100, recorded": (samples.single(), samples.expected(count=1)),
    "eight H100, made by hand": (samples.eight(), samples.expected(count=8)),
    "eight H200, made by hand": (
        samples.eight("NVIDIA H200", 143771),
        samples.expected("h200-sxm5-141gb", 8),
    ),
    "eight B200, made by hand": (
        samples.eight("NVIDIA B200", 183359, 53.125),
        samples.expected("b200-sxm6-180gb", 8, policy={"power_limit": 700}),
    ),
}


@pytest.mark.parametrize("host", HEALTHY)
def test_a_healthy_host_gives_no_complaint(host: str) -> None:
    assert [str(c) for c in complaints(*HEALTHY[host])] == []


def reason(name: str) -> samples.Change:
    return in_gpu(1, ACTIVE[0].format(name), ACTIVE[1].format(name))


# change (on GPU 1 of the four H100) → the check that finds it, where, and words that it must say
FAULTS: dict[str, tuple[samples.Change, str, str, str]] = {
    "a GPU is missing": (without_gpu(3), "gpus.count", "host", "3, expected 4"),
    "another model": (
        in_gpu(1, "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"),
        "gpus.model",
        "GPU 1",
        "NVIDIA A100-SXM4-80GB, expected NVIDIA H100 80GB HBM3",
    ),
    "another driver": (lambda r: _all(r, "580.159.04", "570.133.20"), "driver.version", "host", "570.133.20"),
    "less memory": (in_gpu(1, "<total>81559", "<total>81000"), "memory.size", "GPU 1", "81000 MiB"),
    "PCIe x8": (
        in_gpu(1, "<current_link_width>16x", "<current_link_width>8x"),
        "pcie.width",
        "GPU 1",
        "x8, expected x16",
    ),
    "PCIe slot of generation 4": (
        in_gpu(1, "<max_link_gen>5", "<max_link_gen>4"),
        "pcie.generation",
        "GPU 1",
        "4, expected 5",
    ),
    "an NVLink is down": (
        lambda r: _second(r, "\t Link 7: 26.562 GB/s", "\t Link 7: <inactive>"),
        "nvlink.links",
        "GPU 1",
        "17 (link 7 inactive), expected 18",
    ),
    "an NVLink is slow": (
        lambda r: _second(r, "\t Link 7: 26.562 GB/s", "\t Link 7: 13.281 GB/s"),
        "nvlink.speed",
        "GPU 1",
        "link 7 13281 MB/s",
    ),
    "a pair goes over PCIe": (
        lambda r: in_text(smi.TOPOLOGY, "GPU2\tNV18\tNV18", "GPU2\tNV18\tPHB")(
            in_text(smi.TOPOLOGY, "GPU1\tNV18\t X \tNV18", "GPU1\tNV18\t X \tPHB")(r)
        ),
        "nvlink.topology",
        "GPU 1 and GPU 2",
        "PHB, expected NV18",
    ),
    "fabric still joining": (
        in_gpu(
            1,
            "<state>Completed</state>\n\t\t\t<status>Success",
            "<state>In Progress</state>\n\t\t\t<status>N/A",
        ),
        "fabric.state",
        "GPU 1",
        "In Progress",
    ),
    "fabric not started": (
        in_gpu(
            1,
            "<state>Completed</state>\n\t\t\t<status>Success",
            "<state>Not Started</state>\n\t\t\t<status>N/A",
        ),
        "fabric.state",
        "GPU 1",
        "fabric manager",
    ),
    "fabric joined with an error": (
        in_gpu(1, "<status>Success", "<status>Invalid Argument"),
        "fabric.state",
        "GPU 1",
        "Completed (Invalid Argument)",
    ),
    "ECC off": (
        in_gpu(1, "<current_ecc>Enabled", "<current_ecc>Disabled"),
        "ecc.mode",
        "GPU 1",
        "off, expected on",
    ),
    "ECC off after the next boot": (
        in_gpu(1, "<pending_ecc>Enabled", "<pending_ecc>Disabled"),
        "ecc.pending",
        "GPU 1",
        "after the next reset",
    ),
    "an uncorrected ECC error": (
        in_gpu(1, "<dram_uncorrectable>0", "<dram_uncorrectable>1"),
        "ecc.uncorrected",
        "GPU 1",
        "1, expected 0",
    ),
    "an uncorrected error in SRAM": (
        in_gpu(1, "<sram_uncorrectable_parity>0", "<sram_uncorrectable_parity>2"),
        "ecc.uncorrected",
        "GPU 1",
        "2, expected 0",
    ),
    "too many corrected errors": (
        in_gpu(1, "<sram_correctable>0", "<sram_correctable>10000"),
        "ecc.sram_corrected",
        "GPU 1",
        "10000, expected less than 10000",
    ),
    "row remap pending": (
        in_gpu(1, "<remapped_row_pending>No", "<remapped_row_pending>Yes"),
        "rows.pending",
        "GPU 1",
        "reset the GPU",
    ),
    "row remap failed": (
        in_gpu(1, "<remapped_row_failure>No", "<remapped_row_failure>Yes"),
        "rows.failed",
        "GPU 1",
        "RMA",
    ),
    "many rows replaced": (
        in_gpu(1, "<remapped_row_unc>0", "<remapped_row_unc>513"),
        "rows.count",
        "GPU 1",
        "513, expected at most 512",
    ),
    "pages retired": (
        in_gpu(1, "<retired_count>N/A", "<retired_count>62"),
        "pages.retired",
        "GPU 1",
        "62, expected less than 62",
    ),
    "a page waits for retirement": (
        lambda r: in_gpu(1, "<pending_retirement>N/A", "<pending_retirement>Yes")(
            in_gpu(1, "<retired_count>N/A", "<retired_count>1")(r)
        ),
        "pages.pending",
        "GPU 1",
        "pending",
    ),
    "thermal throttle": (reason("hw_thermal_slowdown"), "clocks.slowed", "GPU 1", "hw_thermal_slowdown"),
    "software thermal throttle": (reason("sw_thermal_slowdown"), "clocks.slowed", "GPU 1", "fans"),
    "power brake": (reason("hw_power_brake_slowdown"), "clocks.slowed", "GPU 1", "power supplies"),
    "hardware slowdown, and its cause": (
        lambda r: reason("hw_thermal_slowdown")(reason("hw_slowdown")(r)),
        "clocks.slowed",
        "GPU 1",
        "hw_thermal_slowdown",
    ),
    "power limit lowered": (
        in_gpu(1, "<current_power_limit>700.00", "<current_power_limit>500.00"),
        "power.limit",
        "GPU 1",
        "500 W, expected 700 W",
    ),
    "power limit out of range": (
        in_gpu(1, "<current_power_limit>700.00", "<current_power_limit>150.00"),
        "power.range",
        "GPU 1",
        "150 W, expected 200 to 700 W",
    ),
    "MIG on": (in_gpu(1, "<current_mig>Disabled", "<current_mig>Enabled"), "mig.mode", "GPU 1", "MIG"),
    "persistence off": (
        in_gpu(1, "<persistence_mode>Enabled", "<persistence_mode>Disabled"),
        "gpu.persistence",
        "GPU 1",
        "nvidia-persistenced",
    ),
    "the driver asks for a reset": (
        in_gpu(1, "<gpu_recovery_action>None", "<gpu_recovery_action>Reset"),
        "gpu.recovery",
        "GPU 1",
        "Reset, expected None",
    ),
    "somebody uses the GPU": (
        in_gpu(1, "<processes>", "<processes><process_info><pid>4711</pid></process_info>"),
        "gpu.busy",
        "GPU 1",
        "1, expected 0",
    ),
    "XID 79": (xid(79), "xid.79", "GPU 1", "fallen off the bus"),
    "XID 48": (xid(48), "xid.48", "GPU 1", "double-bit ECC"),
    "XID 63": (xid(63), "xid.63", "GPU 1", "row or page replaced"),
    "XID 94": (xid(94), "xid.94", "GPU 1", "contained ECC"),
    "XID 95": (xid(95), "xid.95", "GPU 1", "uncontained ECC"),
    "XID 74": (xid(74), "xid.74", "GPU 1", "NVLink error"),
    "XID 119": (xid(119), "xid.119", "GPU 1", "GSP"),
    "an XID that nobody knows": (xid(999), "xid.999", "GPU 1", "not in our table"),
    "the same XID twice": (lambda r: xid(31)(xid(31)(r)), "xid.31", "GPU 1", "2 times since boot"),
    "an XID of a GPU that is gone": (
        xid(79, "0000:c1:00"),
        "xid.79",
        "GPU at 0000:c1:00",
        "power the host off",
    ),
}


def _all(recorded: samples.Recorded, old: str, new: str) -> samples.Recorded:
    return samples.replace(recorded, xml=recorded.xml.replace(old, new))


def _second(recorded: samples.Recorded, old: str, new: str) -> samples.Recorded:
    """In the part of GPU 1."""
    first, second = recorded.texts[smi.SPEEDS].split("GPU 1:")
    texts = recorded.texts | {smi.SPEEDS: first + "GPU 1:" + second.replace(old, new, 1)}
    return samples.replace(recorded, texts=texts)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named_once(fault: str) -> None:
    change, check, where, words = FAULTS[fault]
    found = complaints(change(samples.four()), samples.expected())
    assert [(c.check, c.where.split(" (0000")[0]) for c in found] == [(check, where)]
    assert words in str(found[0])
    assert found[0].remedy


WARNINGS = {"xid.63", "xid.94", "xid.31", "xid.999", "mig.mode", "gpu.persistence", "gpu.busy", "ecc.pending"}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_refuses_a_host_and_what_is_only_said(fault: str) -> None:
    change, check, *_ = FAULTS[fault]
    levels = {c.level for c in complaints(change(samples.four()), samples.expected())}
    assert levels == {"warn" if check in WARNINGS else "fail"}


WRONG_INVENTORIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "eight are said, four are there": ({"count": 8}, "gpus.count", "4, expected 8"),
    "two are said, four are there": ({"count": 2}, "gpus.count", "4, expected 2"),
    "another model is said": ({"model": "h200-sxm5-141gb"}, "gpus.model", "GPUs 0 to 3: GPU model"),
    "a power limit that the board does not know": (
        {"policy": {"power_limit": 900}},
        "power.wanted",
        "900 W wanted, expected 200 to 700 W",
    ),
    "a power limit that is not set": (
        {"policy": {"power_limit": 500}},
        "power.limit",
        "700 W, expected 500 W",
    ),
    "one GPU is said to be capped": (
        {"policy": {"overrides": [{"gpus": [2], "power_limit": 500}]}},
        "power.limit",
        "GPU 2 (00000000:00:08.0): power limit: 700 W, expected 500 W",
    ),
    "ECC is said to be off": ({"policy": {"ecc": False}}, "ecc.mode", "on, expected off"),
    "another driver is said": ({"driver": "580.178.04"}, "driver.version", "580.159.04, expected 580.178.04"),
}


@pytest.mark.parametrize("mistake", WRONG_INVENTORIES)
def test_a_wrong_inventory_is_said_clearly(mistake: str) -> None:
    words, check, sentence = WRONG_INVENTORIES[mistake]
    found = complaints(samples.four(), samples.expected(**words))
    assert {c.check for c in found} == {check}
    assert sentence in str(found[0])
    assert len(found) in (1, 4)  # once, or once for every GPU whose limit it is


def test_a_model_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadInput, match="no such GPU model"):
        samples.expected("h100-sxm6")


def test_eight_gpus_without_a_fabric_are_refused_and_one_is_not() -> None:
    """NVSwitch boards have eight GPUs; the one that a virtual machine was given has no fabric to join."""
    state = "<state>Completed</state>\n\t\t\t<status>Success"
    host = in_gpu(5, state, "<state>N/A</state>\n\t\t\t<status>N/A")(samples.eight())
    assert [c.check for c in complaints(host, samples.expected(count=8))] == ["fabric.state"]
    assert complaints(samples.single(), samples.expected(count=1)) == []


def test_a_log_that_may_not_be_read_is_said() -> None:
    document = samples.four().document | {"kernel_log": {"source": "", "xids": []}}
    assert [c.check for c in health.judge(observed.host(document), samples.expected())] == ["xid.log"]


def test_a_gpu_that_does_not_answer_is_named_and_the_others_are_judged() -> None:
    document = samples.four().document
    document["gpus"][2] = {"index": 2, "lost": True}
    found = health.judge(observed.host(document), samples.expected())
    assert [(c.check, c.where) for c in found] == [("gpus.lost", "GPU 2")]


def test_gpus_on_the_bus_that_the_driver_leaves_alone_are_said() -> None:
    document = without_gpu(3)(samples.four()).document | {
        "pci": {"gpu": ["a", "b", "c", "d"], "nvswitch": []}
    }
    found = health.judge(observed.host(document), samples.expected())
    assert "3, 4 on the PCI bus" in str(found[0])
    assert "dmesg says why" in found[0].remedy


@pytest.mark.parametrize(
    ("indexes", "words"),
    [([3], "GPU 3"), ([1, 2], "GPUs 1 and 2"), ([0, 1, 2, 3], "GPUs 0 to 3"), ([0, 2, 5], "GPUs 0, 2 and 5")],
)
def test_gpus_are_named_as_people_do(indexes: list[int], words: str) -> None:
    assert several(indexes) == words


def test_recorded_links_and_topology_of_two_h200() -> None:
    texts = {file.name: file.read_text() for file in (samples.RECORDED / "h200x2").iterdir()}
    links = smi.links(texts[smi.SPEEDS], texts[smi.ERRORS])
    assert {gpu: len(found) for gpu, found in links.items()} == {0: 18, 1: 18}
    assert links[1][17] == {
        "link": 17,
        "active": True,
        "speed_mbps": 26562,
        "errors": {"replay": 0, "recovery": 0, "crc": 0},
    }
    assert smi.topology(texts[smi.TOPOLOGY]) == [["X", "NV18"], ["NV18", "X"]]


def test_a_folder_of_recordings_is_read_whole() -> None:
    document = smi.folder(samples.RECORDED / "h100x4")
    assert [gpu["name"] for gpu in document["gpus"]] == ["NVIDIA H100 80GB HBM3"] * 4
    assert document["topology"][0] == ["X", "NV18", "NV18", "NV18"]
    assert document["driver"] == samples.DRIVER


def test_an_exchanged_gpu_is_named_by_its_serial_number() -> None:
    recorded = samples.four()
    there = [gpu["serial"] for gpu in recorded.document["gpus"]]
    assert len(set(there)) == 4
    as_said = samples.expected(serials=there)
    assert complaints(recorded, as_said) == []
    (one,) = complaints(recorded, samples.expected(serials=[*there[:2], "1650000000009", there[3]]))
    assert (one.check, one.where[:5], one.value) == ("gpus.serial", "GPU 2", there[2])
    assert one.expected == "1650000000009"
    (gone,) = complaints(without_gpu(3)(recorded), as_said)
    assert (gone.check, gone.value) == ("gpus.count", f"3 (missing {there[3]})")


@pytest.mark.parametrize(
    ("libraries", "said"),
    [
        (None, []),
        ({"cuda": ["12.9", "13.0"], "nccl": ["2.21.5", "2.30.4"]}, []),
        ({"cuda": ["12.9"], "nccl": ["2.30.4"]}, [("cuda.toolkits", "12.9", "13.0, 12.9")]),
        (
            {"cuda": [], "nccl": []},
            [("cuda.toolkits", "none", "13.0, 12.9"), ("nccl.version", "none", "2.30.4")],
        ),
    ],
)
def test_libraries_of_the_host_are_compared_and_refuse_nothing(libraries: Any, said: list[Any]) -> None:
    document = samples.four().document | ({} if libraries is None else {"libraries": libraries})
    for nccl in ("2.30.4", {"12": "2.21.5", "13": "2.30.4"}):
        wanted = samples.expected(toolkits=["13.0", "12.9"], nccl=nccl)
        found = health.judge(observed.host(document), wanted)
        assert [(one.check, one.value, one.expected) for one in found] == said
        assert {one.level for one in found} <= {"warn"}


NAMED = {str(index): [f"/dev/nvidia{index}", "/dev/dri/card1"] for index in range(4)}
ALL = ["0", "1", "2", "3", "all"]


@pytest.mark.parametrize(
    ("cdi", "said"),
    [
        (None, []),
        ({"devices": NAMED, "described": ALL, "error": ""}, []),
        ({"devices": {f"gpu{n}": nodes for n, nodes in NAMED.items()}, "described": ALL, "error": ""}, []),
        (
            {"devices": NAMED | {"2": []}, "described": ALL, "error": ""},
            [("cdi.devices", "GPU 2", "fail")],
        ),
        (
            {"devices": NAMED, "described": ["0", "1", "all"], "error": ""},
            [("cdi.described", "GPUs 2 and 3", "fail")],
        ),
        (
            {"devices": NAMED, "described": [], "error": ""},
            [("cdi.described", "GPUs 0 to 3", "warn")],
        ),
        (
            {"devices": {}, "described": ALL, "error": "failed to initialize NVML"},
            [("cdi.error", "host", "fail")],
        ),
    ],
)
def test_every_gpu_can_be_given_to_a_container(cdi: Any, said: list[Any]) -> None:
    found = health.judge(observed.host(samples.four().document | {"cdi": cdi}), samples.expected())
    assert [(one.check, one.where, one.level) for one in found] == said
