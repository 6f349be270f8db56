"""What scenarios of role container_runtime install, with the real containerd.

``python -m tests.container_runtime FOLDER release`` writes a release archive as the project publishes it to
FOLDER/release, with its SHA-256 in FOLDER/sha256; ``... FOLDER package`` writes a signed package repository
to
FOLDER/vendor, in which containerd.io holds the same programs, and Docker and NVIDIA's toolkit are stand-ins.
The
programs are those of tools/ (`bedplate tools build`).
"""

import hashlib
import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bedplate.tools import locate, spec
from tests.vendor_repository.catalogue import CONTAINER_TOOLKITS, container_toolkit
from tests.vendor_repository.debian import Key, Package, write

UNIT = """[Unit]
Description={0}
[Service]
ExecStart={1}
Type={2}
Delegate=yes
KillMode=process
[Install]
WantedBy=multi-user.target
"""


def archive(programs: Mapping[str, Path]) -> bytes:
    """A release archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        for name, path in programs.items():
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.size, entry.mode = path.stat().st_size, 0o755
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return stream.getvalue()


def packages(programs: Mapping[str, Path], version: str) -> Iterator[Package]:
    """containerd.io, Docker and NVIDIA's toolkit."""
    files = {f"/usr/bin/{name}": (path.read_bytes(), 0o755) for name, path in programs.items()}
    files["/lib/systemd/system/containerd.service"] = (
        UNIT.format("containerd", "/usr/bin/containerd", "notify").encode(),
        0o644,
    )
    yield Package("containerd.io", f"{version}-1", "runc", files=files)  # the real one holds runc
    docker = UNIT.format("Docker stand-in", "/bin/sleep infinity", "simple").encode()
    unit = {"/lib/systemd/system/docker.service": (docker, 0o644)}
    yield Package("docker-ce", "5:28.5.2-1", "containerd.io, docker-ce-cli", files=unit)
    yield Package("docker-ce-cli", "5:28.5.2-1")
    for toolkit in CONTAINER_TOOLKITS:
        yield from container_toolkit(toolkit)


def write_release(folder: Path, programs: Mapping[str, Path], version: str) -> None:
    """The archive, where the project has it, and its digest."""
    data = archive(programs)
    release = folder / "release" / f"v{version}" / f"containerd-{version}-linux-amd64.tar.gz"
    release.parent.mkdir(parents=True, exist_ok=True)
    release.write_bytes(data)
    (folder / "sha256").write_text(hashlib.sha256(data).hexdigest())


def write_packages(folder: Path, programs: Mapping[str, Path], version: str) -> None:
    """The repository, signed by a key that exists only now."""
    with tempfile.TemporaryDirectory(prefix="key") as home:
        key = Key.new(Path(home))
        try:
            write(folder / "vendor", packages(programs, version), "Stand-in", key)
        finally:
            key.end()


if __name__ == "__main__":
    ways = {"release": write_release, "package": write_packages}
    ways[sys.argv[2]](Path(sys.argv[1]), locate.require("runtime"), spec.load()["containerd"].version)
