"""``python -m tests.vendor_repository.distribution FOLDER STATUS``: the distribution's real driver, offered.

Fetches, with this machine's apt and from its own sources of the distribution, what a machine lacks whose dpkg
status file is STATUS, and writes it as a flat repository with the facts that the scenario needs beside it.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bedplate.containers.image import PLACES, release, sources_of
from tests.vendor_repository.debian import Key, sign

COMPONENTS = "main contrib non-free non-free-firmware"
DRIVER, HEADERS = "nvidia-kernel-dkms", "linux-headers-amd64"
WANTED = (DRIVER, "nvidia-smi", "libcuda1", "nvidia-persistenced")


class Apt:
    """This machine's apt with sources and state of its own, and another machine's installed packages."""

    def __init__(self, folder: Path, status: Path) -> None:
        for part in ("lists/partial", "cache/archives/partial", "etc"):
            (folder / part).mkdir(parents=True)
        for number, source in enumerate(with_driver()):
            suffix = "sources" if "Suites:" in source else "list"
            (folder / f"etc/{number}.{suffix}").write_text(source)
        self.archives = folder / "cache/archives"
        words = {
            "State::Lists": folder / "lists",
            "State::Status": status,
            "Cache": folder / "cache",
            "Etc::SourceList": "/dev/null",
            "Etc::SourceParts": folder / "etc",
            "Etc::PreferencesParts": "/dev/null",
        }
        self.options = [word for key, value in words.items() for word in ("-o", f"Dir::{key}={value}")]

    def run(self, program: str, *arguments: str) -> str:
        """What the program says. Raises CalledProcessError."""
        command = [program, *self.options, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def with_driver() -> list[str]:
    """This machine's sources of the distribution, with the components that have the driver."""
    files = [PLACES[0], *sorted(PLACES[1].glob("*.list")), *sorted(PLACES[1].glob("*.sources"))]
    texts = [file.read_text() for file in files if file.is_file()]
    own = sources_of(release(Path("/etc/os-release").read_text()), texts)
    return [re.sub(r"(?m)^(Components:|deb .*?) main\b.*$", rf"\1 {COMPONENTS}", source) for source in own]


def entry(file: Path) -> str:
    """One package of the index."""
    fields = ["dpkg-deb", "--field", file]
    control = subprocess.run(fields, check=True, stdout=subprocess.PIPE, text=True).stdout
    sum_ = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{control}Filename: {file.name}\nSize: {file.stat().st_size}\nSHA256: {sum_}\n"


def main(target: Path, status: Path) -> None:
    """Fetch and write."""
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="apt") as folder,
        tempfile.TemporaryDirectory(prefix="key") as home,
    ):
        apt = Apt(Path(folder), status)
        apt.run("apt-get", "-q", "update")
        headers = re.search(r"Depends: (linux-headers-\S+-amd64)", apt.run("apt-cache", "depends", HEADERS))[
            1
        ]
        version = re.search(r"Candidate: (\S+)-", apt.run("apt-cache", "policy", DRIVER))[1]
        fetch = ("-q", "--yes", "--download-only", "--no-install-recommends", "install")
        apt.run("apt-get", *fetch, headers, *WANTED)
        for file in apt.archives.glob("*.deb"):
            file.rename(target / file.name.replace("%3a", "_"))
        key = Key.new(Path(home))
        try:
            sign(
                target,
                "\n".join(entry(file) for file in sorted(target.glob("*.deb"))).encode(),
                "Debian",
                key,
            )
        finally:
            key.end()
    (target / "kernel").write_text(headers.removeprefix("linux-headers-"))
    (target / "version").write_text(version)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
