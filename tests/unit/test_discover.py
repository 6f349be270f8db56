"""From what a machine says of itself to the words of the inventory."""

import json
import re
from pathlib import Path

import pytest
import yaml

from bedplate import paths
from bedplate.discover import document
from bedplate.discover.hardware import Hardware, interpret, mac, memory, size, speed
from bedplate.discover.reader import KNOWN_HOSTS, ssh_options, target

GIB = 1024**3
CATALOGUE = yaml.safe_load((paths.COMMON / "gpus.yml").read_text())["catalogue_gpus"]
RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> dict:
    """A probe's answer: `twin-gpu` was read on the twin of inventories/lab, `h100` is made by hand."""
    return json.loads((RECORDED / f"probe-{name}.json").read_text())


@pytest.fixture(scope="module")
def h100() -> Hardware:
    return interpret(recorded("h100"), CATALOGUE)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (3_840_755_982_336, "3.84TB"),
        (1_920_383_410_176, "1.92TB"),
        (7_681_501_126_656, "7.68TB"),
        (15_360_950_534_144, "15.36TB"),
        (30_725_170_692_096, "30.73TB"),
        (20_000_588_955_648, "20TB"),
        (6_401_252_745_216, "6.4TB"),
        (480_103_981_056, "480GB"),
        (960_197_124_096, "960GB"),
        (512_110_190_592, "512GB"),
        (8 * GIB, "8GiB"),
        (536_870_912, "512MiB"),
    ],
)
def test_disks_have_the_sizes_that_they_are_sold_with(amount: int, text: str) -> None:
    assert size(amount) == text


@pytest.mark.parametrize(
    ("usable", "plugged", "text"),
    [
        (2_163_000_000_000, 2048 * GIB, "2048GiB"),
        (540_000_000_000, 0, "512GiB"),
        (811_000_000_000, 0, "768GiB"),
        (66_900_000_000, 0, "64GiB"),
        (980_000_000, GIB, "1GiB"),
        (
            66_900_000_000,
            10**15,
            "64GiB",
        ),  # blocks of memory that others lent (CXL, hot plug) are not counted
    ],
)
def test_memory_is_what_was_plugged_in(usable: int, plugged: int, text: str) -> None:
    assert memory(usable, plugged) == text


@pytest.mark.parametrize(
    ("megabits", "text"),
    [(1000, "1Gbit"), (2500, "2.5Gbit"), (25000, "25Gbit"), (400_000, "400Gbit"), (100, "100Mbit")],
)
def test_speeds(megabits: int, text: str) -> None:
    assert speed(megabits) == text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("B8:3F:D2:68:99:AF", "b8:3f:d2:68:99:af"),
        ("00:00:10:49:fe:80:00:00:00:00:00:00:b8:3f:d2:03:00:68:99:ae", "b8:3f:d2:68:99:ae"),
    ],
)
def test_addresses(address: str, text: str) -> None:
    assert mac(address) == text


def test_eight_gpus_are_known_by_their_pci_id(h100: Hardware) -> None:
    assert h100.variables["hardware_gpus"] == {"model": "h100-sxm5-80gb", "count": 8}


def test_what_is_not_a_disk_of_the_host_is_left_out(h100: Hardware) -> None:
    serials = {disk["serial"] for disk in h100.variables["hardware_disks"]}
    classes = [disk["class"] for disk in h100.variables["hardware_disks"]]
    assert len(serials) == 12  # 2 system, 8 data NVMe, SSD, HDD; no loop, zram, md, USB, optical
    assert (classes.count("nvme"), classes.count("ssd"), classes.count("hdd")) == (10, 1, 1)
    assert not {s for s in serials if s.startswith("USB")}


def test_both_disks_under_a_mirrored_root_carry_the_system(h100: Hardware) -> None:
    system = [disk["serial"] for disk in h100.variables["hardware_disks"] if disk.get("use") == "system"]
    assert system == ["S6CPNX0W400001", "S6CPNX0W400002"]


def test_nics(h100: Hardware) -> None:
    nics = {nic["name"]: nic for nic in h100.variables["hardware_nics"]}
    assert set(nics) == {
        "eno1",
        "ens6f0np0",
        "ens6f1np1",
        "ibp24s0",
    }  # no bond, VLAN, bridge, VF, USB, loopback
    assert nics["eno1"] == {"name": "eno1", "mac": "3c:ec:ef:10:20:30", "speed": "10Gbit", "kind": "ethernet"}
    assert nics["ens6f1np1"]["speed"] == "200Gbit"  # link down: what the card can do
    assert (
        nics["ens6f1np1"]["mac"] == "b8:3f:d2:00:00:f1"
    )  # member of a bond: its own address, not the bond's
    assert nics["ibp24s0"] == {
        "name": "ibp24s0",
        "mac": "b8:3f:d2:68:99:ae",
        "speed": "400Gbit",
        "kind": "infiniband",
    }


