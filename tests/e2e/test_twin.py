"""The twin: the machines are those of the inventory, and what is broken on purpose is broken, and heals."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import LabTwin

from bedplate import evidence, paths
from bedplate.errors import BedplateError
from bedplate.twin import faults, process, snapshots
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine
from bedplate.twin.spec import Disk

pytestmark = pytest.mark.twin
COMMAND = "pytest tests/e2e/test_twin.py"
BEDPLATE = [sys.executable, "-m", "bedplate"]


def record(twin: Twin, name: str, claim: str, value: float, *, unit: str = "", goal: str = "") -> None:
    evidence.record(
        "lab",
        f"hosts.twin_{name}",
        claim,
        value,
        unit=unit,
        goal=goal,
        proved_on="twin",
        command=COMMAND,
        machine={"accelerator": twin.accelerator},
    )


def out(machine: VirtualMachine, command: str) -> str:
    return machine.ssh(command, limit=300, check=True).out.strip()


def disks(machine: VirtualMachine) -> dict[str, dict[str, object]]:
    """Serial to what the machine's own kernel says about the disk, once udev has looked at all of them."""
    columns = "NAME,TYPE,ROTA,SERIAL,SIZE,TRAN,FSTYPE,MOUNTPOINTS"
    listed = json.loads(out(machine, f"udevadm settle; lsblk -J -b -o {columns}"))
    return {d["serial"]: d for d in listed["blockdevices"] if d["type"] == "disk"}


def within(seconds: float, question: object) -> bool:
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.5)
    return bool(answer)


@pytest.fixture
def gpu(lab_twin: LabTwin) -> VirtualMachine:
    return lab_twin.twin.machine("lab-gpu1")


@pytest.fixture(params=["nvme", "hdd"])
def bare(gpu: VirtualMachine, request: pytest.FixtureRequest) -> Disk:
    """A disk of each way of attaching that nothing uses yet."""
    disk = next(d for d in reversed(gpu.spec.disks) if d.kind == request.param)
    found = disks(gpu)[disk.serial]
    if found.get("children") or found.get("fstype"):
        pytest.skip("the twin's disks carry data already: run this on a fresh twin (make down)")
    return disk


def test_machines_are_those_of_the_inventory(lab_twin: LabTwin) -> None:
    wrong = []
    for machine in lab_twin.twin.machines():
        seen = disks(machine)
        wanted = {d.serial: d for d in machine.spec.disks}
        wrong += [f"{machine.name}: disks {set(seen) ^ set(wanted)}"] if set(seen) != set(wanted) else []
        for serial, disk in wanted.items():
            found = seen.get(serial, {})
            kind = "nvme" if found.get("tran") == "nvme" else "hdd" if found.get("rota") else "ssd"
            if (kind, found.get("size")) != (disk.kind, disk.bytes):
                wrong.append(f"{machine.name}: {serial} is {found}, wanted {disk}")
        nics = {
            n["ifname"]: n["address"] for n in json.loads(out(machine, "ip -j link")) if n["ifname"] != "lo"
        }
        wrong += [
            f"{machine.name}: {n} has {nics.get(n.name)}"
            for n in machine.spec.nics
            if nics.get(n.name) != n.mac
        ]
        if (name := out(machine, "hostname")) != machine.name:
            wrong.append(f"{machine.name} calls itself {name}")
    record(
        lab_twin.twin,
        "same_hardware",
        "Disks, NICs and names of the twin differ from the inventory in this many places",
        len(wrong),
        goal="== 0",
    )
    assert wrong == []
    for host, seconds in lab_twin.booted.items():
        record(lab_twin.twin, f"boot_{host}", f"{host} takes commands after", round(seconds), unit="s")


def test_a_second_up_changes_nothing(lab_twin: LabTwin) -> None:
    folder = lab_twin.twin.folder / "run"
    before = {record.name: process.alive(record) for record in folder.glob("*.pid")}
    begin = time.monotonic()
    assert lab_twin.twin.up() == []
    seconds = round(time.monotonic() - begin, 1)
    record(lab_twin.twin, "noop", "A second `twin up` is done after", seconds, unit="s")
    assert {record.name: process.alive(record) for record in folder.glob("*.pid")} == before
    assert len(before) == len(lab_twin.twin.machines()) + 2


