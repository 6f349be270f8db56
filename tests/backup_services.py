"""What is backed up in the proofs: a real PostgreSQL, etcd, object store and Pulumi stack, with content."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backup.bucket import Store
from backup.kind import run
from backup.plan import Item
from backup.postgresql import Server, scratch_server

from bedplate import backup as _backup  # noqa: F401  makes the packages below importable
from bedplate.ports import free_port
from bedplate.rehearse import pulumi_home
from bedplate.tools import locate, spec

POSTGRES = "postgres"  # PostgreSQL refuses to run as root
SQL = """
CREATE ROLE dify LOGIN PASSWORD 'only here';
CREATE DATABASE dify OWNER dify;
CREATE DATABASE "odd name's" OWNER dify;
"""
TABLES = """
CREATE TABLE messages (id bigint PRIMARY KEY, said text NOT NULL, at timestamptz, more jsonb, vector real[]);
INSERT INTO messages SELECT n, repeat(md5(n::text), 10), timestamptz '2026-11-01' + n * interval '1 minute',
  jsonb_build_object('n', n), ARRAY[n, n / 7.0, 'NaN'] FROM generate_series(1, {rows}) n;
CREATE INDEX ON messages (at);
CREATE VIEW late AS SELECT * FROM messages WHERE at > '2026-11-02';
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * x';
"""


@contextmanager
def postgres_empty(folder: Path) -> Iterator[Server]:
    """A server with nothing in it."""
    folder.mkdir(exist_ok=True)
    with scratch_server(folder, POSTGRES if os.geteuid() == 0 else "") as server:
        yield server


@contextmanager
def postgres(folder: Path, rows: int = 5000) -> Iterator[Server]:
    """A server with roles, databases, data, an index, a view and a function."""
    with postgres_empty(folder) as server:
        sql(server, SQL)
        sql(server, TABLES.format(rows=rows), "dify")
        sql(server, "CREATE TABLE t AS SELECT 1 AS x", "odd name's")
        yield server


def sql(server: Server, text: str, database: str = "postgres") -> str:
    """Run SQL, all of it or nothing but an error."""
    command = [server.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
    done = subprocess.run(
        command, env={**os.environ, **server.env}, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def postgres_item(server: Server) -> dict[str, object]:
    return {"name": "postgresql", "kind": "postgresql", "host": server.env["PGHOST"], "user": "postgres"} | (
        {"run_as": POSTGRES} if os.geteuid() == 0 else {}
    )


def tools() -> dict[str, Path]:
    """etcd, its two clients and pulumi, as `bedplate tools build` left them; fewer when it did not run."""
    wanted = ["etcd", "etcdctl", "etcdutl", "pulumi", "pulumi-language-python", "pulumi-resource-kubernetes"]
    found = locate.find(spec.choose(spec.load(), wanted))
    return {one.program.name: one.path for one in found if one.path}


@contextmanager
def on_path(*folders: Path) -> Iterator[None]:
    """Programs that are found before all others."""
    before = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join([*map(str, folders), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def etcd(folder: Path, keys: int = 2000) -> Iterator[str]:
    """A member with some history: keys that were changed, removed and compacted away; its endpoint."""
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = ["etcd", f"--data-dir={folder}", f"--listen-client-urls={client}", "--log-level=fatal"]
    command += [f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
    command += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
    process = subprocess.Popen(command)
    try:
        wait(lambda: etcdctl(client, "endpoint", "health"))
        for first in range(0, keys, 100):
            put(client, range(first, first + 100))
        etcdctl(client, "del", "/registry/7", "--prefix")
        etcdctl(client, "compact", "5")
        put(client, range(100))
        yield client
    finally:
        process.terminate()
        process.wait(30)


def etcdctl(endpoint: str, *words: str) -> str:
    return run(["etcdctl", f"--endpoints={endpoint}", *words])


def put(endpoint: str, numbers: range) -> None:
    """Write keys in one transaction."""
    puts = "".join(f"put /registry/{number} {'value' * 20}{time.time_ns()}\n" for number in numbers)
    done = subprocess.run(
        ["etcdctl", f"--endpoints={endpoint}", "txn"],
        input=f"\n{puts}\n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SUCCESS" in done.stdout, done.stdout + done.stderr


@contextmanager
def object_store(folder: Path) -> Iterator[dict[str, str]]:
    """SeaweedFS with two identities and a bucket `files`; the words of an item that reads it."""
    with seaweedfs(folder) as (words, _):
        yield {"name": "files-bucket", "kind": "bucket", "bucket": "files", **words}


@contextmanager
def seaweedfs(folder: Path) -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes]]]:
    """The same: how a reader reaches it, and its process."""
    folder.mkdir(parents=True)
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": f"{name}secret"}], "actions": actions}
        for name, actions in (
            ("owner", ["Admin", "Read", "Write", "List"]),
            ("backup", ["Read:files", "List:files"]),
        )
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    program = str(Path(sys.executable).with_name("weed"))
    command = [program, "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1", "-s3", "-filer"]
    command += [f"-master.port={ports['master']}", f"-volume.port={ports['volume']}", "-volume.max=20"]
    command += [
        f"-filer.port={ports['filer']}",
        f"-s3.port={ports['s3']}",
        f"-s3.config={folder / 's3.json'}",
    ]
    command += [f"-{name}.port.grpc={free_port()}" for name in ports]
    command += ["-s3.port.lance=0", "-s3.port.iceberg=0"]  # of these there would be one on a machine
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-master.telemetry=false"], stdout=log, stderr=log, cwd=folder)
    (folder / "owner").write_text("owner\nownersecret\n")
    (folder / "reader").write_text("backup\nbackupsecret\n")
    words = {"endpoint": f"http://127.0.0.1:{ports['s3']}", "credentials_file": str(folder / "reader")}
    try:
        wait(lambda: store(words, "files", folder).make(), 60, folder / "log")
        yield words, process
    finally:
        process.terminate()
        process.wait(60)


class OwnedStore(Store):
    """A bucket as its owner sees it."""

    def make(self) -> None:
        self._ask("PUT", "").read()


def store(words: dict[str, str], bucket: str, folder: Path) -> OwnedStore:
    item = Item("x", "bucket", {**words, "bucket": bucket, "credentials_file": str(folder / "owner")})
    found = OwnedStore.of(item)
    assert isinstance(found, OwnedStore)
    return found


@contextmanager
def pulumi_stack(folder: Path, programs: dict[str, Path]) -> Iterator[dict[str, str]]:
    """A stack with resources and secrets on a backend of files; the words of its item."""
    project, backend = folder / "project", folder / "backend"
    project.mkdir(parents=True)
    backend.mkdir()
    (folder / "passphrase").write_text("open sesame")
    (project / "Pulumi.yaml").write_text("name: bedplate\nruntime: python\n")
    home = pulumi_home.prepare(programs)
    before = dict(os.environ)
    os.environ |= {"PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    words = {"project": str(project), "stack": "lab", "backend": f"file://{backend}"}
    words["passphrase_file"] = str(folder / "passphrase")
    mine = {"PULUMI_BACKEND_URL": words["backend"], "PULUMI_CONFIG_PASSPHRASE_FILE": words["passphrase_file"]}
    base = [str(home / "bin" / "pulumi"), "-C", str(project), "--non-interactive"]
    try:
        with on_path(home / "bin"):
            run([*base, "stack", "init", "lab"], env=mine)
            for number in range(5):
                run([*base, "config", "set", "--secret", f"key{number}", f"hidden{number}"], env=mine)
            run([*base, "config", "set", "plain", "seen"], env=mine)
            state = json.loads(run([*base, "stack", "export"], env=mine))
            state["deployment"]["resources"] = [resource(number) for number in range(20)]
            (folder / "made.json").write_text(json.dumps(state))
            run([*base, "stack", "import", "--file", str(folder / "made.json")], env=mine)
            yield {"name": "platform", "kind": "pulumi", **words}
    finally:
        os.environ.clear()
        os.environ |= before


def resource(number: int) -> dict[str, object]:
    """A resource in a state, as the CLI writes it; the first is the stack itself."""
    kind = "pulumi:pulumi:Stack" if number == 0 else "example:index:Thing"
    urn = f"urn:pulumi:lab::bedplate::{kind}::{'bedplate-lab' if number == 0 else f'thing{number}'}"
    return {"urn": urn, "custom": False, "type": kind, "outputs": {"number": number}}


def wait(ready: object, seconds: float = 30, log: Path | None = None) -> None:
    """Until ``ready()`` raises nothing."""
    assert callable(ready)
    deadline = time.monotonic() + seconds
    while True:
        try:
            ready()
            return
        except Exception as error:
            if time.monotonic() > deadline:
                raise AssertionError(
                    log.read_text()[-2000:] if log and log.exists() else str(error)
                ) from None
            time.sleep(0.3)


def have(*programs: str) -> bool:
    return all(shutil.which(name) for name in programs)
