"""The rim: dpkg and apt of this host, its sources, pins and holds."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

from . import source as sources
from .plan import Change, exact_needs, simulated

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]
PREFERENCES = Path("/etc/apt/preferences.d")
JOURNAL = Path("/var/lib/dpkg/updates")
UNFINISHED = ("half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")
QUERY = ("dpkg-query", "-W", "-f", r"${binary:Package}\t${db:Status-Want}\t${db:Status-Status}\t${Version}\n")
# Parts of a driver on hold keep each other at the old version: holds are left aside, and plan.judge looks
# after those of others.
INSTALL = (
    *("--no-install-recommends", "--allow-downgrades", "--allow-change-held-packages"),
    *("-o", "APT::Ignore-Hold=true"),
)
UNATTENDED = (
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
    *("-o", "DPkg::Lock::Timeout=300"),
)
LIMIT = 1 << 20  # bytes of a key
SECONDS = 30


class AptError(Exception):
    """apt or dpkg failed; the text is what they said."""


def installed(run: Run) -> dict[str, str]:
    """Installed packages: name to version."""
    return {name: version for name, status, version in _selections(run) if status == "installed"}


def unfinished(run: Run) -> list[str]:
    """Packages that dpkg has left half done because it was cut off, or its own journal; apt does nothing
    beside them.
    """
    left = [name for name, status, _ in _selections(run) if status in UNFINISHED]
    return left or [file.name for file in list(JOURNAL.glob("[0-9]*"))[:1]]


def finish(run: Run) -> None:
    """Let dpkg end what it has begun. What cannot end is left to the change that follows."""
    run(("dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"))


def _selections(run: Run) -> list[tuple[str, str, str]]:
    """Name, status and version of every package that dpkg knows."""
    code, output, errors = run(QUERY)
    if code != 0:
        raise AptError(errors.strip())
    rows = [line.split("\t") for line in output.splitlines()]
    return [(name.partition(":")[0], status, version) for name, _, status, version in rows]


def held(run: Run) -> set[str]:
    """Packages that are on hold, by name."""
    return {name.partition(":")[0] for name in run(("apt-mark", "showhold"))[1].split()}


def offered(run: Run, names: Iterable[str]) -> dict[str, list[str]]:
    """Versions that the package sources have, newest first."""
    found: dict[str, list[str]] = {}
    for line in run(("apt-cache", "madison", *names))[1].splitlines():
        name, version, _ = (part.strip() for part in line.split("|", 2))
        found.setdefault(name, []).append(version)
    return found


def with_needs(run: Run, chosen: Sequence[str]) -> list[str]:
    """``chosen`` and, at any depth, what they need at exactly one version: where a source has several, apt
    takes the newest of each and then finds that they do not fit.
    """
    found = list(chosen)
    names = {one.partition("=")[0] for one in found}
    for one in found:  # grows while it is read
        if "=" in one:
            needs = exact_needs(run(("apt-cache", "show", "--no-all-versions", one))[1])
            new = [need for need in needs if need.partition("=")[0] not in names]
            names |= {need.partition("=")[0] for need in new}
            found += new
    return found


def simulate(run: Run, chosen: Sequence[str], file: Path, pins: str) -> list[Change]:
    """What apt would do with ``pins`` in place of ``file``, which stays as it is. Raises AptError."""
    with tempfile.TemporaryDirectory() as folder:
        for other in PREFERENCES.glob("*"):
            if other.name != file.name and other.is_file():
                shutil.copy(other, folder)
        (Path(folder) / file.name).write_text(pins)
        option = ("-o", f"Dir::Etc::PreferencesParts={folder}")
        code, output, errors = run(("apt-get", "--simulate", "-q", *option, *INSTALL, "install", *chosen))
    if code != 0:
        raise AptError(_last(output, errors))
    return simulated(output)


def install(run: Run, chosen: Sequence[str]) -> None:
    """Install exactly these. Raises AptError."""
    code, output, errors = run(("apt-get", "--yes", "-q", *UNATTENDED, *INSTALL, "install", *chosen))
    if code != 0:
        raise AptError(_last(output, errors))


def update(run: Run, file: str = "") -> None:
    """Fetch package lists, of one source file or of all. Raises AptError: a source that does not verify."""
    only = (
        "-o",
        f"Dir::Etc::SourceList={file}",
        "-o",
        "Dir::Etc::SourceParts=-",
        "-o",
        "APT::Get::List-Cleanup=0",
    )
    wait = ("-o", "DPkg::Lock::Timeout=300", "-o", "APT::Update::Error-Mode=any")
    code, output, errors = run(("apt-get", "-q", *wait, *(only if file else ()), "update"))
    if code != 0:
        raise AptError(_last(output, errors))


def hold(run: Run, names: Iterable[str]) -> None:
    """Hold packages at their version."""
    names = sorted(names)
    code, _, errors = run(("apt-mark", "hold", *names)) if names else (0, "", "")
    if code != 0:
        raise AptError(errors.strip())


def key_of(wanted: sources.Source) -> bytes:
    """The source's key as a keyring, from its text or its address. Raises OSError, NotAKey."""
    if wanted.key_is_text:
        return sources.dearmoured(wanted.key.encode())
    address = wanted.key if re.match(r"[a-z]+:", wanted.key) else Path(wanted.key).as_uri()
    with urlopen(address, timeout=SECONDS) as answer:  # noqa: S310  the inventory says where; the fingerprint decides
        return sources.dearmoured(answer.read(LIMIT))


def write(file: Path, content: bytes) -> None:
    """Replace a file as a whole, readable for everyone: apt fetches as another user."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    Path(name).chmod(0o644)
    Path(name).replace(file)


@contextlib.contextmanager
def restored(*files: Path) -> Iterator[None]:
    """Put the files back as they were when what follows fails."""
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    try:
        yield
    except BaseException:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            else:
                write(file, content)
        raise


def _last(output: str, errors: str) -> str:
    """What apt complained about: its E: lines, else the end of what it said."""
    lines = [line for line in errors.splitlines() if line.startswith("E:")]
    told = [line for line in output.splitlines() if " : " in line or line.startswith("dpkg: error")]
    return "\n".join([*told[-8:], *lines]) or "\n".join((errors or output).strip().splitlines()[-8:])