def test_tagged_frames_of_9000_bytes_pass_between_machines(lab_twin: LabTwin) -> None:
    machines = lab_twin.twin.machines()[:2]
    for number, machine in enumerate(machines, 1):
        script = "ip link set data0 mtu 9000 up"
        for vlan, address in ((3000, "192.0.2"), (3000 + number, "198.51.100")):  # the second differs
            script += f"; ip link add link data0 name t{vlan} mtu 9000 type vlan id {vlan}"
            script += f"; ip addr add {address}.{number}/24 dev t{vlan}; ip link set t{vlan} up"
        out(machine, f"sudo sh -c '{script}'")
    try:
        told = out(machines[0], "ping -c 20 -i 0.2 -M do -s 8972 192.0.2.2")
        lost = float(re.search(r"([\d.]+)% packet loss", told)[1])  # type: ignore[index]
        other = machines[0].ssh("ping -c 2 -W 1 198.51.100.2")
    finally:
        for machine in machines:
            machine.ssh("for d in t3000 t3001 t3002; do sudo ip link del $d; done 2>/dev/null")
    record(
        lab_twin.twin,
        "vlan_loss",
        "802.1Q frames with an MTU of 9000 lost between two machines",
        lost,
        unit="%",
        goal="== 0",
    )
    assert lost == 0
    assert other.code == 1, "two VLANs that differ must not reach each other"


