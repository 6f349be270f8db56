"""A container that behaves like a machine: systemd runs in it and comes up completely.

What podman has to be told for that differs between machines (cgroup version, container runtime, limits of the
user who runs it), so it is found out by trying: the first way in which systemd comes up is remembered.
"""

import json
import platform
import subprocess
import time
from pathlib import Path

from bedplate import paths
from bedplate.console import progress
from bedplate.containers.image import image
from bedplate.errors import BedplateError

ALWAYS = ("--systemd=always", "--network=none")
# The kernel is shared with this machine: it stays as it is, whatever a role or systemd itself wants of it.
INIT = ("sh", "-c", "mount --bind -o ro /proc/sys /proc/sys && exec /sbin/init")
CAPABILITIES = ("NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_TIME", "AUDIT_WRITE")
WAYS: tuple[tuple[str, ...], ...] = (
    tuple(f"--cap-add={name}" for name in CAPABILITIES),
    ("--privileged", "--volume=/sys:/sys:ro"),
    ("--runtime=runc", "--privileged", "--volume=/sys:/sys:ro"),
    (
        "--runtime=runc",
        "--privileged",
        "--volume=/sys:/sys:ro",
        "--ulimit=nofile=1024:4096",
        "--ulimit=nproc=8192:8192",
    ),
)
PATIENCE = 30.0  # seconds for systemd to come up; seen: 4 s on two busy cores


def up(name: str) -> None:
    """Start container ``name`` afresh and wait until its systemd is up; BedplateError when it never is."""
    picture = image()
    remembered = _remembered()
    ways = (remembered,) if remembered else WAYS
    with progress(f"Starting container {name}") as step:
        refusals = []
        for way in ways:
            refusal = _start(name, picture, way)
            if not refusal:
                _remember(way)
                return
            refusals.append(f"podman run {' '.join(way)}: {refusal}")
            step.say("trying the next way to run systemd")
    down(name)
    _memory().unlink(missing_ok=True)
    raise BedplateError(
        "systemd does not come up in a container:\n" + "\n".join(refusals),
        remedy="see the messages of podman; run it again once they are mended",
    )


def down(name: str) -> None:
    """Remove container ``name``; nothing happens when there is none."""
    subprocess.run(["podman", "rm", "--force", "--time", "0", name], capture_output=True, check=False)


def _start(name: str, picture: str, way: tuple[str, ...]) -> str:
    """Empty when systemd came up, else why not."""
    down(name)
    command = ["podman", "run", "--detach", f"--name={name}", f"--hostname={name}", *ALWAYS, *way, picture]
    done = subprocess.run([*command, *INIT], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return _last_line(done.stderr)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        asked = subprocess.run(
            ["podman", "exec", name, "systemctl", "is-system-running"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() in ("running", "degraded"):
            return ""
        if "state improper" in asked.stderr:
            return "systemd ended at once"
        time.sleep(0.5)
    return f"systemd is not up after {PATIENCE:.0f} s"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def _memory() -> Path:
    return paths.cache("images") / "podman-way.json"


def _here() -> str:
    """What decides which way works: the kernel and podman."""
    done = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=False)
    return f"{platform.release()} {done.stdout.strip()}"


def _remembered() -> tuple[str, ...] | None:
    try:
        memory = json.loads(_memory().read_text())
    except (FileNotFoundError, ValueError):
        return None
    way = tuple(memory["way"])
    return way if memory["machine"] == _here() and way in WAYS else None


def _remember(way: tuple[str, ...]) -> None:
    _memory().write_text(json.dumps({"machine": _here(), "way": way}))
