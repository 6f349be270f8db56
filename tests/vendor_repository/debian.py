"""Writes Debian packages and a signed flat repository, without the tools of a distribution (but for gpg)."""

import gzip
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAINTAINER = "Bedplate's tests <tests@example.internal>"
DATE = "Thu, 01 Jan 2026 00:00:00 UTC"


@dataclass(frozen=True)
class Package:
    """One package. ``files`` maps absolute paths to (content, mode); ``fields`` are further control lines."""

    name: str
    version: str
    depends: str = ""
    files: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    postinst: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of the package's file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_amd64.deb"

    def control(self) -> str:
        """The control file."""
        words = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "amd64",
            "Maintainer": MAINTAINER,
            "Description": "stand-in made by tests: a name, a version and dependencies, nothing inside",
            **({"Depends": self.depends} if self.depends else {}),
            **self.fields,
        }
        return "".join(f"{key}: {value}\n" for key, value in words.items())


def archive(package: Package) -> bytes:
    """The bytes of the .deb: an ar archive of two tar files."""
    scripts = {"./control": (package.control().encode(), 0o644)}
    if package.postinst:
        scripts["./postinst"] = (f"#!/bin/sh\nset -e\n{package.postinst}\n".encode(), 0o755)
    content = {f".{path}": entry for path, entry in package.files.items()}
    members = {"debian-binary": b"2.0\n", "control.tar.gz": _tar(scripts), "data.tar.gz": _tar(content)}
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
        parts.append(data + b"\n" * (len(data) % 2))
    return b"".join(parts)


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        folders = {str(parent) for path in files for parent in Path(path).parents} - {"."}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(f"./{folder}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, (data, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), compresslevel=1, mtime=0)


def write(folder: Path, packages: Iterable[Package], origin: str, key: "Key") -> None:
    """A flat repository in ``folder``: packages, index, and a release file signed by ``key``."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for package in packages:
        data = archive(package)
        (folder / package.file).write_bytes(data)
        place = {"Filename": package.file, "Size": str(len(data)), "SHA256": hashlib.sha256(data).hexdigest()}
        entries.append(package.control() + "".join(f"{k}: {v}\n" for k, v in place.items()))
    sign(folder, "\n".join(entries).encode(), origin, key)


def sign(folder: Path, index: bytes, origin: str, key: "Key") -> None:
    """The index of a flat repository with a release file that ``key`` has signed."""
    (folder / "Packages").write_bytes(index)
    head = {"Origin": origin, "Label": origin, "Suite": "stand-in", "Architectures": "amd64", "Date": DATE}
    release = "".join(f"{name}: {value}\n" for name, value in head.items())
    release += f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    (folder / "InRelease").write_bytes(key.signed(release.encode()))
    (folder / "key.asc").write_text(key.public())


@dataclass(frozen=True)
class Key:
    """A throw-away signing key in a gpg home of its own."""

    home: Path

    @classmethod
    def new(cls, home: Path) -> "Key":
        """Make one; ``home`` must have a short path, for gpg's socket lies in it."""
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = cls(home)
        user = "Stand-in for tests <tests@example.internal>"
        key._gpg("--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never")
        return key

    def public(self) -> str:
        """The armoured public key."""
        return self._gpg("--armor", "--export").decode()

    def fingerprint(self) -> str:
        """Its fingerprint, as gpg computes it."""
        listing = self._gpg("--with-colons", "--list-keys").decode().splitlines()
        return next(line.split(":")[9] for line in listing if line.startswith("fpr:"))

    def signed(self, text: bytes) -> bytes:
        """``text`` with the signature around it."""
        return self._gpg("--clearsign", "--digest-algo", "SHA512", given=text)

    def end(self) -> None:
        """End the agent that gpg has started."""
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)

    def _gpg(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
        return subprocess.run([*command, *arguments], input=given, capture_output=True, check=True).stdout
