"""What is shown of a real Milvus: small by `test_milvus.py`, in full by `scripts/bench_milvus.py`."""

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.capacity.vectors import Collection, indexes
from tests.data_programs import home
from tests.integration.milvus_server import SECRETS, Milvus, python

CLIENT = Path(__file__).with_name("vectors_client.py")
PATIENCE = 120.0  # after a start it is healthy before it knows everything again
BATCH = 5_000
PACKAGES = {"PYTHONPATH": str(paths.ROOT)}


def ask(
    milvus: Milvus, user: str, what: str, collection: str, *more: object, password: str = ""
) -> dict[str, Any]:
    """The client's answer; `refused` is one, too."""
    done = python(_words(milvus, user, what, collection, *more, password=password), PACKAGES, 900)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def patiently(milvus: Milvus, user: str, what: str, collection: str, *more: object) -> dict[str, Any]:
    """The same of a Milvus that has just been started."""
    deadline = time.monotonic() + PATIENCE
    while "refused" in (answer := ask(milvus, user, what, collection, *more)):
        assert time.monotonic() < deadline, answer
        time.sleep(2)
    return answer


def _words(
    milvus: Milvus, user: str, what: str, collection: str, *more: object, password: str = ""
) -> list[object]:
    return [CLIENT, what, milvus.address, user, password or SECRETS[user], "knowledge", collection, *more]


@dataclass(frozen=True)
class Held:
    """A collection of ``rows`` after a restart: bytes that loading it took and that are advised; the rest is
    the client's."""

    kind: str
    rows: int
    inserted: float
    measured: int
    advised: int
    missing: int
    recall: float
    milvus: dict[str, float]
    brute_force: dict[str, float]


def hold(milvus: Milvus, shapes: dict[str, int], dimensions: int) -> list[Held]:
    """Fill collections (name, which is index and number, to rows), restart, load one after another."""
    inserted = {}
    for name, rows in shapes.items():
        one = f"{name}:{dimensions}:{name.rpartition('_')[0]}"
        assert ask(milvus, "knowledge", "create", one, rows) == {}
        began = time.monotonic()
        assert ask(milvus, "knowledge", "insert", one, 0, rows, min(rows, BATCH)) == {}
        inserted[name] = round(time.monotonic() - began, 1)
        assert ask(milvus, "knowledge", "settle", one) == {"pending": 0}
    milvus.server.end()
    milvus.start()
    return [_held(milvus, name, rows, dimensions, inserted[name]) for name, rows in shapes.items()]


def _held(milvus: Milvus, name: str, rows: int, dimensions: int, inserted: float) -> Held:
    one, kind = f"{name}:{dimensions}", name.rpartition("_")[0]
    before = resident(milvus)
    assert patiently(milvus, "knowledge", "load", one) == {}
    measured = resident(milvus) - before
    [advised] = [index.memory for index in indexes(Collection(name, rows, dimensions)) if index.kind == kind]
    found = ask(milvus, "reader", "there", one, 0, rows) | ask(milvus, "reader", "recall", one, rows)
    return Held(kind, rows, inserted, measured, advised, **found)


def resident(milvus: Milvus) -> int:
    """Bytes of memory that the server holds."""
    assert milvus.server.running
    status = Path(f"/proc/{milvus.server.running.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def cut(milvus: Milvus, collection: str, first: int, batch: int, seconds: float = 8) -> dict[str, Any]:
    """Milvus is killed in mid insert; the rows that it had acknowledged are looked for."""
    words = _words(milvus, "knowledge", "insert", collection, first, 10**6, batch)
    program = subprocess.Popen(
        [str(word) for word in (home("milvus") / "bin/python", *words)],
        env=PACKAGES,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout
    said: list[str] = []
    reader = threading.Thread(target=said.extend, args=(program.stdout,))
    reader.start()
    time.sleep(seconds)
    milvus.kill()
    time.sleep(1)
    program.kill()
    program.wait()
    reader.join()
    milvus.start()
    last = max((int(line) for line in said if line.strip().isdigit()), default=first)
    return {"acknowledged": last - first} | patiently(
        milvus, "reader", "there", collection, first, last - first
    )
