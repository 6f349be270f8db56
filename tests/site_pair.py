"""Two sites on this machine, each with a real PostgreSQL and a real object store at a loopback address of its
own, and people who write all the time. What it cannot show: a network between them that is slow or lossy."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bedplate import backup as _backup  # noqa: F401  makes what backup_services needs importable
from bedplate import paths, playbook
from bedplate.playbook import PlaybookResult
from bedplate.ports import free_port
from tests import backup_services as services

PROGRAMS = Path("/usr/lib/postgresql")
PROGRAM = paths.ROLES / "disaster_recovery/files/bedplate_site.py"
ADDRESSES = {"a": "127.0.1.1", "b": "127.0.2.1"}
SECRET = "only on this machine"
USER = "postgres" if os.geteuid() == 0 else ""
PACE, RETRY = 0.02, 1.0  # seconds between two writes, and between two attempts to find a site
HBA = """local all all trust
host all all 127.0.0.0/8 trust
host replication replication 127.0.0.0/8 scram-sha-256
"""


def newest() -> Path:
    """Programs of the newest PostgreSQL here."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent


@dataclass
class Site:
    """One site below ``folder``."""

    name: str
    folder: Path
    port: int
    synchronous: bool
    programs: Path = field(default_factory=newest)
    store: dict[str, str] = field(default_factory=dict)
    weed: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.address, self.peer = ADDRESSES[self.name], "b" if self.name == "a" else "a"
        self.data, self.config = self.folder / "data", self.folder / "site.json"
        self.log = self.folder / "log"
        for path in (self.folder, self.folder / "socket"):
            path.mkdir(exist_ok=True)
            self._own(path)
        (self.folder / "pgpass").write_text(f"*:*:*:*:{SECRET}\n")
        (self.folder / "pgpass").chmod(0o600)
        self._own(self.folder / "pgpass")

    def words(self) -> dict[str, Any]:
        """What role disaster_recovery writes."""
        bin_ = self.programs
        as_user = f"runuser -u {USER} -- " if USER else ""
        start = f"{as_user}{bin_}/pg_ctl -D {self.data} -l {self.log} -w -t 60 -s start"
        start += f" -o '-c config_file={self.folder / 'server.conf'}'"
        guard = " ".join([*self.command(), "guard"])
        database = {
            "data": str(self.data),
            "programs": str(bin_),
            "settings": str(self.folder / "site.conf"),
            "socket": str(self.folder / "socket"),
            "address": self.address,
            "peer_address": ADDRESSES[self.peer],
            "port": self.port,
            "start": ["sh", "-c", f"{guard} && {start}"],
            "stop": ["sh", "-c", f"{as_user}{bin_}/pg_ctl -D {self.data} -m fast -s stop"],
            "password_file": str(self.folder / "pgpass"),
            "config_file": str(self.folder / "server.conf"),
            "run_as": USER or pwd.getpwuid(os.getuid()).pw_name,
            "sslmode": "disable",
            "keep_mib": 512,
        }
        bucket = {"name": "files", "source": f"{self.peer}:files", "target": f"{self.name}:files"}
        return {
            "site": self.name,
            "peer": self.peer,
            "state": str(self.folder / "state"),
            "metrics": str(self.folder / "site.prom"),
            "synchronous": self.synchronous,
            "database": database,
            "buckets": [bucket] if self.store else [],
            "remotes": str(self.folder.parent / "rclone.conf"),
        }

    def command(self) -> list[str]:
        """The program of a host, for this site."""
        python = ["/usr/bin/env", f"PYTHONPATH={paths.MODULE_UTILS}", sys.executable, "-B"]
        return [*python, str(PROGRAM), "--config", str(self.config)]

    def do(self, *words: str) -> dict[str, Any]:
        """Run the program; what the site is then. AssertionError with what it says when it refuses."""
        done = self.ask(*words)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout or "{}")
        return found

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the program, whatever comes of it."""
        return subprocess.run([*self.command(), *words], capture_output=True, text=True, check=False)

    def write(self) -> None:
        """The program's configuration, and the server's, which is not with its data, as Debian has it."""
        self.config.write_text(json.dumps(self.words()))
        (self.folder / "hba.conf").write_text(HBA)
        lines = {"data_directory": self.data, "hba_file": self.folder / "hba.conf", "port": self.port}
        lines |= {"listen_addresses": self.address, "unix_socket_directories": self.folder / "socket"}
        lines |= {"include_if_exists": self.folder / "site.conf"}
        (self.folder / "server.conf").write_text(
            "".join(f"{name} = '{value}'\n" for name, value in lines.items())
        )

    def first(self) -> None:
        """A new database that takes writes."""
        initdb = [str(self.programs / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-k"]
        self.run_as([*initdb, "-E", "UTF8", "--locale=C.UTF-8"])
        assert self.do("begin", "--first") == {"begun": True}
        self.sql("CREATE TABLE written (n bigint PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")

    def start(self) -> subprocess.CompletedProcess[str]:
        """As systemd starts it: the guard is asked first."""
        return subprocess.run(self.words()["database"]["start"], capture_output=True, text=True, check=False)

    def sql(self, text: str, seconds: float = 30) -> str:
        """Run SQL at this site; AssertionError with what psql says."""
        command = [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        command += ["-d", f"host={self.folder / 'socket'} port={self.port} user=postgres dbname=postgres"]
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=seconds
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self) -> None:
        """SIGKILL for everything at the site: every process of its database, and its object store."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, text=True, check=False
        )
        for process in [postmaster, *map(int, children.stdout.split())]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.weed:
            self.weed.kill()

    def stop(self) -> None:
        """At the end, without asking anybody."""
        command = [str(self.programs / "pg_ctl"), "-D", str(self.data), "-m", "immediate", "-s", "stop"]
        with suppress(AssertionError):
            self.run_as(command)

    def run_as(self, command: Sequence[str]) -> None:
        who = {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []} if USER else {}
        done = subprocess.run(list(command), capture_output=True, text=True, check=False, cwd="/", **who)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr

    def _own(self, path: Path) -> None:
        if USER:
            shutil.chown(path, USER, pwd.getpwnam(USER).pw_gid)


