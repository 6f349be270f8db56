"""QEMU's command lines and device descriptions: pure functions of a machine.

Paths are relative to the twin's folder, in which QEMU is started, so that socket names stay short.

Disks use the controller's page cache: when QEMU is killed, what the guest's disk had acknowledged is still
there, as on a disk with a power-loss-protected cache. What the guest had not yet written is lost, as it is on
metal. A flush therefore ends in the page cache (``no-flush``), and what a guest discards is only forgotten in
its image: neither has to wait for the controller's own disk, which others may keep busy for minutes.
"""

import shlex
import sys
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from bedplate.twin.spec import Disk, Machine, Management, Nic

RELAY = Path(__file__).with_name("relay.py")
MIRROR_PORT = 80  # at mirror_address
CHIPSET = "q35,sata=off,smbus=off,i8042=off,vmport=off"  # nothing that a server in a rack would be probed for
# Seconds before the guest's driver gives an NVMe drive up: with its default of 30 a busy controller passes
# for a broken drive.
PATIENT = "nvme_core.io_timeout=240"
ROTATION = {"ssd": 1, "hdd": 7200}  # as SCSI reports it: 1 means not rotating


@dataclass(frozen=True)
class Hardware:
    """What a machine is run with: kernel and initrd of the image, accelerator, ``memory`` in MiB."""

    kernel: Path
    initrd: Path
    accelerator: str
    memory: int
    cpus: int
    medium: str = ""  # image of a file system in the machine's optical drive; empty: there is no drive


def kernel_arguments(accelerator: str) -> str:
    """Kernel command line; side-channel mitigations only cost time where there is nobody to attack.

    An emulated processor does not say that its TSC is constant. Without ``tsc=reliable`` the kernel reads the
    time from an emulated HPET: a system call and a device access, one processor at a time, for each question.
    """
    emulated = " mitigations=off no_timer_check tsc=reliable" if accelerator == "tcg" else ""
    return f"root=LABEL=bedplate-root rw console=ttyS0 quiet systemd.show_status=0 {PATIENT}{emulated}"


def accelerate(accelerator: str) -> list[str]:
    """Accelerator and the best processor that it offers."""
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    # A control plane's programs fill 256 MiB of translated code every few seconds, and then all of it is
    # thrown away.
    return ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max,-svm"]


def disk_file(machine: Machine, disk: Disk) -> str:
    """The disk's image."""
    return f"disks/{machine.name}/{disk.serial}.qcow2"


def node(machine: Machine, disk: Disk) -> str:
    """Name of the disk's block node; serials may hold characters that QEMU refuses in names."""
    return f"n{machine.disks.index(disk)}"


def device_id(machine: Machine, disk: Disk) -> str:
    """Name of the disk's device."""
    return f"d{machine.disks.index(disk)}"


def blockdev(machine: Machine, disk: Disk) -> dict[str, Any]:
    """The disk's block node, as for `blockdev-add`."""
    return {
        "driver": "qcow2",
        "node-name": node(machine, disk),
        "discard": "unmap",
        "cache": {"no-flush": True},
        "file": {"driver": "file", "filename": disk_file(machine, disk), "discard": "ignore"},
    }


def disk_device(machine: Machine, disk: Disk) -> dict[str, Any]:
    """The disk as a device, as for `device_add`."""
    index = machine.disks.index(disk)
    common = {"id": device_id(machine, disk), "drive": node(machine, disk), "serial": disk.serial}
    if disk.kind == "nvme":
        return {"driver": "nvme", "bus": f"rp{index}"} | common
    place = {"bus": "scsi0.0", "scsi-id": index, "lun": 0}
    return {"driver": "scsi-hd", "rotation_rate": ROTATION[disk.kind]} | place | common


def nic_socket(machine: str, nic: str, side: str) -> str:
    """Unix socket of one end (``switch`` or ``host``) of the cable of a NIC."""
    return f"run/{side}.{machine}.{nic}"


def machine(machine: Machine, hardware: Hardware, pulled: Collection[str] = ()) -> list[str]:
    """The command that runs ``machine`` without the disks ``pulled`` (serials); it waits for ``cont``."""
    name = machine.name
    command = ["qemu-system-x86_64", "-name", name, "-machine", CHIPSET, *accelerate(hardware.accelerator)]
    # For a guest that can never have a second processor QEMU 7 leaves out memory barriers, although its own
    # threads run beside the guest: now and then they miss what the guest has queued, and a drive hangs.
    command += [
        "-smp",
        f"{hardware.cpus},maxcpus={max(2, hardware.cpus)}",
        "-m",
        str(hardware.memory),
        "-nodefaults",
        "-no-user-config",
    ]
    command += ["-display", "none", "-S", "-device", "virtio-rng-pci"]
    command += ["-qmp", f"unix:run/{name}.qmp,server=on,wait=off"]
    command += [
        "-chardev",
        f"file,id=console,path=logs/{name}.console,append=on",
        "-serial",
        "chardev:console",
    ]
    command += ["-kernel", str(hardware.kernel), "-initrd", str(hardware.initrd)]
    command += ["-append", kernel_arguments(hardware.accelerator)]
    command += ["-fw_cfg", f"name=opt/bedplate/seed,file=seed/{name}.tar"]
    command += ["-device", "virtio-scsi-pci,id=scsi0"]
    for index, disk in enumerate(machine.disks):
        if disk.kind == "nvme":  # a root port of its own: that is what makes it removable
            command += ["-device", f"pcie-root-port,id=rp{index},chassis={index + 1},slot={index + 1}"]
        command += ["-blockdev", options(blockdev(machine, disk))]
        if disk.serial not in pulled:
            command += ["-device", options(disk_device(machine, disk))]
    if hardware.medium:
        command += _drive(hardware.medium, len(machine.disks))
    for nic in machine.nics:
        command += _nic(name, nic)
    return command