def test_machines_have_no_way_out(gpu: VirtualMachine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, gateway = server.getsockname()[1], gpu.spec.management.gateway
        told = gpu.ssh(f"timeout 5 bash -c 'exec 3<>/dev/tcp/{gateway}/{port}'")
    assert told.code != 0, "the controller's own services must not be reachable from the twin"


def test_a_pulled_disk_comes_back_with_its_data_and_a_blank_one_without(
    gpu: VirtualMachine, bare: Disk
) -> None:
    def device() -> str:
        return str(disks(gpu)[bare.serial]["name"])

    out(gpu, f"echo bedplate | sudo dd of=/dev/{device()} conv=fsync status=none")
    faults.pull(gpu, bare.serial)
    assert within(60, lambda: bare.serial not in disks(gpu))
    with pytest.raises(BedplateError, match="is pulled already"):
        faults.pull(gpu, bare.serial)
    faults.push(gpu, bare.serial)
    assert within(60, lambda: bare.serial in disks(gpu))
    assert out(gpu, f"sudo head -c 8 /dev/{device()}") == "bedplate"
    faults.pull(gpu, bare.serial)
    faults.push(gpu, bare.serial, blank=True)
    assert within(60, lambda: bare.serial in disks(gpu))
    assert out(gpu, f"sudo cmp -n {2**20} /dev/{device()} /dev/zero && echo empty") == "empty"


def test_a_failing_disk_answers_with_errors_until_it_is_healed(gpu: VirtualMachine, bare: Disk) -> None:
    device = f"/dev/{disks(gpu)[bare.serial]['name']}"
    read = f"sudo dd if={device} of=/dev/null bs=4k count=1 iflag=direct"
    write = f"sudo dd if=/dev/zero of={device} bs=4k count=1 oflag=direct"
    faults.fail(gpu, bare.serial)
    try:
        assert [gpu.ssh(command).code for command in (read, write)] == [1, 1]
    finally:
        faults.heal(gpu, bare.serial)
    assert [gpu.ssh(command).code for command in (read, write)] == [0, 0]


def test_a_full_file_system_takes_no_byte_more(gpu: VirtualMachine) -> None:
    out(gpu, "sudo mkdir -p /tmp/full && sudo mount -t tmpfs -o size=8m none /tmp/full")
    try:
        faults.fill(gpu, "/tmp/full")
        assert gpu.ssh("sudo dd if=/dev/zero of=/tmp/full/more bs=64k count=1").code == 1
        faults.unfill(gpu, "/tmp/full")
        assert gpu.ssh("sudo dd if=/dev/zero of=/tmp/full/more bs=64k count=1").code == 0
        with pytest.raises(BedplateError, match="not a mount point"):
            faults.fill(gpu, "/etc")
    finally:
        out(gpu, "sudo umount /tmp/full")


def test_without_its_management_link_a_machine_is_out_of_reach(gpu: VirtualMachine) -> None:
    way = gpu.spec.management.nic
    faults.link(gpu, way, up=False)
    try:
        assert gpu.ssh("true", limit=40).code != 0
    finally:
        faults.link(gpu, way, up=True)
    assert within(120, lambda: gpu.ssh("true", limit=40).code == 0)
    assert out(gpu, f"cat /sys/class/net/{way}/carrier") == "1"


def test_a_power_cut_keeps_what_was_synced_and_the_faults(gpu: VirtualMachine, lab_twin: LabTwin) -> None:
    out(gpu, "sudo ip link set data0 up; echo kept | sudo tee /var/tmp/synced >/dev/null; sync")
    boot = out(gpu, "cat /proc/sys/kernel/random/boot_id")
    key = out(gpu, "cat /etc/ssh/ssh_host_ed25519_key.pub")
    faults.link(gpu, "data0", up=False)
    try:
        gpu.power_cut()
        assert not gpu.running
        assert gpu.ssh("true", limit=40).code != 0
        assert lab_twin.twin.up() != [], "`up` boots what is off"
        assert out(gpu, "cat /var/tmp/synced") == "kept"
        assert out(gpu, "cat /proc/sys/kernel/random/boot_id") != boot
        assert out(gpu, "cat /etc/ssh/ssh_host_ed25519_key.pub") == key
        assert out(gpu, "sudo ip link set data0 up; cat /sys/class/net/data0/carrier") == "0"
    finally:
        faults.link(gpu, "data0", up=True)
    assert within(30, lambda: out(gpu, "cat /sys/class/net/data0/carrier") == "1")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """An inventory of its own, of the lab's smaller host."""
    folder = tmp_path / f"twin-test-{tmp_path.name}"
    shutil.copytree(paths.INVENTORIES / "lab", folder, symlinks=True)
    link = folder / "group_vars" / "all" / "common"
    link.unlink()
    link.symlink_to(paths.COMMON)
    (folder / "hosts.yml").write_text("all: {hosts: {lab-ctl1: }}\n")
    yield folder
    Twin.load(folder).down()
    shutil.rmtree(paths.state(folder.name))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_up_leaves_nothing(small: Path, sign: signal.Signals) -> None:
    twin = Twin.load(small)
    # as a terminal starts it; what a script starts in the background ignores Ctrl-C, and so do its children
    command = ["env", "--default-signal=INT", *BEDPLATE, "twin", "up", "-i", str(small)]
    up = subprocess.Popen(command, cwd=paths.ROOT, stderr=subprocess.PIPE, text=True)
    assert within(120, lambda: (twin.folder / "run" / "lab-ctl1.pid").exists() or up.poll() is not None)
    records = [record.read_text().split()[0] for record in (twin.folder / "run").glob("*.pid")]
    up.send_signal(sign)
    said = up.communicate(timeout=60)[1]
    assert up.returncode == 130, said
    assert "interrupted" in said
    assert len(records) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in records)
    assert not twin.folder.exists()


def test_an_inventory_that_cannot_be_built_starts_nothing(small: Path) -> None:
    file = small / "host_vars" / "lab-ctl1" / "hardware.yml"
    file.write_text(file.read_text().replace("class: ssd", "class: tape"))
    done = subprocess.run(
        [*BEDPLATE, "twin", "up", "-i", str(small)],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "hardware_disks[0].class = tape" in done.stderr
    assert not Twin.load(small).folder.exists()


@pytest.mark.chaos
def test_a_saved_state_comes_back(gpu: VirtualMachine, lab_twin: LabTwin) -> None:
    name = f"test-{int(time.time())}"
    out(gpu, "echo saved | sudo tee /var/tmp/state >/dev/null")
    snapshots.save(lab_twin.twin, name)
    out(gpu, "echo later | sudo tee /var/tmp/state >/dev/null; sync")
    snapshots.restore(lab_twin.twin, name)
    assert out(gpu, "cat /var/tmp/state") == "saved"
    with pytest.raises(BedplateError, match="saved already"):
        snapshots.save(lab_twin.twin, name)
