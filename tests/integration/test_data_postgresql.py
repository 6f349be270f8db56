"""PostgreSQL with our settings, our job and our start, by the real program: who is let in, and what a crash,
a lost volume, a wrong or a rotated password, another primary and a dependency that is late do. It is Debian's
15; the platform's is 17."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from data_postgres import FILES, PASSWORDS, POSTGRES, Cluster, cluster

from ai_platform import consumers
from ai_platform import postgresql_objects as render
from bedplate import evidence
from bedplate.service_certificate import bundle
from tests.data_programs import Process, wait
from tests.data_samples import settings

FORBIDDEN = ("CREATE ROLE x", "CREATE DATABASE x", "COPY mine TO '/tmp/x'", "SELECT pg_read_file('x')")
REFUSAL = re.compile("permission denied|must be (owner|superuser)")
COMMAND = "pytest tests/integration/test_data_postgresql.py"


@contextmanager
def place() -> Iterator[Path]:
    """Where PostgreSQL's own user comes through, as it does not below pytest's."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "pg"


@pytest.fixture
def folder() -> Iterator[Path]:
    with place() as found:
        yield found


@pytest.fixture(scope="module")
def one() -> Iterator[Cluster]:
    """One server for those who only ask."""
    with place() as found, cluster(settings(), found) as made:
        yield made


@pytest.fixture
def pair(folder: Path) -> Iterator[Cluster]:
    with cluster(settings(), folder, first=2) as found:
        yield found


def proved(id: str, claim: str, value: float, goal: str = "", unit: str = "") -> None:
    evidence.record(
        "lab", f"data.{id}", claim, value, goal=goal, unit=unit, proved_on="program", command=COMMAND
    )


def test_settings_and_rights_are_as_they_should_be(one: Cluster) -> None:
    shown = dict(
        line.split("|")
        for line in one.ask(
            "SELECT name, setting FROM pg_settings WHERE name IN ('ssl', 'password_encryption',"
            " 'data_checksums', 'wal_level')"
        ).splitlines()
    )
    assert shown == {
        "ssl": "on",
        "password_encryption": "scram-sha-256",
        "data_checksums": "on",
        "wal_level": "replica",
    }
    before = one.ask("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1")
    one.set_up()
    assert one.ask("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1") == before
    assert "SCRAM-SHA-256$4096:" in before
    owners = dict(
        line.split("|")
        for line in one.ask("SELECT datname, pg_get_userbyid(datdba) FROM pg_database").splitlines()
    )
    assert owners.items() >= consumers.databases().items()
    assert one.ask("SELECT rolname FROM pg_roles WHERE rolsuper") == render.ADMIN
    log = one.processes[0].said()
    assert not [password for password in PASSWORDS.values() if password in log]


def test_each_role_enters_its_own_and_nothing_else(one: Cluster) -> None:
    owned = consumers.databases()
    refused = entered = 0
    for role in render.roles():
        for database in (*owned, "postgres"):
            may = owned.get(database) == role or role in (render.BACKUP, render.MONITORING)
            may |= (role, database) == (render.REPLICATION, "postgres")
            done = one.psql("SELECT 1", role, database)
            assert (done.returncode == 0) is may, (role, database, done.stderr)
            refused, entered = refused + (not may), entered + may
    for role, database in (("dify", "dify"), ("mlflow", "mlflow"), ("filer", "filer")):
        one.ask("CREATE TABLE mine (x int); INSERT INTO mine VALUES (7)", role, database)
        assert one.ask("SELECT x FROM mine", render.BACKUP, database) == "7"
        for text in ("INSERT INTO mine VALUES (8)", "DROP TABLE mine", "CREATE TABLE theirs (x int)"):
            assert REFUSAL.search(one.psql(text, render.BACKUP, database).stderr), text
        assert "denied" in one.psql("SELECT * FROM mine", render.MONITORING, database).stderr
        for text in (
            "CREATE ROLE x",
            "CREATE DATABASE x",
            "COPY mine TO '/tmp/x'",
            "SELECT pg_read_file('x')",
        ):
            assert REFUSAL.search(one.psql(text, role, database).stderr), text
    proved(
        "postgresql_refused",
        "Roles of PostgreSQL kept out of databases that are not theirs",
        refused,
        ">= 20",
    )