def _drive(medium: str, place: int) -> list[str]:
    """An optical drive with a disc in it: no disk of the inventory, and nobody can write to it."""
    disc = {"driver": "raw", "node-name": "medium", "read-only": True}
    file = {"file": {"driver": "file", "filename": medium}}
    device = {"driver": "scsi-cd", "bus": "scsi0.0", "scsi-id": place, "lun": 0, "drive": "medium"}
    return ["-blockdev", options(disc | file), "-device", options(device)]


def _nic(host: str, nic: Nic) -> list[str]:
    cable = cable_of(f"net-{nic.name}", host, nic.name)
    device = f"virtio-net-pci,id=nic-{nic.name},netdev=net-{nic.name},mac={nic.mac}"
    return ["-netdev", cable, "-device", f"{device},speed={nic.speed},duplex=full,romfile="]


def cable_of(netdev: str, host: str, nic: str) -> str:
    """Netdev that ends in the switch."""
    local, remote = nic_socket(host, nic, "host"), nic_socket(host, nic, "switch")
    return f"dgram,id={netdev},local.type=unix,local.path={local},remote.type=unix,remote.path={remote}"


def gateway(ways: dict[int, Management], *, internet: bool = False, mirror: int = 0) -> list[str]:
    """A QEMU without a machine: the gateway of the management network, with one forward per port of
    127.0.0.1.

    Hosts have no way out through it unless ``internet`` is set; with ``mirror`` they reach this port of
    127.0.0.1, and nothing else, at `mirror_address`.
    """
    first = next(iter(ways.values()))
    user = f"user,id=user,ipv6=off,net={first.subnet},host={first.gateway},dns={_name_server(first)}"
    user += f",restrict={'off' if internet else 'on'}"
    for port, way in ways.items():
        user += f",hostfwd=tcp:127.0.0.1:{port}-{way.address}:22"
    if mirror:
        relay = shlex.join([sys.executable, "-I", "-S", str(RELAY), str(mirror)]).replace(",", ",,")
        user += f",guestfwd=tcp:{mirror_address(first)}:{MIRROR_PORT}-cmd:{relay}"
    command = [
        "qemu-system-x86_64",
        "-name",
        "gateway",
        "-machine",
        "none",
        "-nodefaults",
        "-display",
        "none",
    ]
    command += ["-qmp", "unix:run/gateway.qmp,server=on,wait=off"]
    command += ["-netdev", user, "-netdev", "hubport,id=hub-user,hubid=0,netdev=user"]
    return [
        *command,
        "-netdev",
        cable_of("cable", "gateway", "lan"),
        "-netdev",
        "hubport,id=hub-lan,hubid=0,netdev=cable",
    ]


def mirror_address(way: Management) -> str:
    """An address for the controller's mirror that is neither the name server's nor likely to be a host's."""
    return str(IPv4Network(way.subnet)[-3])


def _name_server(way: Management) -> str:
    """An address for the built-in name server that is neither the gateway's nor likely to be a host's."""
    return str(IPv4Network(way.subnet)[-2])


def options(values: dict[str, Any], prefix: str = "") -> str:
    """Nested options in QEMU's ``key=value`` form, commas doubled."""
    parts = []
    for key, value in values.items():
        if isinstance(value, dict):
            parts.append(options(value, f"{prefix}{key}."))
        else:
            text = ("off", "on")[value] if isinstance(value, bool) else str(value)
            escaped = text.replace(",", ",,")
            parts.append(f"{prefix}{key}={escaped}")
    return ",".join(parts)


def broken(machine: Machine, disk: Disk) -> str:
    """Name of the block node that answers every request with an error."""
    return f"fail-{node(machine, disk)}"


def failing(machine: Machine, disk: Disk) -> list[tuple[str, dict[str, Any]]]:
    """QMP commands after which every request to ``disk`` fails with an I/O error, as from a broken medium."""
    kinds = ("read", "write", "write-zeroes", "flush", "discard")
    rules = [{"event": "none", "iotype": kind, "errno": 5} for kind in kinds]
    add = {
        "driver": "blkdebug",
        "node-name": broken(machine, disk),
        "image": node(machine, disk),
        "inject-error": rules,
    }
    device = f"/machine/peripheral/{device_id(machine, disk)}"
    return [
        ("blockdev-add", add),
        ("qom-set", {"path": device, "property": "drive", "value": broken(machine, disk)}),
    ]


def healing(machine: Machine, disk: Disk) -> list[tuple[str, dict[str, Any]]]:
    """QMP commands that take back ``failing``."""
    device = f"/machine/peripheral/{device_id(machine, disk)}"
    return [
        ("qom-set", {"path": device, "property": "drive", "value": node(machine, disk)}),
        ("blockdev-del", {"node-name": broken(machine, disk)}),
    ]
