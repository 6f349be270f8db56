"""Which archives of images containerd must import: a pure planner, and what archives and ``ctr`` say.

An archive is an OCI layout in a tar file, as ``skopeo copy … oci-archive:FILE:NAME``, ``ctr images export``
and ``docker save`` (25 and later) write it: its index names every image and its digest, so nothing is read
twice. Standard library only, Python 3.9.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")  # the first that is a whole name
PINNED = "io.cri-containerd.pinned=pinned"  # kubelet never removes it, for nobody could pull it again


class BadArchive(ValueError):
    """The file is no OCI archive, or does not say what it holds."""


@dataclass(frozen=True)
class Archive:
    """One file: ``images`` maps name to digest."""

    path: str
    images: Mapping[str, str]


@dataclass(frozen=True)
class Present:
    """One image that containerd has."""

    digest: str
    pinned: bool


@dataclass(frozen=True)
class Import:
    """Read an archive into containerd."""

    path: str
    names: tuple[str, ...]

    @property
    def line(self) -> str:
        """One line for people."""
        return f"import {', '.join(self.names)} from {self.path}"


@dataclass(frozen=True)
class Pin:
    """Keep an image whatever the disk's state."""

    name: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"pin {self.name}"


Action = Union[Import, Pin]  # noqa: UP007  evaluated by Python 3.9


def read(path: Path) -> Archive:
    """What an archive holds. Raises BadArchive."""
    try:
        with tarfile.open(path, mode="r:") as tar:
            member = tar.extractfile("index.json")
            index = json.loads(member.read()) if member else {}
    except (OSError, tarfile.TarError, KeyError, ValueError) as problem:
        raise BadArchive(
            f"{path} is no OCI archive ({problem}); make one: skopeo copy docker://NAME oci-archive:FILE:NAME"
        ) from problem
    images = {_name(path, entry): str(entry["digest"]) for entry in index.get("manifests", [])}
    if not images:
        raise BadArchive(f"{path} holds no image")
    return Archive(str(path), images)


def _name(path: Path, entry: Mapping[str, Any]) -> str:
    said = entry.get("annotations", {})
    names = [str(said[key]) for key in NAMES if "/" in str(said.get(key, ""))]
    if not names:
        raise BadArchive(f"{path} holds an image without a whole name such as registry.k8s.io/pause:3.10")
    return names[0]


def listed(output: str) -> dict[str, Present]:
    """What ``ctr images ls`` printed: name, type, digest, size, platforms, labels."""
    rows = [line.split() for line in output.splitlines()[1:] if line.strip()]
    return {row[0]: Present(row[2], PINNED in row[-1].split(",")) for row in rows}


def plan(archives: Sequence[Archive], present: Mapping[str, Present]) -> tuple[list[Action], list[str]]:
    """Actions in their order, and refusals; with one refusal nothing is done."""
    refusals = list(_clashes(archives))
    if refusals:
        return [], refusals
    actions: list[Action] = []
    for archive in archives:
        missing = [
            name
            for name, digest in archive.images.items()
            if name not in present or present[name].digest != digest
        ]
        if missing:
            actions.append(Import(archive.path, tuple(missing)))
        fresh = [name for name in archive.images if name in missing or not present[name].pinned]
        actions += [Pin(name) for name in fresh]
    return actions, []


def _clashes(archives: Iterable[Archive]) -> Iterable[str]:
    seen: dict[str, tuple[str, str]] = {}
    for archive in archives:
        for name, digest in archive.images.items():
            path, other = seen.setdefault(name, (archive.path, digest))
            if other != digest:
                yield f"{path} and {archive.path} hold different images called {name}; remove one of them"
