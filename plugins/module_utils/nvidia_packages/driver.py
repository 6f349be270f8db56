"""Which packages bring a driver, and what a host must be told before they are installed. Pure.

Names differ by archive, distribution and branch; they are rows of data (``roles/nvidia_driver/vars``), in
which ``{branch}`` and ``{kernel}`` stand for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DKMS, PRECOMPILED = "dkms", "precompiled"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """The driver that the inventory asks for, on this distribution and kernel."""

    version: str
    source: str  # vendor or distribution
    distribution: str  # Debian, Ubuntu
    build: str  # dkms or precompiled
    module: str  # open or proprietary
    kernel: str

    @property
    def branch(self) -> str:
        """``580`` of ``580.178.04``."""
        return self.version.partition(".")[0]


@dataclass(frozen=True)
class Situation:
    """What a host is like before the driver comes."""

    gpus: int = 0
    secure_boot: bool = False
    enrolled: bool = False  # the inventory says that the key of DKMS is known to the firmware
    loaded: str = ""  # version of the loaded module
    nouveau: bool = False  # nouveau is loaded
    run_file: bool = False  # a driver was installed by NVIDIA's .run file
    users: tuple[str, ...] = ()  # processes that have a GPU open
    users_allowed: bool = False


def packages(wanted: Wanted, rows: Sequence[Row]) -> tuple[list[dict[str, str]], str]:
    """Packages with their versions for pinned_packages, or why there are none."""
    row = next((row for row in rows if _applies(row, wanted)), None)
    if row is None:
        return [], _no_row(wanted, rows)
    words = {"branch": wanted.branch, "kernel": wanted.kernel}
    exact = [{"name": name.format(**words), "version": wanted.version} for name in row[wanted.module]]
    named = [*row.get("any", ()), *row.get(f"any_{wanted.module}", ())]
    other = [{"name": name.format(**words)} for name in named]
    headers = [] if wanted.build == PRECOMPILED else [_headers(wanted.kernel)]
    return [*headers, *exact, *other], ""


def _applies(row: Row, wanted: Wanted) -> bool:
    same = row["source"] == wanted.source and row["distribution"] == wanted.distribution
    return same and row.get("build", DKMS) == wanted.build and int(wanted.branch) >= int(row["from"])


def _no_row(wanted: Wanted, rows: Sequence[Row]) -> str:
    there = sorted(
        {
            f"{row['source']} with {row.get('build', DKMS)} from branch {row['from']} on"
            for row in rows
            if row["distribution"] == wanted.distribution
        }
    )
    asked = (
        f"{wanted.build} modules of branch {wanted.branch} from the {wanted.source} for {wanted.distribution}"
    )
    return f"there are no {asked}; there are: {', '.join(there) or 'none for this distribution'}"


def _headers(kernel: str) -> dict[str, str]:
    remedy = (
        f"the module is built against the headers of the running kernel {kernel}: boot the newest installed"
        " kernel, whose headers the archive has, or mirror these"
    )
    return {"name": f"linux-headers-{kernel}", "remedy": remedy}


def refusals(wanted: Wanted, host: Situation) -> list[str]:
    """Why the driver cannot be installed as things are."""
    found = []
    if host.secure_boot and wanted.build == DKMS and not host.enrolled:
        found.append(
            "Secure Boot is on: the kernel would refuse a module that DKMS built here, whose key the"
            " firmware does not know. On Ubuntu set nvidia_driver_source to distribution and"
            " nvidia_driver_build to precompiled, whose modules Canonical has signed; or enrol the key of"
            " DKMS at the machine's console and set nvidia_driver_secure_boot to enrolled; or turn Secure"
            " Boot off in the firmware"
        )
    if host.run_file:
        found.append(
            "a driver of NVIDIA's .run file is installed, and packages would fight with it; run"
            " nvidia-uninstall first"
        )
    if host.users and host.loaded and host.loaded != wanted.version and not host.users_allowed:
        found.append(
            f"driver {host.loaded} is in use by {', '.join(host.users)}; new libraries beside the loaded"
            " module would make every new CUDA program fail until the reboot. Drain the host first, or set"
            " nvidia_driver_in_use to allow"
        )
    return found


def reboot_reason(wanted_version: str, host: Situation) -> str:
    """Why the host has to be booted before its GPUs work with this driver, or nothing."""
    if host.loaded and host.loaded != wanted_version:
        return f"driver {host.loaded} is loaded and {wanted_version} is installed"
    if host.nouveau and not host.loaded:
        return "nouveau is loaded and holds the GPUs"
    return ""


@dataclass(frozen=True)
class Module:
    """A module file on the disk; ``licence`` as modinfo says it."""

    path: str
    version: str
    licence: str

    @property
    def flavour(self) -> str:
        """open or proprietary, by the licence that the module declares."""
        return "open" if "GPL" in self.licence else "proprietary"


def module_problem(wanted_version: str, flavour: str, kernel: str, found: Iterable[Module]) -> str:
    """Why the kernel would not load the wished driver, or nothing."""
    there = list(found)
    right = [module for module in there if module.version == wanted_version]
    if not right:
        told = ", ".join(f"{m.version} ({m.path})" for m in there) or "none"
        return f"kernel {kernel} has no NVIDIA module {wanted_version}; found: {told}"
    wrong = [module for module in right if module.flavour != flavour]
    if wrong:
        return f"{wrong[0].path} is the {wrong[0].flavour} module, and {flavour} is wanted"
    return ""
