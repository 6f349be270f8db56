"""What this machine has of what Bedplate uses: reads only, says which copy of a program is used and what to
do where one is missing."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bedplate.tools import golang, locate, spec

NEEDED_MEMORY_GIB = 4  # the rehearsal's control plane and the program beside it
NEEDED_SET = "rehearsal"  # programs of the other sets are for tests and scenarios
PACKAGES = ("ansible-core", "ansible-runner", "pulumi", "pulumi-kubernetes", "cryptography")
SYSTEM = {  # program: what it is for
    "ssh": "hosts and the twin",
    "git": "the project itself",
    "qemu-system-x86_64": "the twin",
    "mmdebstrap": "the twin's image",
    "podman": "Molecule's containers",
}


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``state``: ok, missing (needed), absent (only part of Bedplate wants it)."""

    subject: str
    state: str
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """Every check, in the order in which a person would want to know."""
    return [*_python(), *_system(), _memory(), *_tools()]


def _python() -> Iterator[Check]:
    yield Check("python", "ok", f"{sys.version.split()[0]} ({sys.executable})")
    for name in PACKAGES:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(name, "missing", "not installed", "run `make setup`")
    kubectl = Path(sys.executable).with_name("kubectl")
    if kubectl.exists():
        yield Check("kubectl", "ok", str(kubectl))
    else:
        yield Check("kubectl", "absent", "not installed", "run `make setup`")


def _system() -> Iterator[Check]:
    for name, purpose in SYSTEM.items():
        path = shutil.which(name)
        if path:
            yield Check(name, "ok", path)
        else:
            yield Check(name, "absent", f"not on PATH; wanted for {purpose}", "run `make setup`")


def _memory() -> Check:
    text = Path("/proc/meminfo").read_text()
    free = int(next(line for line in text.splitlines() if line.startswith("MemAvailable")).split()[1]) / 2**20
    if free >= NEEDED_MEMORY_GIB:
        return Check("memory", "ok", f"{free:.1f} GiB available")
    return Check(
        "memory",
        "absent",
        f"{free:.1f} GiB available, a rehearsal wants {NEEDED_MEMORY_GIB}",
        "end something else before `bedplate rehearse`",
    )


def _tools() -> Iterator[Check]:
    go = golang.find()
    if go:
        yield Check("go", "ok", f"{go.compiler} ({go.path})")
    else:
        needed = ".".join(map(str, spec.go_needed()))
        remedy = "`bedplate tools build` takes it from the Python package index"
        yield Check("go", "absent", f"none of {needed} or newer", remedy)
    for found in locate.find(spec.load().values(), go):
        name = found.program.name
        if found.path is None:
            state = "missing" if found.program.set == NEEDED_SET else "absent"
            yield Check(name, state, f"{found.version} is not built", f"run `bedplate tools build {name}`")
        else:
            whose = "our build" if found.source == "built" else "of this machine"
            yield Check(name, "ok", f"{found.version}, {whose} ({found.path})")
