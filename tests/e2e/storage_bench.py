"""The machine with disks to break: its twin, and one connection that serves many requests."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.twin import qemu
from bedplate.twin.lab import Twin
from bedplate.twin.machine import VirtualMachine

INVENTORY = Path(__file__).parent / "inventories" / "disks"
HOST = "disks1"
FOLDER = "/run/storage-test"
BLOCK = 65536
PACKAGE = paths.ROOT / "plugins" / "module_utils" / "storage_tiers"


@contextmanager
def machine() -> Iterator[VirtualMachine]:
    """The machine, booted; everything is removed afterwards."""
    twin = Twin.load(INVENTORY)
    already = twin.exists  # a person who works on these tests keeps it up
    twin.up()
    try:
        yield twin.machine(HOST)
    finally:
        if not already:
            twin.down()


def copy_programs(target: VirtualMachine) -> None:
    """Planner and machine-side programs to the machine."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path in [*PACKAGE.glob("*.py")]:
            archive.add(path, f"storage_tiers/{path.name}")
        for path in Path(__file__).parent.glob("storage_*.py"):
            archive.add(path, path.name)
    command = f"sudo mkdir -p {FOLDER} && sudo tar -x -C {FOLDER}"
    way = target.connection.ssh(target.name)
    subprocess.run([*way, command], input=data.getvalue(), cwd=target.folder, check=True, timeout=120)


def digest(target: VirtualMachine, serial: str) -> str:
    """SHA-256 over every non-zero block of a disk and its place, read from the image on the controller."""
    image = target.folder / qemu.disk_file(target.spec, target.spec.disk(serial))
    total = hashlib.sha256()
    with tempfile.TemporaryDirectory(dir=target.folder) as folder:
        raw = Path(folder) / "raw"
        # The machine has flushed the disk and nothing writes to it, so the shared look (-U) is a true one.
        convert = ["qemu-img", "convert", "-U", "-O", "raw", str(image), str(raw)]
        subprocess.run(convert, check=True, timeout=300)
        with raw.open("rb") as file:
            for start in _data(file.fileno()):
                file.seek(start)
                block = file.read(BLOCK)
                if block.strip(b"\0"):
                    total.update(start.to_bytes(8, "little") + block)
    return total.hexdigest()


def _data(handle: int) -> Iterator[int]:
    """Offsets of the blocks of a sparse file that may hold data."""
    position, size = 0, os.fstat(handle).st_size
    while position < size:
        try:
            start = os.lseek(handle, position, os.SEEK_DATA) // BLOCK * BLOCK
        except OSError:  # no data up to the end
            return
        end = os.lseek(handle, start, os.SEEK_HOLE)
        position = max(end, start + BLOCK)
        yield from range(start, position, BLOCK)


class Session:
    """One connection to a program on the machine that answers a line of JSON with another."""

    def __init__(self, target: VirtualMachine, program: str) -> None:
        copy_programs(target)
        way = target.connection.ssh(target.name)
        command = f"sudo python3 {FOLDER}/{program}"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([*way, command], cwd=target.folder, **pipes)

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request. Raises AssertionError with what the machine said when it failed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the machine ended the connection"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def close(self) -> None:
        """End the program on the machine."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=30)