def test_what_cannot_be_told_is_said(h100: Hardware) -> None:
    assert h100.remarks == ("sdz has no serial number and cannot be named: left out",)


def test_gpus_that_the_catalogue_does_not_know_are_named() -> None:
    probe = recorded("h100")
    for card in probe["accelerators"]:
        card["device"] = "ffff"
    found = interpret(probe, CATALOGUE)
    assert "hardware_gpus" not in found.variables
    assert "GPU 10de:ffff is not in inventories/_common/gpus.yml: add it" in found.remarks


def test_mixed_gpus_are_said() -> None:
    probe = recorded("h100")
    gpus = [card for card in probe["accelerators"] if card["vendor"] == "10de" and card["class"] == "030200"]
    gpus[0]["device"] = CATALOGUE["l40s"]["device_ids"][0]
    found = interpret(probe, CATALOGUE)
    assert found.variables["hardware_gpus"] == {"model": "h100-sxm5-80gb", "count": 7}
    assert any("several models" in remark for remark in found.remarks)


def test_twin_gives_back_what_it_was_built_from() -> None:
    known = yaml.safe_load((paths.INVENTORIES / "lab/host_vars/lab-gpu1/hardware.yml").read_text())
    found = interpret(recorded("twin-gpu"), CATALOGUE).variables
    assert {(d["serial"], d["class"], d.get("use")) for d in found["hardware_disks"]} == {
        (d["serial"], d["class"], d.get("use")) for d in known["hardware_disks"]
    }
    by_name = {nic["name"]: nic for nic in found["hardware_nics"]}
    assert by_name == {nic["name"]: nic for nic in known["hardware_nics"]}


def test_what_is_written_is_what_was_found_and_the_rack_stays(h100: Hardware) -> None:
    rack = {"rack": "r7", "unit": 3}
    text = document.render(h100.variables, {"hardware_rack": rack, "site_domain": "x"})
    assert yaml.safe_load(text) == h100.variables | {"hardware_rack": rack}
    assert text.startswith("---\n")
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "serial", ["1234", "12e4", "0x12", "no", "S6Z 1", "a: b", "ZVT0A1B2", "-x", "1_0", "12:34"]
)
def test_any_serial_survives_yaml(serial: str) -> None:
    disks = [{"serial": serial, "class": "ssd", "size": "480GB"}]
    assert yaml.safe_load(document.render({"hardware_disks": disks}, {}))["hardware_disks"] == disks


def test_differences_name_what_differs(h100: Hardware) -> None:
    assert document.differences(h100.variables, h100.variables) == []
    other = h100.variables | {
        "hardware_cpus": 2,
        "hardware_disks": [h100.variables["hardware_disks"][0] | {"class": "hdd"}, {"serial": "GONE"}],
    }
    lines = document.differences(h100.variables, other)
    assert "hardware_cpus is 224, the inventory says 2" in lines
    assert "hardware_disks: GONE is in the inventory only" in lines
    assert "hardware_disks: S6CPNX0W400001: class is nvme, the inventory says hdd" in lines
    assert sum("is in the machine only" in line for line in lines) == 11


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    assert document.write(tmp_path / "host", "---\n") is True
    before = (tmp_path / "host/hardware.yml").stat().st_mtime_ns
    assert document.write(tmp_path / "host", "---\n") is False
    assert (tmp_path / "host/hardware.yml").stat().st_mtime_ns == before


def test_the_way_to_a_host_is_ansibles() -> None:
    variables = {
        "ansible_host": "127.0.0.1",
        "ansible_port": 2222,
        "ansible_user": "ops",
        "ansible_ssh_private_key_file": "/k",
        "ansible_ssh_common_args": "-o UserKnownHostsFile='/a b' -o StrictHostKeyChecking=yes",
    }
    way = target("h1", variables)
    assert (way.address, way.port, way.user, way.key) == ("127.0.0.1", 2222, "ops", "/k")
    assert way.known_hosts == ("/a b",)
    assert target("h1", variables, "root").user == "root"
    bare = target("h2", {})
    assert (bare.address, bare.port, bare.user, bare.known_hosts) == ("h2", 22, None, KNOWN_HOSTS)


def test_ssh_options_of_other_kinds_are_left_alone() -> None:
    assert ssh_options("-C -o ControlMaster=auto -p 22 -o port=7") == {"controlmaster": "auto", "port": "7"}


def test_probe_needs_nothing_but_the_standard_library_and_writes_nothing() -> None:
    source = (paths.ROOT / "bedplate/discover/probe.py").read_text()
    imports = set(re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE))
    assert imports <= {
        "__future__",
        "array",
        "fcntl",
        "json",
        "os",
        "socket",
        "struct",
        "subprocess",
        "sys",
        "pathlib",
        "typing",
    }
    assert not re.search(r"write_text|write_bytes|unlink|\.mkdir|open\(|O_WRONLY|sudo", source)