@pytest.mark.parametrize(
    "how", ["no TLS", "wrong password", "no password", "another certificate", "as nobody"]
)
def test_who_is_not_let_in(one: Cluster, how: str) -> None:
    said = {
        "no TLS": lambda: one.psql("SELECT 1", "dify", "dify", tls="disable"),
        "wrong password": lambda: one.psql("SELECT 1", "dify", "dify", password="difyai123456"),
        "no password": lambda: one.psql("SELECT 1", "dify", "dify", password=" "),
        "another certificate": lambda: stranger(one),
        "as nobody": lambda: one.psql("SELECT 1", "nobody", "dify", password="x"),
    }[how]()
    assert said.returncode != 0
    wanted = {"no TLS": "rejects connection", "another certificate": "certificate verify failed"}
    assert wanted.get(how, "password authentication failed") in said.stderr


def stranger(found: Cluster) -> subprocess.CompletedProcess[str]:
    """A client that trusts another certificate of the same name."""
    pem, right = bundle(["localhost"]), found.certificate.read_text()
    found.certificate.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    try:
        return found.psql("SELECT 1", "dify", "dify")
    finally:
        found.certificate.write_text(right)


def test_a_rotated_password_is_the_only_one(one: Cluster) -> None:
    one.set_up(PASSWORDS | {"dify": "another"})
    assert one.psql("SELECT 1", "dify", "dify", password="another").returncode == 0
    assert "password authentication failed" in one.psql("SELECT 1", "dify", "dify").stderr
    one.set_up()


def test_what_was_acknowledged_outlives_kill(folder: Path) -> None:
    with cluster(settings(), folder) as found:
        found.ask("CREATE TABLE kept (n int)", "dify", "dify")
        lost = 0
        for _ in range(3):
            done = write_until_killed(found)
            begin = time.monotonic()
            found.processes[0].start()
            found.up()
            back = time.monotonic() - begin
            there = int(found.ask("SELECT count(*) FROM kept", "dify", "dify"))
            lost += max(0, done - there)
    proved(
        "postgresql_killed_lost",
        "Rows lost that PostgreSQL had acknowledged when it was killed",
        lost,
        "== 0",
    )
    proved(
        "postgresql_killed_back",
        "Seconds from a killed PostgreSQL to the first answer",
        round(back, 1),
        unit="s",
    )
    assert lost == 0


