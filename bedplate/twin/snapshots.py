"""Saved states of a whole twin: the disks of every machine as they were, kept inside the disk images."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from bedplate.console import progress
from bedplate.errors import BAD_INPUT, BedplateError
from bedplate.twin import qemu
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine


def save(twin: Twin, name: str) -> None:
    """Power the machines down, remember their disks and faults as ``name``, boot again what was on.

    Raises BedplateError when the name is taken.
    """
    if name in names(twin):
        raise BedplateError(
            f"a state {name!r} is saved already", remedy="choose another name", code=BAD_INPUT
        )
    on = [m.name for m in twin.machines() if m.running]
    with progress(f"powering down, saving the disks as {name}"):
        twin.stop()
        for machine in twin.machines():
            _images(machine, "-c", name)
    faults = {m.name: asdict(m.defects) for m in twin.machines()}
    _file(twin, name).parent.mkdir(exist_ok=True)
    _file(twin, name).write_text(json.dumps(faults))
    _boot(twin, on)


def restore(twin: Twin, name: str) -> None:
    """Cut the power of all machines, put their disks and faults back as ``name`` has them, boot them all.

    Raises BedplateError when there is no such state.
    """
    if name not in names(twin):
        known = ", ".join(names(twin)) or "none"
        raise BedplateError(f"no state {name!r} is saved", remedy=f"there are: {known}", code=BAD_INPUT)
    faults = json.loads(_file(twin, name).read_text())
    for machine in twin.machines():
        machine.power_cut()
        _images(machine, "-a", name)
        machine.set_defects(**{key: tuple(values) for key, values in faults[machine.name].items()})
    _boot(twin, list(faults))


def names(twin: Twin) -> list[str]:
    """Names of the saved states."""
    return sorted(file.stem for file in (twin.folder / "saved").glob("*.json"))


def _file(twin: Twin, name: str) -> Path:
    return twin.folder / "saved" / f"{name}.json"


def _boot(twin: Twin, wanted: list[str]) -> None:
    machines = [m for m in twin.machines() if m.name in wanted]
    for machine in machines:
        machine.boot()
    twin.wait(machines)


def _images(machine: VirtualMachine, action: str, name: str) -> None:
    for disk in machine.spec.disks:
        path = machine.folder / qemu.disk_file(machine.spec, disk)
        command = ["qemu-img", "snapshot", "-q", action, name, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BedplateError(f"{machine.name}: disk {disk.serial}: {done.stderr.strip()}")
