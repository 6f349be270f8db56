"""etcd: a snapshot by etcdctl, or the newest one of a folder; what is restored of it must have the same hash
over all its keys."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .kind import Compared, Kind, Place, against_manifest, read_manifest, run, write_manifest
from .plan import Item
from .problem import BackupError

SNAPSHOT = "snapshot.db"
_START_SECONDS = 60
_TRIES = 3
_BLOCK = 1 << 20
_FRESH = 26 * 3600  # seconds; one is made every night


class Etcd(Kind):
    """A member of a cluster, over TLS where its certificates are named; or ``folder``, in which others put
    snapshots (role kubernetes_control_plane)."""

    def collect(self, item: Item, stage: Path) -> None:
        """The snapshot, and what is known of its content."""
        stage.mkdir(parents=True, exist_ok=True, mode=0o700)
        if "folder" in item.words:
            _newest(Path(item.words["folder"]), stage)
        else:
            self._ask(item, stage)

    def _ask(self, item: Item, stage: Path) -> None:
        """What the member says about the same revision. A compaction between the two would make them differ,
        so then it is done again."""
        ctl = _client(item)
        for _ in range(_TRIES):
            for old in stage.iterdir():
                old.unlink()
            run([*ctl, "snapshot", "save", str(stage / SNAPSHOT)])
            status = _status(stage / SNAPSHOT)
            said = _content(ctl, int(status["revision"]))
            if _content(ctl, int(status["revision"])) == said:
                write_manifest(stage, status=status, content=said)
                return
        raise BackupError("etcd is compacted all the time", "take the snapshot in a quieter hour")

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Start a member on the restored snapshot, and ask it what the original was asked."""
        whole = against_manifest(restored)
        if whole.differences:
            return whole
        manifest = read_manifest(restored)
        if "content" not in manifest:
            return _usable(restored / SNAPSHOT, manifest["status"], place, whole.bytes)
        with _scratch_member(restored / SNAPSHOT, place.scratch) as ctl:
            found = _content(ctl, int(manifest["status"]["revision"]))
        wanted = manifest["content"]
        wrong = [
            f"{key} is {found[key]} instead of {wanted[key]}" for key in wanted if found[key] != wanted[key]
        ]
        return Compared(int(wanted["keys"]), whole.bytes, tuple(wrong))


def _newest(folder: Path, stage: Path) -> None:
    """Copy the newest snapshot of a folder. Raises BackupError when there is none of today."""
    found = sorted(folder.glob("*.db"), key=lambda path: path.stat().st_mtime)
    if not found or time.time() - found[-1].stat().st_mtime > _FRESH:
        last = f"{found[-1].name} is the newest" if found else "there is none"
        raise BackupError(
            f"{folder} has no snapshot of the last {_FRESH // 3600} hours: {last}", "see who makes them"
        )
    for old in stage.iterdir():
        old.unlink()
    shutil.copyfile(found[-1], stage / SNAPSHOT)
    if not _sealed(stage / SNAPSHOT):
        raise BackupError(f"{found[-1]} is damaged, or was not taken by etcdctl", "take another one")
    write_manifest(stage, status=_status(stage / SNAPSHOT), name=found[-1].name)


def _sealed(snapshot: Path) -> bool:
    """Whether the last bytes are the SHA-256 of those before them, as the server sends it; `etcdutl snapshot
    status` does not look."""
    left, found = snapshot.stat().st_size - hashlib.sha256().digest_size, hashlib.sha256()
    with snapshot.open("rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            found.update(block)
            left -= len(block)
        return file.read() == found.digest()


def _status(snapshot: Path) -> dict[str, Any]:
    """Revision, keys and hash of a snapshot. Raises BackupError."""
    found: dict[str, Any] = json.loads(run(["etcdutl", "snapshot", "status", str(snapshot), "-w", "json"]))
    return found


def _usable(snapshot: Path, wanted: dict[str, Any], place: Place, size: int) -> Compared:
    """A member's data is made of it, and has the same hash over all keys. No member is started: hosts of a
    control plane have etcd in its pod only."""
    if (again := _status(snapshot)) != wanted:
        return Compared(0, size, (f"the snapshot says {again} instead of {wanted}",))
    copy, data = place.scratch / "copy.db", place.scratch / "etcd"
    shutil.copyfile(snapshot, copy)  # the program may write to what it reads
    run(["etcdutl", "snapshot", "restore", str(snapshot), f"--data-dir={data}"])
    one, two = (_hash(file) for file in (copy, data / "member/snap/db"))
    wrong = [] if one == two else [f"its data is {two} instead of {one}"]
    wrong += [] if wanted["totalKey"] else ["no key is in it"]
    return Compared(int(wanted["totalKey"]), size, tuple(wrong))


def _hash(file: Path) -> dict[str, Any]:
    """Over every key and every revision of a data file."""
    found: dict[str, Any] = json.loads(run(["etcdutl", "hashkv", str(file), "-w", "json"]))
    return found


def _client(item: Item) -> list[str]:
    flags = {"ca": "--cacert", "certificate": "--cert", "key": "--key"}
    certificates = [f"{flag}={item.words[word]}" for word, flag in flags.items() if word in item.words]
    return ["etcdctl", f"--endpoints={item.words['endpoint']}", "--dial-timeout=10s", *certificates]


def _content(ctl: list[str], revision: int) -> dict[str, Any]:
    """Number of keys, and the hash over everything, up to a revision."""
    at = f"--rev={revision}"
    hashed = json.loads(run([*ctl, "endpoint", "hashkv", at, "-w", "json"]))[0]["HashKV"]
    said = run([*ctl, "get", "", "--from-key", "--count-only", at, "-w", "fields"])
    count = re.search(r'^"Count" : (\d+)$', said, re.MULTILINE)
    return {
        "keys": int(count[1]) if count else 0,
        "hash": hashed["hash"],
        "compact_revision": hashed.get("compact_revision", 0),
    }


@contextmanager
def _scratch_member(snapshot: Path, scratch: Path) -> Iterator[list[str]]:
    """A cluster of one on the loopback, gone at the end."""
    data, peer, client = scratch / "etcd", _port(), _port()
    urls = [f"http://127.0.0.1:{peer}", f"http://127.0.0.1:{client}"]
    cluster = [
        "--name=drill",
        f"--initial-cluster=drill={urls[0]}",
        f"--initial-advertise-peer-urls={urls[0]}",
    ]
    run(["etcdutl", "snapshot", "restore", str(snapshot), f"--data-dir={data}", *cluster])
    command = [
        "etcd",
        f"--data-dir={data}",
        f"--listen-peer-urls={urls[0]}",
        f"--listen-client-urls={urls[1]}",
    ]
    command += [f"--advertise-client-urls={urls[1]}", "--log-level=fatal", *cluster]
    with (scratch / "etcd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=scratch)
    try:
        ctl = ["etcdctl", f"--endpoints={urls[1]}", "--dial-timeout=5s"]
        _wait(process, ctl, scratch / "etcd.log")
        yield ctl
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], ctl: list[str], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(BackupError):
            run([*ctl, "endpoint", "health"])
            return
        time.sleep(0.3)
    raise BackupError(f"the restored etcd does not start: {log.read_text(errors='replace')[-400:]}")


def _port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
