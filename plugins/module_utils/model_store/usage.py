"""Who has a model open: open files, mapped files, working folders and mounts of every process, by inode."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

PROC = Path("/proc")
Key = tuple[int, int]  # device, inode


def inodes(folder: Path) -> frozenset[Key]:
    """Every folder and file of a model."""
    found = {_key(folder.lstat())}
    for root, folders, names in os.walk(folder):
        found.update(_key((Path(root) / name).lstat()) for name in (*folders, *names))
    return frozenset(found)


def users(models: Mapping[str, frozenset[Key]], proc: Path = PROC) -> dict[str, list[str]]:
    """Model to the processes (``vllm (4711)``) that have one of its inodes open; models nobody uses are
    absent."""
    owners = {key: path for path, keys in models.items() for key in keys}
    devices = {device for device, _ in owners}
    worlds: set[str] = set()
    found: dict[str, list[str]] = {}
    for process in proc.iterdir() if owners else ():
        if not process.name.isdigit() or process.name == str(os.getpid()):
            continue
        keys = {*_open(process), *_mapped(process), *_mounted(process, devices, worlds)}
        for path in sorted({owners[key] for key in keys if key in owners}):
            found.setdefault(path, []).append(f"{_name(process)} ({process.name})")
    return found


def _open(process: Path) -> Iterator[Key]:
    """Inodes that a process has open; one that ends meanwhile has none."""
    try:
        handles = list((process / "fd").iterdir())
    except OSError:
        handles = []
    for handle in (*handles, process / "cwd", process / "root"):
        try:
            yield _key(handle.stat())
        except OSError:
            continue


def _mapped(process: Path) -> Iterator[Key]:
    """Files that a process has in its memory, as a model server has its weights."""
    for line in _lines(process / "maps"):
        _, _, _, device, inode, *_ = line.split(maxsplit=5)
        if inode != "0":
            major, minor = device.split(":")
            yield os.makedev(int(major, 16), int(minor, 16)), int(inode)


def _mounted(process: Path, devices: set[int], worlds: set[str]) -> Iterator[Key]:
    """Folders of the models' filesystems that are mounted in a process's own world, such as a volume in a
    pod. Each
    world is looked at once, and other filesystems are left alone: a network share that hangs would hang
    us."""
    try:
        world = str((process / "ns" / "mnt").readlink())
    except OSError:
        return
    if world in worlds:
        return
    worlds.add(world)
    for line in _lines(process / "mountinfo"):
        _, _, device, _, point, *_ = line.split(" ")
        major, minor = device.split(":")
        if os.makedev(int(major), int(minor)) not in devices:
            continue
        try:
            yield _key((process / "root" / _unescaped(point).lstrip("/")).lstat())
        except OSError:
            continue


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []


def _unescaped(point: str) -> str:
    """A mount point as it is; the kernel writes blanks in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip() or "a process"
    except OSError:
        return "a process"


def _key(status: os.stat_result) -> Key:
    return status.st_dev, status.st_ino
