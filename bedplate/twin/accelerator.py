"""Which accelerator really works here. A machine may offer /dev/kvm and still hang with a stock kernel, so
the answer comes from booting the kernel with a time limit, once per kernel and boot of this machine.
"""

import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

from bedplate import paths
from bedplate.console import progress
from bedplate.twin.image import Image

LIMIT = 20.0  # seconds; with hardware virtualisation the marker comes after one or two
MARKER = b"Loading, please wait"  # printed by the initrd: kernel and user space both run
KVM = Path("/dev/kvm")


def choose(image: Image) -> str:
    """``kvm`` or ``tcg``."""
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kernel = hashlib.sha256(image.kernel.read_bytes()).hexdigest()
    remembered = paths.cache("accelerator") / hashlib.sha256(f"{kernel} {boot}".encode()).hexdigest()[:16]
    if not remembered.exists():
        with progress("trying hardware virtualisation"):
            remembered.write_text("kvm" if boots(image) else "tcg")
    return remembered.read_text()


def boots(image: Image, limit: float = LIMIT) -> bool:
    """Whether the image's kernel reaches its initrd under KVM within ``limit`` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        console = Path(folder) / "console"
        console.touch()
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "512"]
        command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        command += ["-serial", f"file:{console}", "-kernel", str(image.kernel), "-initrd", str(image.initrd)]
        command += ["-append", "console=ttyS0 panic=-1"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + limit
                while time.monotonic() < deadline and process.poll() is None:
                    if MARKER in console.read_bytes():
                        return True
                    time.sleep(0.1)
                return MARKER in console.read_bytes()
            finally:
                process.kill()
