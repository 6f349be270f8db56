"""Breaking things on purpose: disks, links, full file systems. All of it can be taken back.

What is switched on stays on over a power cut, as on metal (`machine.Defects`).
"""

import shlex
import subprocess

from bedplate.errors import BAD_INPUT, BadInput, BedplateError, Finding
from bedplate.twin import qemu
from bedplate.twin.machine import VirtualMachine
from bedplate.twin.spec import Disk

FILLER = ".bedplate-fill"


def pull(machine: VirtualMachine, serial: str) -> None:
    """Take a disk out. The machine is told by its hot-plug controller, then the device is gone.

    QEMU has no surprise removal: requests that are under way when the disk goes are finished first.
    """
    disk = _data_disk(machine, serial)
    defects = machine.defects
    if serial in defects.pulled:
        raise _already(machine, serial, "is pulled already", "push it back first")
    if machine.running:
        device = qemu.device_id(machine.spec, disk)
        with machine.monitor() as monitor:
            monitor.do("device_del", id=device)
            monitor.wait_event("DEVICE_DELETED", device=device)
            if serial in defects.failed:
                monitor.do("blockdev-del", **{"node-name": qemu.broken(machine.spec, disk)})
    failed = tuple(s for s in defects.failed if s != serial)  # what comes back works
    machine.set_defects(pulled=(*defects.pulled, serial), failed=failed)


def push(machine: VirtualMachine, serial: str, *, blank: bool = False) -> None:
    """Put a pulled disk back; ``blank``: a new, empty one of the same size and serial instead."""
    disk = _data_disk(machine, serial)
    defects = machine.defects
    if serial not in defects.pulled:
        raise _already(machine, serial, "is not pulled", "pull it first")
    if blank:
        _blank(machine, disk)
    if machine.running:
        with machine.monitor() as monitor:
            monitor.do("device_add", **qemu.disk_device(machine.spec, disk))
    machine.set_defects(pulled=tuple(s for s in defects.pulled if s != serial))


def fail(machine: VirtualMachine, serial: str) -> None:
    """Every request to the disk ends with an I/O error from now on."""
    disk = _data_disk(machine, serial)
    defects = machine.defects
    if serial in defects.failed + defects.pulled:
        raise _already(machine, serial, "is failing or pulled already", "heal it or push it back first")
    if machine.running:
        with machine.monitor() as monitor:
            for verb, arguments in qemu.failing(machine.spec, disk):
                monitor.do(verb, **arguments)
    machine.set_defects(failed=(*defects.failed, serial))


def heal(machine: VirtualMachine, serial: str) -> None:
    """Take back ``fail``."""
    disk = _data_disk(machine, serial)
    defects = machine.defects
    if serial not in defects.failed:
        raise _already(machine, serial, "is not failing", "`disk fail` makes it fail")
    if machine.running:
        with machine.monitor() as monitor:
            for verb, arguments in qemu.healing(machine.spec, disk):
                monitor.do(verb, **arguments)
    machine.set_defects(failed=tuple(s for s in defects.failed if s != serial))


def link(machine: VirtualMachine, nic: str, *, up: bool) -> None:
    """Plug the cable of a NIC in or out: the machine sees the carrier change."""
    machine.spec.nic(nic)
    down = tuple(n for n in machine.defects.links_down if n != nic)
    if machine.running:
        with machine.monitor() as monitor:
            monitor.do("set_link", name=f"nic-{nic}", up=up)
    machine.set_defects(links_down=down if up else (*down, nic))


def fill(machine: VirtualMachine, mount: str) -> None:
    """Leave no free byte on the file system at ``mount``."""
    file, here = shlex.quote(f"{mount}/{FILLER}"), shlex.quote(mount)
    free = f"$(df --output=avail -B1 {here} | tail -1)"
    script = (
        f"mountpoint -q {here} || {{ echo it is not a mount point >&2; exit 1; }}; "
        f"n={free}; [ $n -lt 4096 ] || fallocate -l $n {file}.0 2>/dev/null; "
        # metadata takes part of what df calls free: the rest is filled until the file system says no
        f"dd if=/dev/zero of={file}.1 bs=64k status=none 2>/dev/null; sync {here}; "
        f"[ {free} -lt 65536 ] || {{ df {here} >&2; exit 1; }}"
    )
    done = machine.ssh(f"sudo sh -c {shlex.quote(script)}")
    if done.code != 0:
        raise BedplateError(f"{machine.name}: {mount} could not be filled: {done.err.strip()}")


def unfill(machine: VirtualMachine, mount: str) -> None:
    """Take back ``fill``."""
    machine.ssh(f"sudo sh -c {shlex.quote(f'rm -f {shlex.quote(mount)}/{FILLER}.*')}", check=True)


def _blank(machine: VirtualMachine, disk: Disk) -> None:
    """Zero the image, which keeps saved states of the disk; a running QEMU lets go of it meanwhile."""
    path = machine.folder / qemu.disk_file(machine.spec, disk)
    if machine.running:
        with machine.monitor() as monitor:
            monitor.do("blockdev-del", **{"node-name": qemu.node(machine.spec, disk)})
    zero = ["qemu-io", "-f", "qcow2", "-c", f"write -z -u 0 {disk.bytes}", str(path)]
    done = subprocess.run(zero, capture_output=True, text=True, check=False)
    if machine.running:
        with machine.monitor() as monitor:
            monitor.do("blockdev-add", **qemu.blockdev(machine.spec, disk))
    if done.returncode != 0:
        raise BedplateError(
            f"disk {disk.serial} could not be emptied: {(done.stderr or done.stdout).strip()}"
        )


def _data_disk(machine: VirtualMachine, serial: str) -> Disk:
    disk = machine.spec.disk(serial)
    if disk.system:
        known = " ".join(d.serial for d in machine.spec.disks if not d.system) or "none"
        raise BadInput(
            Finding(machine.name, "serial", serial, "this is the system disk", f"name a data disk: {known}")
        )
    return disk


def _already(machine: VirtualMachine, serial: str, why: str, remedy: str) -> BedplateError:
    return BedplateError(f"{machine.name}: disk {serial} {why}", remedy=remedy, code=BAD_INPUT)
