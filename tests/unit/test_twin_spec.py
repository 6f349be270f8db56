"""Inventory to machines: sizes, segments, the way in, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate import inventory as inventories
from bedplate import paths, units
from bedplate.errors import BadInput
from bedplate.inventory import Inventory
from bedplate.twin import spec
from bedplate.twin.spec import GIB, MIB

NETWORKS = [
    {"name": "management", "subnet": "10.1.0.0/24", "mtu": 1500, "zone": "management"},
    {"name": "cluster", "vlan": 20, "subnet": "10.2.0.0/24", "mtu": 9000, "zone": "compute"},
]
HOST = {
    "hardware_disks": [
        {"serial": "SYS1", "class": "ssd", "size": "480GB", "use": "system"},
        {"serial": "NV1", "class": "nvme", "size": "3.84TB"},
    ],
    "hardware_nics": [
        {"name": "mgmt0", "mac": "52:54:00:00:00:01", "speed": "1Gbit"},
        {"name": "data0", "mac": "52:54:00:00:00:02", "speed": "100Gbit"},
    ],
    "site_networks": NETWORKS,
    "vlan_network_links": [
        {"name": "mgmt0", "nics": ["mgmt0"], "networks": ["management"]},
        {"name": "data0", "nics": ["data0"], "networks": ["cluster"]},
    ],
    "vlan_network_addresses": {"management": "10.1.0.7", "cluster": "10.2.0.7"},
}


def inventory(**changes: object) -> Inventory:
    return Inventory("test", Path("inventories/test"), {"h1": HOST | changes}, {"all": ("h1",)})


@pytest.mark.parametrize(
    ("text", "size"),
    [("3.84TB", 3_840_000_000_000), ("512GiB", 512 * GIB), ("1B", 1), ("20 TB", 20_000_000_000_000)],
)
def test_sizes_are_read_with_their_unit(text: str, size: int) -> None:
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "3.84", "3 Tb", "TB", "-1TB", "1XB"])
def test_a_size_without_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        units.parse_bytes(text)


@pytest.mark.parametrize(("text", "speed"), [("100Gbit", 100_000), ("1Gbit", 1000), ("2.5Gbit", 2500)])
def test_speeds_are_in_megabits(text: str, speed: int) -> None:
    assert spec.parse_speed(text) == speed


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_scaling_keeps_the_order_and_the_bounds(one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert spec.scaled(small) <= spec.scaled(large)
    for size in (spec.scaled(small), spec.scaled(large)):
        assert 640 * MIB <= size <= GIB
        assert size % MIB == 0


def test_the_lab_has_the_machines_of_its_inventory() -> None:
    lab = spec.build(inventories.load(paths.INVENTORIES / "lab"))
    gpu = lab.machine("lab-gpu1")
    assert [m.name for m in lab.machines] == ["lab-ctl1", "lab-gpu1"]
    assert [d.kind for d in gpu.disks].count("nvme") == 4
    assert gpu.disk("PHAB1000001K3P8").real_bytes == 3_840_000_000_000
    assert [d.serial for d in gpu.disks if d.system] == ["S6Z0NX0W100001"]
    assert gpu.management.interface == "10.10.0.11/24"
    assert spec.from_dict(lab.as_dict()) == lab


def test_untagged_frames_of_a_nic_belong_to_its_untagged_network() -> None:
    nics = {n.name: n.native for n in spec.build(inventory()).machine("h1").nics}
    assert nics == {"mgmt0": "management", "data0": "data0"}


def test_a_tagged_management_network_is_the_way_in_too() -> None:
    networks = [NETWORKS[0] | {"vlan": 9}, NETWORKS[1]]
    way = spec.build(inventory(site_networks=networks)).machine("h1").management
    assert (way.nic, way.vlan, way.gateway) == ("mgmt0", 9, "10.1.0.1")


DISKS = HOST["hardware_disks"]
WRONG = [
    ({"hardware_disks": DISKS[1:]}, "hardware_disks", "exactly one disk carries the system"),
    ({"hardware_disks": [DISKS[0], DISKS[1] | {"class": "tape"}]}, "hardware_disks[1].class", "tape"),
    ({"hardware_disks": [DISKS[0], DISKS[1] | {"size": "4"}]}, "hardware_disks[1].size", "'4' is not a size"),
    ({"hardware_disks": [DISKS[0], DISKS[1] | {"serial": ""}]}, "hardware_disks[1].serial", "serial"),
    ({"hardware_nics": [{"name": "x", "mac": "1:2", "speed": "1Gbit"}]}, "hardware_nics.x.mac", "MAC"),
    ({"hardware_nics": [HOST["hardware_nics"][0] | {"speed": "fast"}]}, "hardware_nics.mgmt0.speed", "fast"),
    ({"vlan_network_addresses": {"cluster": "10.2.0.7"}}, "vlan_network_addresses", "no address"),
]


@pytest.mark.parametrize(("changes", "key", "words"), WRONG, ids=[key for _, key, _ in WRONG])
def test_what_cannot_be_built_is_refused_by_key(changes: dict[str, object], key: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        spec.build(inventory(**changes))
    assert [f.key for f in caught.value.findings] == [key]
    finding = caught.value.findings[0]
    assert words in str(finding)
    assert finding.remedy
    assert finding.file.startswith("inventories/test/host_vars/h1/")


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        spec.build(inventory(hardware_disks=[], vlan_network_addresses={}))
    assert {f.key for f in caught.value.findings} == {"hardware_disks", "vlan_network_addresses"}


@pytest.mark.parametrize("ask", ["machine", "disk", "nic"])
def test_an_unknown_name_is_answered_with_the_known_ones(ask: str) -> None:
    built = spec.build(inventory())
    asked = built.machine if ask == "machine" else getattr(built.machine("h1"), ask)
    known = {"machine": "h1", "disk": "NV1", "nic": "mgmt0, data0"}[ask]
    with pytest.raises(BadInput, match=known):
        asked("nobody")
