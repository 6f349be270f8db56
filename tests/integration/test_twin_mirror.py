"""What a host of the twin reaches of a mirror on the controller, and what not: the real gateway (QEMU's user
network), and a network namespace instead of the machine behind it."""

import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bedplate import evidence
from bedplate.ports import free_ports
from bedplate.twin import qemu
from bedplate.twin.spec import Management

WAY = Management("tap0", "10.91.7.7", "10.91.7.0/24", "10.91.7.1", None, 1500)
SPACE = f"bedplate-mirror-{os.getpid()}"
COMMAND = "pytest tests/integration/test_twin_mirror.py"
SET_NAME, ETHERNET = 0x400454CA, 0x1002  # TUNSETIFF; IFF_TAP without packet information
SIZE = 3_000_000  # bytes that come through it whole

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("qemu-system-x86_64") or not Path("/dev/net/tun").exists(),
    reason="needs root, a tap device and QEMU",
)


def inside(*command: str) -> subprocess.CompletedProcess[str]:
    """A program on the host."""
    words = ["ip", "netns", "exec", SPACE, *command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=90)


@contextmanager
def cable(folder: Path) -> Iterator[None]:
    """A namespace whose only card is the other end of the gateway's cable."""
    subprocess.run(["ip", "netns", "add", SPACE], check=True)
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, SET_NAME, struct.pack("16sH22x", b"bpmirror", ETHERNET))
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ended = threading.Event()

    def pump() -> None:
        while not ended.is_set():
            for ready in select.select([tap, wire], [], [], 0.2)[0]:
                try:
                    if ready is wire:
                        os.write(tap, wire.recv(65536))
                    else:
                        wire.sendto(os.read(tap, 65536), str(folder / "run/host.gateway.lan"))
                except OSError:
                    time.sleep(0.01)  # the other end is not there yet, or has no room

    try:
        wire.bind(str(folder / "run/switch.gateway.lan"))
        subprocess.run(["ip", "link", "set", "bpmirror", "netns", SPACE], check=True)
        for words in (
            ["address", "add", WAY.interface, "dev", "bpmirror"],
            ["link", "set", "bpmirror", "up"],
            ["route", "add", "default", "via", WAY.gateway],
        ):
            done = inside("ip", *words)
            assert done.returncode == 0, done.stderr
        thread = threading.Thread(target=pump)
        thread.start()
        yield
        ended.set()
        thread.join()
    finally:
        ended.set()
        os.close(tap)
        wire.close()
        subprocess.run(["ip", "netns", "delete", SPACE], check=True)


@pytest.fixture(scope="module")
def host() -> Iterator[int]:
    """The gateway runs and passes on to a server of this machine; that server's port."""
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        folder = Path(name)
        (folder / "run").mkdir()
        (folder / "served").mkdir()
        (folder / "served" / "file").write_bytes(os.urandom(SIZE))
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *a: SimpleHTTPRequestHandler(*a, directory=f"{name}/served")
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = int(server.server_address[1])
        with cable(folder):
            command = qemu.gateway({free_ports(1)[0]: WAY}, mirror=port)
            with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as gateway:
                try:
                    yield port
                finally:
                    gateway.terminate()
                    server.shutdown()


def fetch(url: str) -> str:
    """Status and size of what a host gets; 000 and nothing where there is no answer."""
    form = "%{http_code} %{size_download}"
    words = (
        "--silent",
        "--noproxy",
        "*",
        "--max-time",
        "60",
        "--connect-timeout",
        "8",
        "--output",
        "/dev/null",
    )
    return inside("curl", *words, "--retry", "3", "--retry-connrefused", "--write-out", form, url).stdout


def test_a_host_reaches_the_mirror_whole_and_many_times(host: int) -> None:
    address = f"http://{qemu.mirror_address(WAY)}/file"
    assert [fetch(address) for _ in range(3)] == [f"200 {SIZE}"] * 3


def test_a_host_reaches_nothing_else(host: int) -> None:
    """Other ports of the mirror's address, the controller by every name it could have, and other networks."""
    closed = [
        f"{qemu.mirror_address(WAY)}:81",
        f"{WAY.gateway}:{host}",
        f"{WAY.gateway}:22",
        f"10.91.7.200:{host}",
        "192.0.2.1:80",
    ]
    words = ("--silent", "--noproxy", "*", "--connect-timeout", "5", "--output", "/dev/null")
    reached = [place for place in closed if inside("curl", *words, f"http://{place}/file").returncode == 0]
    claim = "Addresses besides the mirror's, of 5, that a host of the twin reaches"
    evidence.record(
        "lab", "hosts.bundle.reached", claim, len(reached), goal="== 0", proved_on="program", command=COMMAND
    )
    assert reached == []
