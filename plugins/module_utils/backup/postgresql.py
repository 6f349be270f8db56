"""PostgreSQL: every database by pg_dump in custom format, roles and tablespaces by pg_dumpall."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote, unquote

from .kind import Compared, Kind, Place, against_manifest, read_manifest, run, write_manifest
from .plan import Item
from .problem import BackupError

GLOBALS = "globals.sql"
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
_SERVERS = Path("/usr/lib/postgresql")
# Written anew by every dump: a random word against injection (since 15.14), and times.
_CHANGING = re.compile(rb"^(\\(un)?restrict |-- (Started|Completed) on )")


class PostgreSQL(Kind):
    """Not compressed by pg_dump: restic compresses, and finds again what did not change."""

    def collect(self, item: Item, stage: Path) -> None:
        """One file for each database, and one for what they share."""
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True, mode=0o700)
        server = Server.of(item)
        names = list(item.words.get("databases") or server.databases())
        server.dump(stage, names)
        write_manifest(stage, databases=names, version=server.version())

    def compare(self, item: Item, restored: Path, place: Place) -> Compared:
        """Load it into a server of its own, dump that, and hold one dump against the other."""
        whole = against_manifest(restored)
        if whole.differences:
            return whole
        wrong, lines = [], 0
        with scratch_server(place.scratch, str(item.words.get("run_as", ""))) as server:
            server.load(restored)
            again = place.scratch / "again"
            again.mkdir(mode=0o700)
            server.dump(again, read_manifest(restored)["databases"])
            for name in sorted(path.name for path in restored.glob("*.dump")):
                found, different = _hold_against(server, restored / name, again / name)
                lines += found
                wrong += [f"{unquote(name[:-5])}: {different}"] if different else []
            if _roles(restored / GLOBALS) - _roles(again / GLOBALS):
                wrong.append("roles are missing")
        return Compared(lines, whole.bytes, tuple(wrong))

    def load(self, item: Item, restored: Path, words: Mapping[str, str]) -> str:
        """Create the databases on the server; one that is there already is never touched."""
        server = Server.of(item)
        names = read_manifest(restored)["databases"]
        there = set(names) & set(server.databases()) - {"postgres"}
        if there:
            raise BackupError(
                f"there is a database {sorted(there)[0]} already",
                "rename or drop it first; nothing was changed",
            )
        server.load(restored)
        return f"{len(names)} databases were created: {', '.join(names)}"


class Server:
    """A running server, and who we are to it."""

    def __init__(
        self, programs: Path | None, env: Mapping[str, str], user: str, passwords: bool = True
    ) -> None:
        """``passwords``: those of roles are dumped too, which only a superuser may."""
        self.programs, self.env, self.user, self.passwords = programs, env, user, passwords

    @classmethod
    def of(cls, item: Item) -> Server:
        """The server that an item names."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password_file": "PGPASSFILE"}
        env = {names[word]: str(item.words[word]) for word in names if word in item.words}
        return cls(None, env, str(item.words.get("run_as", "")), bool(item.words.get("passwords", True)))

    def program(self, name: str) -> str:
        """A program of PostgreSQL, from the server's version where it is known."""
        return str(self.programs / name) if self.programs else name

    def query(self, text: str) -> str:
        """Answer to an SQL query, unaligned."""
        command = [self.program("psql"), "-X", "-A", "-t", "-d", "postgres", "-c", text]
        return run(command, env=self.env, user=self.user)

    def databases(self) -> list[str]:
        """Every database that is no template."""
        return self.query(_DATABASES).splitlines()

    def version(self) -> str:
        """As the server says it, for example 15.18."""
        return self.query("SHOW server_version").strip()

    def dump(self, folder: Path, names: list[str]) -> None:
        """Write what is shared and every named database into ``folder``."""
        what = ["--globals-only", *([] if self.passwords else ["--no-role-passwords"])]
        with (folder / GLOBALS).open("wb") as file:
            run([self.program("pg_dumpall"), *what], env=self.env, output=file, user=self.user)
        for name in names:
            command = [
                self.program("pg_dump"),
                "--format=custom",
                "--compress=0",
                f"--dbname={_connect(name)}",
            ]
            with (folder / f"{quote(name, safe='')}.dump").open("wb") as file:
                run(command, env=self.env, output=file, user=self.user)

    def load(self, folder: Path) -> None:
        """Create roles and databases as they were dumped."""
        with (folder / GLOBALS).open("rb") as file:  # a role that is there already is no error
            run(
                [self.program("psql"), "-X", "-q", "-d", "postgres"], env=self.env, stdin=file, user=self.user
            )
        for dump in sorted(folder.glob("*.dump")):
            command = [self.program("pg_restore"), "--exit-on-error", "--dbname=postgres"]
            command += ["--clean", "--if-exists"] if dump.name == "postgres.dump" else []
            command += [] if dump.name == "postgres.dump" else ["--create"]
            with dump.open("rb") as file:
                run(command, env=self.env, stdin=file, user=self.user)


@contextmanager
def scratch_server(scratch: Path, user: str) -> Iterator[Server]:
    """A server of the newest version that is installed, on a socket only, gone at the end."""
    found = sorted(_SERVERS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if not initdb:
        raise BackupError("no PostgreSQL server is installed here", "drill where one is")
    programs = Path(initdb).parent
    # A socket's path holds no more than 107 bytes, so it has a folder of its own.
    with (
        tempfile.TemporaryDirectory(prefix="drill-", dir=scratch) as name,
        tempfile.TemporaryDirectory(prefix="drill-") as sockets,
    ):
        place = Path(name)
        if user:
            for folder in (name, sockets):
                shutil.chown(folder, user)
            scratch.chmod(0o711)  # the user may pass it, and sees nothing of what is in it
        data, options = place / "data", f"-c listen_addresses='' -k {sockets} -c fsync=off"
        made = [initdb, "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"]
        run(made, user=user)
        control = [str(programs / "pg_ctl"), "-D", str(data), "-s", "-w", "-t", "120"]
        try:
            run([*control, "-l", str(place / "log"), "-o", options, "start"], user=user)
        except BackupError:
            said = (place / "log").read_text(encoding="utf-8", errors="replace")[-400:]
            raise BackupError(f"a scratch server does not start: {said}") from None
        try:
            yield Server(programs, {"PGHOST": sockets, "PGUSER": "postgres"}, user)
        finally:
            run([*control, "-m", "immediate", "stop"], user=user)


def _connect(name: str) -> str:
    """A name as part of a connection string, whatever it is."""
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}'"


def _hold_against(server: Server, one: Path, two: Path) -> tuple[int, str]:
    """Lines of a dump, and the first in which another differs."""
    with tempfile.TemporaryFile() as left, tempfile.TemporaryFile() as right:
        for dump, text in ((one, left), (two, right)):
            with dump.open("rb") as file:
                run([server.program("pg_restore"), "--file=-"], stdin=file, output=text)
            text.seek(0)
        number = 0
        for a, b in zip_longest(_lines(left), _lines(right)):
            number += 1
            if a != b:
                return number, f"line {number} of its dump is {_short(b)} instead of {_short(a)}"
    return number, ""


def _lines(file: Iterator[bytes]) -> Iterator[bytes]:
    return (line for line in file if not _CHANGING.match(line))


def _short(line: bytes | None) -> str:
    return "nothing" if line is None else repr(line.decode(errors="replace").strip()[:60])


def _roles(file: Path) -> set[str]:
    text = file.read_text(encoding="utf-8")
    return {line for line in text.splitlines() if line.startswith(("CREATE ROLE", "ALTER ROLE", "GRANT"))}
