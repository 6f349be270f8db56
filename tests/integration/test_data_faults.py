"""Faults of the data services, one by one, by the real programs: a disk that is full and has room again, a
secret that is wrong or another one, something needed that is late. docs/faults.md is the whole table.

Lateness is scaled down to seconds: nothing in what waits counts time or tries, so that five minutes are the
same loop. What kubelet and Kubernetes add to it is not shown here.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from data_postgres import FILES, POSTGRES, Cluster
from data_store import Weed, client, result, setup
from test_data_chroma import BASE
from test_data_chroma import Site as Chroma
from test_data_valkey import PASSWORDS, Member, Refused

from ai_platform import consumers
from ai_platform import valkey_objects as render
from ai_platform.data_flows import VOLUME
from ai_platform.reading import read
from bedplate import evidence
from bedplate.ports import free_ports
from tests.data_programs import Process, running, wait
from tests.data_samples import settings, stored
from tests.small_disk import disk, mounts

LATE = 5.0  # seconds
OK = 200
MIB = 1_000_000


def proved(name: str, claim: str, value: float, goal: str, unit: str = "") -> None:
    evidence.record(
        "lab",
        f"data.faults.{name}",
        claim,
        value,
        unit=unit,
        goal=goal,
        proved_on="program",
        command="pytest tests/integration/test_data_faults.py",
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where PostgreSQL's own user comes through."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "pg"


@mounts
def test_postgresql_loses_nothing_when_its_disk_is_full(folder: Path) -> None:
    found = Cluster(settings(), folder)
    server = found.processes[0]
    with disk(folder / "s0", 112, POSTGRES) as small, running(server):
        found.up()
        found.set_up()
        found.ask("CREATE TABLE kept (n int, text text)", "dify", "dify")
        acknowledged, said = until_refused(found)
        assert acknowledged and "No space left on device" in server.said(), said
        small.room(400)
        begin = time.monotonic()
        if server.running and server.running.poll() is not None:  # kubelet's part
            server.start()
        found.up()
        there = int(found.ask("SELECT count(DISTINCT n) FROM kept", "dify", "dify"))
        found.ask("INSERT INTO kept VALUES (-1, '')", "dify", "dify")
        back = time.monotonic() - begin
    claim = f"Rows of {acknowledged} lost that PostgreSQL had acknowledged before its disk was full"
    proved("postgresql.full.lost", claim, acknowledged - there, "== 0")
    proved("postgresql.full.back", "Seconds from room on the disk until it writes again", back, "< 60", "s")
    assert there == acknowledged


def until_refused(found: Cluster) -> tuple[int, str]:
    """Rows that were acknowledged, a megabyte each, and what was said of the one that was not."""
    megabyte = "string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 28000)"
    for number in range(400):
        done = found.psql(f"INSERT INTO kept SELECT {number}, {megabyte}", "dify", "dify")
        if done.returncode != 0:
            return number, done.stderr
    raise AssertionError("the disk is not full")


@mounts
def test_valkey_refuses_writes_on_a_full_disk_and_goes_on_by_itself(tmp_path: Path) -> None:
    member = Member(consumers.BROKER, tmp_path, 0, free_ports(1))
    with disk(member.data, 12) as small, running(member.process):
        member.up()
        kept, answer = 0, ""
        for number in range(60):
            answer = str(member.ask("SET", f"k{number}", "x" * MIB))
            if answer != "OK":
                break
            kept += 1
            time.sleep(0.2)  # its file is written, and looked at, once a second
        assert answer.startswith("MISCONF"), answer
        assert member.ask("STRLEN", "k0") == MIB, "what is there is not read"
        small.room(100)
        wait(lambda: member.ask("SET", "after", "x") == "OK", 30, member.process)
        time.sleep(1.5)
        member.process.end(signal.SIGKILL)
        member.process.start()
        member.up()
        there = sum(member.ask("STRLEN", f"k{number}") == MIB for number in range(kept))
        after = member.ask("GET", "after")
    claim = f"Values of {kept} lost that Valkey took before its disk was full, after room and a kill"
    proved("valkey.full.lost", claim, kept - there, "== 0")
    assert (there, after) == (kept, "x")


@mounts
def test_chroma_keeps_what_it_took_when_its_disk_is_full(tmp_path: Path) -> None:
    """Room alone does not help: more often than not it goes on hanging until it is started again."""
    made = Chroma(tmp_path)
    with disk(tmp_path / "data", 24) as small, running(made.process):
        wait(made.ready, 60, made.process)
        where = f"{BASE}/{made.ask(BASE, {'name': 'full'})['id']}"
        taken = chroma_until_refused(made, where)
        assert taken and small.free < 2 * MIB
        with pytest.raises(OSError):  # it needs room to read, too
            made.ask(f"{where}/get", {"limit": 1})
        small.room(200)
        made.process.end(signal.SIGKILL)
        made.process.start()
        wait(made.ready, 60, made.process)
        there = len(made.ask(f"{where}/get", {"include": []})["ids"])
        rows = {"ids": ["after"], "embeddings": [[0.5] * 8], "documents": ["x"]}
        made.ask(f"{where}/add", rows)
    claim = f"Rows of {taken} lost that Chroma had taken before its disk was full"
    proved("chroma.full.lost", claim, taken - there, "<= 0")
    assert there >= taken


def chroma_until_refused(made: Chroma, where: str) -> int:
    """Rows that it took, with half a megabyte of text each."""
    for number in range(200):
        document = os.urandom(256_000).hex()
        rows = {"ids": [str(number)], "embeddings": [[number / 200] * 8], "documents": [document]}
        try:
            made.ask(f"{where}/add", rows)
        except OSError:
            return number
    raise AssertionError("the disk is not full")


@mounts
def test_the_object_store_refuses_writes_on_a_full_disk_and_reads_on(folder: Path) -> None:
    """One of everything; names lie in a file, so that nothing but the volume server's disk is full."""
    folder.mkdir()
    one = read(stored(object_store={"tier": "warm", "volume": "20GiB"}, mlflow=None))
    weed = Weed(one, folder, '[leveldb2]\nenabled = true\ndir = "./filer"\n', "")
    with disk(folder / f"{VOLUME}-0", 160) as small, running(*weed.all):
        result(setup(weed.endpoint()))
        store = client(weed.endpoint(), "dify")
        taken, status = store_until_refused(store)
        read_while = sum(store.ask("GET", f"/dify/{n}")[1] == content(n) for n in range(taken))
        small.room(600)
        begin = time.monotonic()
        wait(lambda: store.ask("PUT", "/dify/after", body=b"x")[0] == OK, 180, weed.processes[VOLUME, 0])
        back = time.monotonic() - begin
        there = sum(store.ask("GET", f"/dify/{n}")[1] == content(n) for n in range(taken))
    claim = f"Objects of {taken} read while no volume server has room"
    proved("s3.full.read", claim, read_while, f"== {taken}")
    proved("s3.full.back", "Seconds from room on the disk until the store writes", back, "< 120", "s")
    assert status >= 500
    assert (read_while, there) == (taken, taken)


