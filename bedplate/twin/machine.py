"""One virtual machine: boot it, talk to it, cut its power. Faults of its parts are in
`bedplate.twin.faults`.
"""

import json
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bedplate.errors import BedplateError
from bedplate.twin import process, qemu
from bedplate.twin.connection import Connection
from bedplate.twin.qmp import Monitor
from bedplate.twin.spec import Machine

BOOT_LIMIT = 420.0  # seconds; emulated machines on a busy controller have been seen to take 150


@dataclass(frozen=True)
class Result:
    """What a command on a machine gave back."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Defects:
    """Faults that are switched on; they outlast power cuts, as they would on metal."""

    pulled: tuple[str, ...] = ()  # serials
    failed: tuple[str, ...] = ()  # serials
    links_down: tuple[str, ...] = ()  # NIC names


@dataclass
class VirtualMachine:
    """A machine of the twin in ``folder``."""

    folder: Path
    spec: Machine
    hardware: qemu.Hardware
    connection: Connection
    booted_in: float = field(default=0.0, init=False)  # seconds from power on to the first command over SSH
    _on: float = field(default_factory=time.monotonic, init=False)

    @property
    def name(self) -> str:
        """Host name."""
        return self.spec.name

    @property
    def console(self) -> Path:
        """What the machine printed on its serial line, over all boots."""
        return self.folder / "logs" / f"{self.name}.console"

    @property
    def running(self) -> bool:
        """Whether the machine has power."""
        return process.alive(self._record) is not None

    @property
    def defects(self) -> Defects:
        """Faults that are switched on."""
        if not self._defects.exists():
            return Defects()
        return Defects(**{key: tuple(names) for key, names in json.loads(self._defects.read_text()).items()})

    def set_defects(self, **changes: tuple[str, ...]) -> None:
        """Remember faults for the next boot."""
        self._defects.write_text(json.dumps(asdict(replace(self.defects, **changes))))

    def monitor(self) -> Monitor:
        """A conversation with the machine's QEMU."""
        return Monitor(self.folder / "run" / f"{self.name}.qmp")

    def boot(self) -> None:
        """Switch the power on; returns at once (see ``wait``). Nothing happens when it is on."""
        if self.running:
            return
        (self.folder / "run" / f"{self.name}.qmp").unlink(missing_ok=True)
        self.connection.hang_up(self.name)
        defects = self.defects
        command = qemu.machine(self.spec, self.hardware, defects.pulled)
        self._on = time.monotonic()
        process.start(self._record, command, cwd=self.folder, log=self._log)
        self._await_monitor()
        with self.monitor() as monitor:
            for serial in defects.failed:
                for verb, arguments in qemu.failing(self.spec, self.spec.disk(serial)):
                    monitor.do(verb, **arguments)
            for nic in defects.links_down:
                monitor.do("set_link", name=f"nic-{nic}", up=False)
            monitor.do("cont")

    def wait(self, limit: float = BOOT_LIMIT) -> None:
        """Wait until the machine takes commands over SSH. Raises BedplateError with its last words."""
        begin = time.monotonic()
        while True:
            if not self.running:
                raise BedplateError(f"{self.name} ended while booting{self._last_words()}")
            if self._greets() and self.ssh("true", limit=60).code == 0:
                self.booted_in = time.monotonic() - self._on
                return
            if time.monotonic() - begin > limit:
                raise BedplateError(f"{self.name} did not answer within {limit:.0f} s{self._last_words()}")
            time.sleep(0.5)

    def ssh(self, command: str, *, limit: float = 600, check: bool = False) -> Result:
        """Run a shell command as user ``twin``. With ``check``, raises BedplateError when it fails.

        Code 255: the machine could not be reached; 124: no end within ``limit`` seconds.
        """
        try:
            done = subprocess.run(
                [*self.connection.ssh(self.name), command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=limit,
            )
            result = Result(done.returncode, done.stdout, done.stderr)
        except subprocess.TimeoutExpired:
            result = Result(124, "", f"no end within {limit:.0f} s")
        if check and result.code != 0:
            reason = (result.err or result.out).strip()[-800:]
            raise BedplateError(f"{self.name}: `{command}` ended with {result.code}: {reason}")
        return result

    def power_cut(self) -> None:
        """Take the power away: SIGKILL. Disks behave as with a power-loss-protected cache (see qemu.py)."""
        process.stop(self._record, signal.SIGKILL)
        self.connection.hang_up(self.name)

    def power_down(self, limit: float = 120) -> None:
        """Press the power button and wait; after ``limit`` seconds take the power away."""
        if self.running:
            with self.monitor() as monitor:
                monitor.do("system_powerdown")
            deadline = time.monotonic() + limit
            while self.running and time.monotonic() < deadline:
                time.sleep(0.2)
        self.power_cut()

    @property
    def _record(self) -> Path:
        return self.folder / "run" / f"{self.name}.pid"

    @property
    def _defects(self) -> Path:
        return self.folder / f"{self.name}.defects.json"

    @property
    def _log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.qemu"

    def _await_monitor(self) -> None:
        deadline = time.monotonic() + 30
        while not (self.folder / "run" / f"{self.name}.qmp").exists():
            if not self.running or time.monotonic() > deadline:
                raise BedplateError(f"{self.name} did not start: {self._log.read_text().strip()[-800:]}")
            time.sleep(0.05)

    def _greets(self) -> bool:
        """Whether an SSH server answers; the gateway takes connections before the machine can."""
        try:
            with socket.create_connection(("127.0.0.1", self.connection.ports[self.name]), timeout=5) as way:
                return way.recv(4).startswith(b"SSH-")
        except OSError:
            return False

    def _last_words(self) -> str:
        lines = self.console.read_text(errors="replace").splitlines()[-15:] if self.console.exists() else []
        return "; its console ended with:\n" + "\n".join(lines) if lines else ""