@dataclass
class Pair:
    """Both sites; ``a`` writes at first."""

    folder: Path
    synchronous: bool
    stores: bool = False

    def __post_init__(self) -> None:
        port = free_port()
        # A host without power: whoever calls it hears nothing.
        self._silent = socket.create_server((ADDRESSES["a"], 0), backlog=64)
        self.a, self.b = (Site(name, self.folder / name, port, self.synchronous) for name in ("a", "b"))

    def begin(self, stack: ExitStack) -> None:
        """Start both, the second as a copy of the first."""
        if self.stores:
            self._stores(stack)
        for site in (self.a, self.b):
            site.write()
            stack.callback(site.stop)
        self.a.first()
        assert self.b.do("begin") == {"begun": True}
        self.a.do("synchronous")

    def _stores(self, stack: ExitStack) -> None:
        remotes = ""
        for site in (self.a, self.b):
            site.store, site.weed = stack.enter_context(services.seaweedfs(site.folder / "s3"))
            remotes += f"[{site.name}]\ntype = s3\nprovider = Other\nendpoint = {site.store['endpoint']}\n"
            remotes += "access_key_id = owner\nsecret_access_key = ownersecret\nforce_path_style = true\n"
        (self.folder / "rclone.conf").write_text(remotes)

    def inventory(
        self, away: Sequence[str] = (), power_off: Mapping[str, Sequence[str]] | None = None
    ) -> Path:
        """An inventory with both sites; those ``away`` do not answer."""
        places: dict[str, dict[str, Any]] = {}
        for site in (self.a, self.b):
            places[site.name] = {"address": site.address, "program": site.command()}
            if power_off and site.name in power_off:
                places[site.name]["power_off"] = list(power_off[site.name])
        variables = {
            "disaster_recovery_sites": places,
            "ansible_connection": "{{ 'ssh' if (site | default('')) in "
            + str(list(away))
            + " else 'local' }}",
            "ansible_port": self._silent.getsockname()[1],
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
        }
        hosts = {"all": {"hosts": {"any": {}}, "vars": variables}}
        target = self.folder / "inventory.yml"
        target.write_text(yaml.safe_dump(hosts))
        return target

    def switch(self, to: str, **more: Any) -> PlaybookResult:
        """playbooks/switch_over.yml."""
        where = {key: more.pop(key) for key in ("away", "power_off") if key in more}
        return playbook.run(self.inventory(**where), "switch_over.yml", extra={"to": to, **more})


class Writers:
    """People who write row after row wherever writes are taken, and remember what was acknowledged."""

    def __init__(self, pair: Pair, number: int, first: int = 0) -> None:
        """``first``: number of the first row, where others have written before."""
        self.pair, self.number, self.first = pair, number, first
        self.acknowledged: dict[int, tuple[float, str]] = {}  # row: when, and at which address
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(number)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def first_at(self, site: Site, seconds: float = 120) -> float:
        """When a site first acknowledged a write. AssertionError when it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [at for at, where in list(self.acknowledged.values()) if where == site.address]
            if found:
                return min(found)
            time.sleep(0.02)
        raise AssertionError(f"{site.name} acknowledged nothing for {seconds} s")

    def last_at(self, site: Site) -> float:
        """When a site acknowledged its last write."""
        return max(at for at, where in self.acknowledged.values() if where == site.address)

    def _work(self, number: int) -> None:
        n = self.first + number
        while not self._end.is_set():
            with suppress(BrokenPipeError, ValueError), self._session() as psql:
                assert psql.stdin and psql.stdout
                while not self._end.is_set():
                    psql.stdin.write(
                        f"INSERT INTO written VALUES ({n}) RETURNING n, host(inet_server_addr());\n"
                    )
                    psql.stdin.flush()
                    written, _, where = psql.stdout.readline().strip().partition("|")
                    if not where:
                        break
                    self.acknowledged[int(written)] = (time.monotonic(), where)
                    n += self.number
                    time.sleep(PACE)
            n += self.number  # whether the last one was written is not known
            time.sleep(RETRY)

    @contextmanager
    def _session(self) -> Iterator[subprocess.Popen[str]]:
        """psql at whichever site takes writes, as libpq finds it: the way for programs, too."""
        a, b = self.pair.a, self.pair.b
        words = f"host={a.address},{b.address} port={a.port} user=postgres dbname=postgres"
        words += " target_session_attrs=read-write connect_timeout=2"
        command = [str(a.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", words]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def lost(acknowledged: Mapping[int, object], site: Site) -> list[int]:
    """Acknowledged writes that a site does not have."""
    there = {int(line) for line in site.sql("SELECT n FROM written", seconds=120).split()}
    return sorted(set(acknowledged) - there)
