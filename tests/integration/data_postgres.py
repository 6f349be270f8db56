"""Real PostgreSQLs started by the pods' own program: only places and ports differ."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ai_platform import consumers
from ai_platform import postgresql_objects as render
from ai_platform.settings import Settings
from bedplate import paths
from bedplate.ports import free_ports
from bedplate.service_certificate import bundle
from tests.data_programs import POSTGRES, Process, substitute, wait

FILES = paths.PULUMI / "ai_platform/files"
DEBIAN = Path("/usr/lib/postgresql")
PASSWORDS = {role: f"password-of-{role}" for role in (render.ADMIN, *render.roles())}


def programs() -> Path:
    """Debian's, the newest there is: of those that registries carry it is the one with TLS."""
    found = sorted(DEBIAN.glob("*/bin"))
    if not found:
        pytest.skip("Debian's PostgreSQL is not installed")
    return found[-1]


class Cluster:
    """As many servers as ``settings`` says, each with a folder of its own below ``folder``."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.primary = settings, folder, 0
        folder.mkdir(parents=True, exist_ok=True)
        self.bin = programs()
        assert settings.data is not None
        self.ports = free_ports(settings.data.postgresql.replicas)
        pem = bundle(["localhost"])
        begin = pem.index("-----BEGIN CERTIFICATE")
        self.certificate, key = folder / "tls.crt", folder / "tls.key"
        self.certificate.write_text(pem[begin:])
        key.write_text(pem[:begin])
        (folder / "pg_hba.conf").write_text(render.HBA)
        for ordinal in range(len(self.ports)):
            (folder / f"s{ordinal}").mkdir()
        for path in (folder, *folder.rglob("*")) if os.geteuid() == 0 else ():
            shutil.chown(path, POSTGRES)
        key.chmod(0o600)
        self.processes = [self._process(ordinal) for ordinal in range(len(self.ports))]

    def data(self, ordinal: int) -> Path:
        """What a pod's volume holds."""
        return self.folder / f"s{ordinal}/pgdata"

    def _process(self, ordinal: int) -> Process:
        place = self.folder / f"s{ordinal}"
        words = [w for n, v in render.server_settings(self.settings).items() for w in ("-c", f"{n}={v}")]
        places = {render.TLS: str(self.folder), render.RULES: str(self.folder)}
        words = substitute(words, places | {"listen_addresses=*": "listen_addresses=127.0.0.1"})
        words += [
            "-c",
            "shared_buffers=16MB",
            "-c",
            "wal_receiver_timeout=5s",
            "-c",
            "wal_retrieve_retry_interval=1s",
        ]
        env = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "POD_NAME": f"postgresql-{ordinal}",
            "PRIMARY": str(self.primary),
            "PEERS": " ".join(f"localhost:{port}" for port in self.ports),
            "PGDATA": str(place / "pgdata"),
            "PGPORT": str(self.ports[ordinal]),
            "SOCKETS": str(place),
            "CERTIFICATE": str(self.certificate),
            "ADMIN_PASSWORD": PASSWORDS[render.ADMIN],
            "REPLICATION_PASSWORD": PASSWORDS[render.REPLICATION],
            "HOME": str(place),
            "LC_ALL": "C.UTF-8",
        }
        user = POSTGRES if os.geteuid() == 0 else None
        return Process(
            ["bash", FILES / "postgresql.sh", *words], self.folder / f"log{ordinal}", env, user, place
        )

    def make_primary(self, ordinal: int) -> None:
        """What `pulumi up` does with another ``primary``, but for restarting pods."""
        self.primary = ordinal
        for process in self.processes:
            process.env = {**process.env, "PRIMARY": str(ordinal)}

    def psql(
        self,
        text: str,
        role: str = render.ADMIN,
        database: str = "postgres",
        *,
        ordinal: int | None = None,
        password: str = "",
        tls: str = "verify-full",
    ) -> subprocess.CompletedProcess[str]:
        """One question over the network, as that role."""
        at = self.ports[self.primary if ordinal is None else ordinal]
        env = {"PATH": os.environ["PATH"], "PGPASSWORD": password or PASSWORDS[role], "PGSSLMODE": tls}
        env |= {"PGSSLROOTCERT": str(self.certificate), "PGCONNECT_TIMEOUT": "5", "HOME": str(self.folder)}
        command = [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "localhost"]
        command += ["-p", str(at), "-U", role, "-d", database]
        return subprocess.run(command, env=env, input=text, capture_output=True, text=True, check=False)

    def ask(
        self, text: str, role: str = render.ADMIN, database: str = "postgres", ordinal: int | None = None
    ) -> str:
        """Its answer; it must be one."""
        done = self.psql(text, role, database, ordinal=ordinal)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def up(self, ordinal: int = 0) -> None:
        """Until it answers over the network."""
        wait(lambda: self.ask("SELECT 1", ordinal=ordinal) == "1", 180, self.processes[ordinal])

    def set_up(self, passwords: dict[str, str] | None = None) -> None:
        """The job."""
        done = self.psql(render.setup_sql(passwords or PASSWORDS))
        assert done.returncode == 0, done.stderr
        assert not done.stdout.strip(), done.stdout


@contextmanager
def cluster(settings: Settings, folder: Path, *, first: int = 1) -> Iterator[Cluster]:
    """The first servers, made and set up."""
    found = Cluster(settings, folder)
    try:
        for ordinal in range(first):
            found.processes[ordinal].start()
            found.up(ordinal)
            if ordinal == 0:
                found.set_up()
        yield found
    finally:
        for process in found.processes:
            process.end()


def environment(found: Cluster, name: str) -> dict[str, str]:
    """What the Secret beside a consumer's pods says, for a program on this machine."""
    role = consumers.role(consumers.consumer(name))
    return {"PGHOST": "localhost", "PGPORT": str(found.ports[found.primary]), "PGUSER": role} | {
        "PGPASSWORD": PASSWORDS[role],
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(found.certificate),
    }
