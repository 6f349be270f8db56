"""Command lines: what the inventory says is what QEMU is told."""

import io
import shlex
import socket
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from bedplate.twin import qemu, seed
from bedplate.twin.spec import Disk, Machine, Management, Nic

WAY = Management("mgmt0", "10.1.0.7", "10.1.0.0/24", "10.1.0.1", None, 1500)
MACHINE = Machine(
    "h1",
    (
        Disk("SYS1", "ssd", 480, 8, system=True),
        Disk("NV1", "nvme", 4000, 1),
        Disk("HD,1", "hdd", 20000, 2),
    ),
    (
        Nic("mgmt0", "52:54:00:00:00:01", 1000, "management"),
        Nic("data0", "52:54:00:00:00:02", 25000, "data0"),
    ),
    WAY,
)
HARDWARE = qemu.Hardware(Path("/i/vmlinux"), Path("/i/initrd"), "tcg", 768, 1)


def devices(command: list[str]) -> list[str]:
    return [value for flag, value in pairwise(command) if flag == "-device"]


def test_disks_have_the_class_and_serial_of_the_inventory() -> None:
    found = devices(qemu.machine(MACHINE, HARDWARE))
    system = next(d for d in found if "serial=SYS1" in d)
    assert "driver=scsi-hd" in system
    assert "rotation_rate=1," in system
    assert any("driver=nvme,bus=rp1,id=d1,drive=n1,serial=NV1" in d for d in found)
    assert any("rotation_rate=7200" in d and "serial=HD,,1" in d for d in found), "commas are doubled"


def test_every_nvme_disk_has_a_port_of_its_own_to_be_pulled_from() -> None:
    found = devices(qemu.machine(MACHINE, HARDWARE))
    assert [d for d in found if d.startswith("pcie-root-port")] == ["pcie-root-port,id=rp1,chassis=2,slot=2"]


def test_a_pulled_disk_has_its_slot_but_no_device() -> None:
    command = qemu.machine(MACHINE, HARDWARE, pulled=("NV1",))
    assert not any("serial=NV1" in d for d in devices(command))
    assert any("node-name=n1" in part for part in command), "so that it can be pushed back"
    assert any("id=rp1" in d for d in devices(command))


def test_nics_have_their_address_and_speed() -> None:
    found = [d for d in devices(qemu.machine(MACHINE, HARDWARE)) if d.startswith("virtio-net-pci")]
    assert len(found) == 2
    assert "mac=52:54:00:00:00:02,speed=25000,duplex=full" in found[1]


def test_socket_names_stay_short_for_the_longest_names() -> None:
    longest = qemu.nic_socket("h" * 63, "n" * 15, "switch")
    assert len(longest) < 108


def test_hosts_cannot_reach_the_internet_unless_asked() -> None:
    ways = {2201: WAY, 2202: replace(WAY, address="10.1.0.8")}
    closed, opened = (" ".join(qemu.gateway(ways, internet=flag)) for flag in (False, True))
    assert "restrict=on" in closed
    assert "restrict=off" in opened
    assert "hostfwd=tcp:127.0.0.1:2201-10.1.0.7:22,hostfwd=tcp:127.0.0.1:2202-10.1.0.8:22" in closed
    assert "host=10.1.0.1" in closed


def test_hosts_reach_the_mirror_alone_when_there_is_one() -> None:
    user = next(part for part in qemu.gateway({2201: WAY}, mirror=8080) if part.startswith("user,"))
    forward = user.rpartition(",guestfwd=")[2]
    address, _, command = forward.partition("-cmd:")
    assert "restrict=on" in user
    assert address == f"tcp:{qemu.mirror_address(WAY)}:80" == "tcp:10.1.0.253:80"
    assert shlex.split(command.replace(",,", ","))[1:] == ["-I", "-S", str(qemu.RELAY), "8080"]
    assert "guestfwd" not in " ".join(qemu.gateway({2201: WAY}))