def content(number: int) -> bytes:
    """Four megabytes that are only this object's."""
    return random.Random(number).randbytes(4 * MIB)


def store_until_refused(store: Any) -> tuple[int, int]:
    """Objects that it took, and the status of the one that it did not."""
    for number in range(100):
        status = store.ask("PUT", f"/dify/{number}", body=content(number))[0]
        if status != OK:
            return number, status
    raise AssertionError("the disk is not full")


def test_a_rotated_password_of_valkey_is_the_only_one(tmp_path: Path) -> None:
    """As `pulumi up` does it: another file of users, and the pod again."""
    member = Member(consumers.BROKER, tmp_path, 0, free_ports(1))
    with running(member.process):
        member.up()
        member.ask("SET", "k", "v")
        time.sleep(1.5)
        (tmp_path / "users.acl").write_text(
            render.acl(consumers.BROKER, PASSWORDS | {"dify": "another-password"})
        )
        member.process.end()
        member.process.start()
        wait(lambda: member.ask("PING", password="another-password") == "PONG", 60, member.process)
        old = member.ask("GET", "k")
        assert member.ask("GET", "k", password="another-password") == "v"
    assert isinstance(old, Refused) and str(old).startswith("WRONGPASS")


def test_a_copy_of_valkey_waits_for_a_primary_that_is_late(tmp_path: Path) -> None:
    ports = free_ports(2)
    first, second = (Member(consumers.BROKER, tmp_path, n, ports) for n in range(2))
    with running(second.process):
        second.up()
        time.sleep(LATE)
        with running(first.process):
            first.up()
            begin = time.monotonic()
            first.ask("LPUSH", "dataset", "a")
            wait(lambda: second.ask("LLEN", "dataset") == 1, 60, second.process)
            seconds = time.monotonic() - begin
    claim = "Seconds until a copy of Valkey follows a primary that was late"
    proved("valkey.late", claim, seconds, "< 30", "s")


def test_what_needs_postgresql_starts_within_seconds_of_it(folder: Path) -> None:
    """The container before the object store's filer and MLflow, which end or sleep ever longer without it."""
    found = Cluster(settings(), folder)
    address = f"127.0.0.1:{found.ports[0]}"
    waiting = Process([sys.executable, FILES / "wait.py", address], folder / "waits")
    with running(waiting):
        time.sleep(LATE)
        assert waiting.running and waiting.running.poll() is None, waiting.said()
        with running(found.processes[0]):
            found.up()
            begin = time.monotonic()
            assert waiting.result(30) == 0
            seconds = time.monotonic() - begin
    claim = "Seconds from PostgreSQL's first answer until who waited for it starts"
    proved("postgresql.late", claim, seconds, "< 10", "s")
    assert f"{address} answers after" in waiting.said()