def write_until_killed(found: Cluster) -> int:
    """Rows that were acknowledged in all, before the server is killed in the middle."""
    before = int(found.ask("SELECT count(*) FROM kept", "dify", "dify"))
    text = "\n".join(f"INSERT INTO kept VALUES ({n}); \\echo {n}" for n in range(20000))
    env = {"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORDS["dify"], "PGSSLMODE": "require"}
    command = [found.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "localhost"]
    command += ["-p", str(found.ports[0]), "-U", "dify", "-d", "dify"]
    command += ["-f", found.folder / "rows.sql"]
    (found.folder / "rows.sql").write_text(text)
    writer = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert writer.stdout
    acknowledged = 0
    for line in writer.stdout:
        acknowledged = int(line) + 1
        if acknowledged == 200:
            found.processes[0].end(signal.SIGKILL)
    writer.wait()
    assert 200 <= acknowledged < 20000
    return before + acknowledged


def test_a_standby_follows_and_takes_over_when_the_primary_is_lost(pair: Cluster) -> None:
    pair.ask("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)", "dify", "dify")
    follows(pair, 1, "1000")
    assert "read-only" in pair.psql("INSERT INTO t VALUES (1)", "dify", "dify", ordinal=1).stderr
    pair.processes[0].end(signal.SIGKILL)
    pair.processes[1].end()
    pair.make_primary(1)
    begin = time.monotonic()
    pair.processes[1].start()
    wait(lambda: pair.ask("INSERT INTO t VALUES (1); SELECT count(*) FROM t", "dify", "dify") == "1001")
    seconds = time.monotonic() - begin
    proved(
        "postgresql_takeover",
        "Seconds until a standby takes writes, once it is told to",
        round(seconds, 1),
        "< 30",
        "s",
    )
    # The machine of the old one comes back: it follows the new one, and has what the new one has.
    pair.processes[0].start()
    pair.up(0)
    assert pair.ask("SELECT pg_is_in_recovery()", ordinal=0) == "t", "there are two primaries"
    follows(pair, 0, "1001")


def test_no_server_shows_a_password_to_those_who_see_processes(pair: Cluster) -> None:
    for process in pair.processes:
        shown = process.shows()
        assert "postgres" in shown
        assert not [role for role, password in PASSWORDS.items() if password in shown]
    assert "passfile" in pair.processes[1].shows()


def test_a_planned_change_of_the_primary_loses_nothing(pair: Cluster) -> None:
    """As `pulumi up` restarts them: the new primary first, while the old one is still written to."""
    pair.ask("CREATE TABLE t (n int)", "dify", "dify")
    follows(pair, 1, "0")
    pair.make_primary(1)
    pair.processes[1].end()
    more = pair.psql("INSERT INTO t SELECT generate_series(1, 500)", "dify", "dify", ordinal=0)
    assert more.returncode == 0
    pair.processes[1].start()
    wait(lambda: pair.ask("SELECT pg_is_in_recovery()", ordinal=1) == "f", 180, pair.processes[1])
    late = pair.psql("INSERT INTO t VALUES (1)", "dify", "dify", ordinal=0)
    assert "read-only" in late.stderr, "the old primary still takes writes, which nobody will see"
    pair.processes[0].end()
    pair.processes[0].start()
    pair.up(0)
    follows(pair, 0, "500")
    assert pair.ask("SELECT count(*) FROM t", "dify", "dify") == "500"
    pair.ask("INSERT INTO t VALUES (1)", "dify", "dify")


def follows(found: Cluster, ordinal: int, rows: str) -> None:
    wait(
        lambda: found.psql("SELECT count(*) FROM t", "dify", "dify", ordinal=ordinal).stdout.strip() == rows,
        60,
    )


def test_a_primary_that_lost_its_volume_does_not_begin_anew_beside_a_standby(pair: Cluster) -> None:
    pair.processes[0].end()
    pair.data(0).rename(pair.data(0).with_name("lost"))
    pair.processes[0].start()
    wait(lambda: "refusing to begin anew" in pair.processes[0].said())
    assert pair.processes[0].result(60) == 1
    assert not pair.data(0).exists()
    assert "make pod 1 the primary" in pair.processes[0].said()


def test_a_standby_waits_for_a_primary_that_is_late(folder: Path) -> None:
    found = Cluster(settings(), folder)
    try:
        found.processes[1].start()
        wait(lambda: "waiting for the primary" in found.processes[1].said())
        found.processes[0].start()
        found.up(0)
        found.set_up()
        found.up(1)
    finally:
        for process in found.processes:
            process.end()


def test_recovery_to_a_point_in_time(folder: Path) -> None:
    """The log is received as it is written; a whole copy and the log give back what was there at 12:00:01."""
    with cluster(settings(), folder) as found:
        copies, log = archive(found, "copies", ONCE="1"), archive(found, "log")
        log.start()
        try:
            wait(lambda: found.ask("SELECT active FROM pg_replication_slots") == "t", about=log)
            assert copies.start().result(180) == 0, copies.said()
            found.ask("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100)", "dify", "dify")
            then = found.ask("SELECT now()")
            time.sleep(1)
            found.ask("DELETE FROM t", "dify", "dify")
            end = found.ask("SELECT pg_current_wal_flush_lsn()")
            behind = f"SELECT flush_lsn >= '{end}' FROM pg_stat_replication"
            wait(lambda: found.ask(behind) == "t", 180, log)
        finally:
            log.end()
        found.processes[0].end(signal.SIGKILL)
        restored = restore(found, folder / "archive", then)
        try:
            found.up()
            rows = int(found.ask("SELECT count(*) FROM t", "dify", "dify"))
        finally:
            restored.end()
    claim = "Rows of 100 that recovery to a second before their deletion gives back"
    proved("postgresql_point_in_time", claim, rows, "== 100")
    assert rows == 100


def archive(found: Cluster, what: str, **more: str) -> Process:
    place = found.folder / "archive"
    place.mkdir(exist_ok=True)
    user = POSTGRES if os.geteuid() == 0 else None
    if user:
        shutil.chown(place, user)
    env = {"PATH": f"{found.bin}:{os.environ['PATH']}", "WHAT": what, "ARCHIVE": str(place), "DAYS": "7"}
    env |= {"PGHOST": "localhost", "PGPORT": str(found.ports[0]), "PGUSER": "replication"} | more
    env |= {"PGSSLMODE": "verify-full", "PGPASSWORD": PASSWORDS["replication"]}
    env |= {"PGSSLROOTCERT": str(found.certificate), "HOME": str(place)}
    log = found.folder / f"archive-{what}.log"
    return Process(["bash", FILES / "postgresql_archive.sh"], log, env, user, place)


def restore(found: Cluster, place: Path, then: str) -> Process:
    """As docs/data-services.md says: a copy on the volume, the moment, the log."""
    (copy,) = (place / "copies").iterdir()
    found.data(0).rename(found.data(0).with_name("before"))
    copy.rename(found.data(0))
    (found.data(0) / "recovery.signal").touch()
    process = found.processes[0]
    fetch = f"f={place}/log/%f; cp $f %p 2>/dev/null || cp $f.partial %p"
    wanted = {"restore_command": fetch, "recovery_target_time": then, "recovery_target_action": "promote"}
    process.command = [*process.command, *(w for n, v in wanted.items() for w in ("-c", f"{n}={v}"))]
    return process.start()