def test_the_relay_passes_both_ways_and_the_end_too() -> None:
    def answer(listener: socket.socket) -> None:
        with listener, listener.accept()[0] as served:
            asked = b"".join(iter(lambda: served.recv(65536), b""))  # until the other side has ended
            served.sendall(asked[::-1])

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=answer, args=(listener,))
    thread.start()
    sent = bytes(range(256)) * 4000
    command = [sys.executable, "-I", "-S", str(qemu.RELAY), str(port)]
    done = subprocess.run(command, input=sent, capture_output=True, check=True, timeout=60)
    thread.join(10)
    assert done.stdout == sent[::-1]


def test_healing_takes_back_what_failing_did() -> None:
    disk = MACHINE.disks[1]
    (_, add), (_, switch) = qemu.failing(MACHINE, disk)
    (_, back), (_, remove) = qemu.healing(MACHINE, disk)
    assert switch["value"] == add["node-name"] == remove["node-name"]
    assert back["value"] == add["image"] == qemu.node(MACHINE, disk)
    kinds = {rule["iotype"] for rule in add["inject-error"]}
    assert kinds == {"read", "write", "write-zeroes", "flush", "discard"}


def unpacked(machine: Machine) -> dict[str, tuple[str, tarfile.TarInfo]]:
    host, login = seed.new_key(), seed.new_key()
    with tarfile.open(fileobj=io.BytesIO(seed.archive(machine, host, login.public))) as archive:
        return {i.name: (archive.extractfile(i).read().decode(), i) for i in archive.getmembers()}  # type: ignore[union-attr]


def test_the_seed_names_nics_by_address_and_keeps_keys_private() -> None:
    files = unpacked(MACHINE)
    assert files["etc/hostname"][0] == "h1\n"
    assert "PermanentMACAddress=52:54:00:00:00:02" in files["etc/systemd/network/10-data0.link"][0]
    assert "Address=10.1.0.7/24" in files["etc/systemd/network/90-installer.network"][0]
    assert files["etc/ssh/ssh_host_ed25519_key"][1].mode == 0o600
    login = files["home/twin/.ssh/authorized_keys"][1]
    assert (login.uid, login.gid, login.mode) == (1000, 1000, 0o600)


def test_the_seed_holds_nothing_that_is_ansibles_work() -> None:
    text = "".join(body for body, _ in unpacked(MACHINE).values())
    assert "Kind=vlan" not in text
    assert "data0" not in text.replace("Name=data0\n", "", 1)


def test_a_tagged_management_network_is_seeded_with_its_vlan() -> None:
    files = unpacked(replace(MACHINE, management=replace(WAY, vlan=9)))
    assert "VLAN=mgmt0.9" in files["etc/systemd/network/90-installer.network"][0]
    assert "Id=9" in files["etc/systemd/network/90-installer-vlan.netdev"][0]
    assert "Address=10.1.0.7/24" in files["etc/systemd/network/90-installer-vlan.network"][0]


def test_host_keys_differ_between_machines() -> None:
    assert seed.new_key().public != seed.new_key().public


def test_a_disk_never_waits_for_the_controllers_own() -> None:
    command = qemu.machine(MACHINE, HARDWARE)
    nodes = [value for flag, value in pairwise(command) if flag == "-blockdev"]
    assert len(nodes) == len(MACHINE.disks)
    assert all("cache.no-flush=on" in node and "file.discard=ignore" in node for node in nodes)
    assert qemu.blockdev(MACHINE, MACHINE.disks[1])["cache"] == {"no-flush": True}, "as QMP wants it"


def test_emulation_keeps_the_memory_barriers_of_a_single_processor() -> None:
    for cpus, told in ((1, "1,maxcpus=2"), (4, "4,maxcpus=4")):
        command = qemu.machine(MACHINE, replace(HARDWARE, cpus=cpus))
        assert command[command.index("-smp") + 1] == told
