"""etcd: a snapshot by etcdctl; a restored one has to answer with the same hash of all its keys."""

from __future__ import annotations

import json
import re
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


class Etcd(Kind):
    """A member of a cluster, over TLS where its certificates are named."""

    def collect(self, item: Item, stage: Path) -> None:
        """The snapshot, and what the member says about the same revision. A compaction between the two would
        make them differ, so then it is done again."""
        stage.mkdir(parents=True, exist_ok=True, mode=0o700)
        ctl = _client(item)
        for _ in range(_TRIES):
            for old in stage.iterdir():
                old.unlink()
            run([*ctl, "snapshot", "save", str(stage / SNAPSHOT)])
            status = json.loads(run(["etcdutl", "snapshot", "status", str(stage / SNAPSHOT), "-w", "json"]))
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
        with _scratch_member(restored / SNAPSHOT, place.scratch) as ctl:
            found = _content(ctl, int(manifest["status"]["revision"]))
        wanted = manifest["content"]
        wrong = [
            f"{key} is {found[key]} instead of {wanted[key]}" for key in wanted if found[key] != wanted[key]
        ]
        return Compared(int(wanted["keys"]), whole.bytes, tuple(wrong))


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
