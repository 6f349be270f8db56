"""The twin of one environment as a whole: build it, start it, end it."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bedplate import inventory as inventories
from bedplate import paths
from bedplate.console import err, progress
from bedplate.errors import BAD_INPUT, BedplateError
from bedplate.ports import free_ports
from bedplate.private_files import write_private
from bedplate.twin import accelerator, connection, image, process, qemu, seed, spec
from bedplate.twin.connection import Connection
from bedplate.twin.machine import VirtualMachine
from bedplate.twin.spec import Spec

MEMORY = 1024  # MiB
CPUS = 1  # emulated processors slow each other down


@dataclass(frozen=True)
class Size:
    """Memory (MiB) and virtual processors: a default, and by host name."""

    memory: int = MEMORY
    cpus: int = CPUS
    memory_of: tuple[tuple[str, int], ...] = ()
    cpus_of: tuple[tuple[str, int], ...] = ()
    medium: Path | None = None  # image of a file system that every machine has as a disc in its drive
    mirror: int = 0  # port of 127.0.0.1 that machines reach at Twin.mirror; 0: none

    def of(self, host: str) -> tuple[int, int]:
        """Memory and processors of ``host``."""
        return dict(self.memory_of).get(host, self.memory), dict(self.cpus_of).get(host, self.cpus)


class Twin:
    """The virtual machines of one environment.

    Everything that exists while the twin does lies in ``folder``; `down` removes it. ``machines.json``
    there is written when the twin is completely built: without it the folder is a leftover.
    """

    def __init__(self, environment: str, *, source: Path | None = None) -> None:
        self.environment = environment
        self.folder = paths.state(environment) / "twin"
        self._source = source or paths.INVENTORIES / environment

    @classmethod
    def load(cls, inventory: Path) -> "Twin":
        """The twin of ``inventories/ENV``, whether it is up or not."""
        return cls(paths.environment_of(inventory), source=inventory)

    @property
    def exists(self) -> bool:
        """Whether the twin has been built."""
        return self._manifest.exists()

    @property
    def overlay(self) -> Path:
        """Inventory to give Ansible after the real one."""
        return self.folder / "overlay"

    @property
    def accelerator(self) -> str:
        """What the machines run on: ``kvm`` or ``tcg``. Raises BedplateError when nothing is built."""
        hardware: dict[str, dict[str, Any]] = self._read()["hardware"]
        return str(next(iter(hardware.values()))["accelerator"])

    @property
    def spec(self) -> Spec:
        """What was built. Raises BedplateError when nothing is."""
        return spec.from_dict(self._read())

    @property
    def mirror(self) -> str:
        """Address at which machines reach the controller's mirror (Size.mirror), for ``site_mirror``."""
        return f"http://{qemu.mirror_address(self.spec.machines[0].management)}"

    def machines(self) -> list[VirtualMachine]:
        """All machines, in inventory order. Raises BedplateError when the twin is not built."""
        data = self._read()
        way = connection.read(self.folder) or Connection(self.folder, {})
        return [
            VirtualMachine(self.folder, machine, _hardware(data["hardware"][machine.name]), way)
            for machine in spec.from_dict(data).machines
        ]

    def machine(self, host: str) -> VirtualMachine:
        """One machine. Raises BadInput for an unknown host."""
        wanted = self.spec.machine(host)
        return next(m for m in self.machines() if m.name == wanted.name)

    def up(self, size: Size | None = None, *, internet: bool = False) -> list[VirtualMachine]:
        """Build what is missing, boot what is off, wait until every machine takes commands.

        A second call changes nothing. When it is interrupted or fails, what this call built and started is
        ended. Raises BadInput when the inventory cannot be built, BedplateError when a machine does not
        come up.
        """
        wanted = spec.build(inventories.load(self._source))
        with self._alone():
            fresh = not self.exists
            if fresh:
                self._remove()
            elif self.spec != wanted:
                raise BedplateError(
                    f"the twin of {self.environment} was built from another state of its inventory",
                    remedy=f"end it first: bedplate twin down -i inventories/{self.environment}",
                    code=BAD_INPUT,
                )
            with _orderly(self._remove if fresh else self._stop_all):
                if fresh:
                    self._build(wanted, size or Size())
                return self._start(internet=internet, mirror=size.mirror if size else 0)

    def down(self) -> bool:
        """End every process of the twin and remove all it left. Returns whether there was anything."""
        with self._alone():
            existed = self.folder.exists()
            self._remove()
            return existed

    def stop(self) -> None:
        """Power all machines down in order; disks stay. The opposite is `up`."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(VirtualMachine.power_down, self.machines()))

    def wait(self, machines: list[VirtualMachine]) -> None:
        """Wait for several machines side by side."""
        pool = ThreadPoolExecutor(max_workers=max(1, len(machines)))
        try:
            with progress(f"booting {len(machines)} machines", total=len(machines)) as step:
                for done in as_completed({pool.submit(m.wait): m for m in machines}):
                    done.result()
                    step.advance()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def services(self) -> dict[str, bool]:
        """Whether the switch and the gateway run."""
        return {
            name: process.alive(self.folder / "run" / f"{name}.pid") is not None
            for name in ("switch", "gateway")
        }

    def status(self) -> dict[str, Any]:
        """What runs and what is broken on purpose, as `bedplate twin status --json` prints it."""
        if not self.exists:
            return {"environment": self.environment, "exists": False, "machines": [], "services": {}}
        machines = [
            {"name": m.name, "running": m.running, "port": m.connection.ports.get(m.name)} | asdict(m.defects)
            for m in self.machines()
        ]
        return {
            "environment": self.environment,
            "exists": True,
            "machines": machines,
            "services": self.services(),
            "overlay": str(self.overlay),
        }

    @property
    def _manifest(self) -> Path:
        return self.folder / "machines.json"

    def _read(self) -> dict[str, Any]:
        if not self.exists:
            raise BedplateError(
                f"there is no twin of {self.environment}",
                remedy=f"start it: bedplate twin up -i inventories/{self.environment}",
                code=BAD_INPUT,
            )
        data: dict[str, Any] = json.loads(self._manifest.read_text())
        return data

    def _build(self, wanted: Spec, size: Size) -> None:
        base = image.ensure()
        chosen = accelerator.choose(base)
        for part in ("run", "logs", "seed", "keys", "disks"):
            (self.folder / part).mkdir(parents=True, mode=0o700)
        login = seed.new_key()
        write_private(self.folder / "keys" / "twin", login.private.encode())
        hardware = {}
        for machine in wanted.machines:
            host_key = seed.new_key()
            (self.folder / "keys" / f"{machine.name}.pub").write_text(host_key.public)
            write_private(self.folder / "seed" / f"{machine.name}.tar", b"")
            (self.folder / "seed" / f"{machine.name}.tar").write_bytes(
                seed.archive(machine, host_key, login.public)
            )
            for disk in machine.disks:
                _create(self.folder / qemu.disk_file(machine, disk), disk, base.root)
            memory, cpus = size.of(machine.name)
            medium = str(size.medium.resolve()) if size.medium else ""
            parts = qemu.Hardware(base.kernel, base.initrd, chosen, memory, cpus, medium)
            hardware[machine.name] = asdict(parts)
        document = wanted.as_dict() | {"image": base.key, "hardware": hardware}
        partial = self._manifest.with_suffix(".partial")
        partial.write_text(json.dumps(document, indent=2, default=str) + "\n")
        partial.replace(self._manifest)

    def _start(self, *, internet: bool, mirror: int) -> list[VirtualMachine]:
        self._start_switch()
        self._start_gateway(internet=internet, mirror=mirror)
        off = [m for m in self.machines() if not m.running]
        for machine in off:
            machine.boot()
        if off:
            self.wait(off)
        return off

    def _start_switch(self) -> None:
        record = self.folder / "run" / "switch.pid"
        if process.alive(record):
            return
        ports = [
            {"host": m.name, "nic": n.name, "native": n.native, "trunk": True}
            for m in self.spec.machines
            for n in m.nics
        ]
        ports.append(
            {"host": "gateway", "nic": "lan", "native": _management_segment(self.spec), "trunk": False}
        )
        (self.folder / "run" / "ports.json").write_text(json.dumps(ports))
        command = [sys.executable, "-m", "bedplate.twin.switch", "run/ports.json"]
        process.start(record, command, cwd=self.folder, log=self.folder / "logs" / "switch")

    def _start_gateway(self, *, internet: bool, mirror: int) -> None:
        record = self.folder / "run" / "gateway.pid"
        if process.alive(record):
            return
        machines = self.spec.machines
        ports = free_ports(len(machines))
        keys = {m.name: (self.folder / "keys" / f"{m.name}.pub").read_text() for m in machines}
        connection.write(self.folder, {m.name: p for m, p in zip(machines, ports, strict=True)}, keys)
        ways = {port: m.management for m, port in zip(machines, ports, strict=True)}
        log = self.folder / "logs" / "gateway"
        command = qemu.gateway(ways, internet=internet, mirror=mirror)
        process.start(record, command, cwd=self.folder, log=log)

    def _stop_all(self) -> None:
        for record in sorted((self.folder / "run").glob("*.pid")):
            process.stop(record, signal.SIGKILL)

    def _remove(self) -> None:
        if self.folder.exists():
            self._stop_all()
            shutil.rmtree(self.folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self.folder.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BedplateError(
                f"another command is starting or ending the twin of {self.environment}", remedy="wait for it"
            ) from None
        else:
            yield
        finally:
            os.close(descriptor)


def _create(path: Path, disk: spec.Disk, base: Path) -> None:
    """An empty disk, or for the system disk a layer over the image."""
    path.parent.mkdir(exist_ok=True)
    backing = ["-b", str(base), "-F", "raw"] if disk.system else []
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(path), str(disk.bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BedplateError(f"disk {disk.serial} could not be made: {done.stderr.strip()}")


def _management_segment(wanted: Spec) -> int | str:
    way = wanted.machines[0].management
    return way.vlan or wanted.machines[0].nic(way.nic).native


def _hardware(data: dict[str, Any]) -> qemu.Hardware:
    hardware = qemu.Hardware(**data)
    return replace(hardware, kernel=Path(hardware.kernel), initrd=Path(hardware.initrd))


@contextmanager
def _orderly(undo: Callable[[], None]) -> Iterator[None]:
    """Undo on failure, Ctrl-C and SIGTERM alike."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if main else None
    try:
        yield
    except BaseException as error:
        undo()
        if isinstance(error, KeyboardInterrupt):  # Typer ends with code 130 and says nothing
            err.print("interrupted; what was started has been ended", style="yellow")
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
