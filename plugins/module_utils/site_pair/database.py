"""PostgreSQL at one site: look at it, keep it from writing, let it take over, make it a copy again."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .config import Config
from .plan import NONE, PRIMARY, STANDBY, Seen, may_start
from .problem import SiteError
from .settings import ASKED, peer_words, render, slot

PATIENCE = 60.0  # seconds that a server gets to do what it was told
_LOOK = """
SELECT pg_is_in_recovery(),
  (SELECT timeline_id FROM pg_control_checkpoint()),
  CASE WHEN pg_is_in_recovery() THEN GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn,
  current_setting('synchronous_standby_names') <> '',
  CASE WHEN pg_is_in_recovery() THEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')
    ELSE EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming') END,
  CASE WHEN NOT pg_is_in_recovery() THEN 0
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver
      WHERE status = 'streaming' AND latest_end_lsn <= pg_last_wal_replay_lsn()) THEN 0
    ELSE EXTRACT(epoch FROM now() - COALESCE(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END
"""

# What a copy keeps for copies of its own from the time when it wrote; it would keep log for ever.
_FORGET = """
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_type = 'physical' AND NOT active AND NOT temporary
"""


class Postgres:
    """The server of one site."""

    def __init__(self, config: Config) -> None:
        self.site, self.words = config, config.database
        self.fence_file = config.state / "fenced"
        self.alone_file = config.state / "alone"

    # --- looking

    def observe(self) -> Seen:
        """What it is now."""
        if self._answers():
            return self._read(self.site.site, self._local(_LOOK))
        role = STANDBY if self._signal.exists() else PRIMARY if self._made else NONE
        told = self._control() if self._made else {}
        return Seen(
            self.site.site,
            role=role,
            timeline=int(told.get("Latest checkpoint's TimeLineID", 0)),
            position=_bytes(told.get("Latest checkpoint location", "0/0")),
            synchronous=self._waits(),
            fenced=self.fence_file.exists(),
        )

    def peer(self) -> Seen:
        """What the other site's server says, if it says anything."""
        command = [*self._psql, "-d", self._peer_words("postgres"), "-c", _LOOK]
        done = self._run(command, check=False, seconds=3 * ASKED)
        if done.returncode != 0:
            return Seen(self.site.peer, reachable=False)
        return self._read(self.site.peer, done.stdout)

    def _read(self, site: str, answer: str) -> Seen:
        recovery, timeline, position, synchronous, connected, lag = answer.strip().split("|")
        return Seen(
            site,
            running=True,
            role=STANDBY if recovery == "t" else PRIMARY,
            timeline=int(timeline),
            position=int(position.partition(".")[0]),
            synchronous=synchronous == "t",
            connected=connected == "t",
            lag=max(0.0, float(lag)),
            fenced=site == self.site.site and self.fence_file.exists(),
        )

    # --- guarding

    def guard(self) -> None:
        """Raises SiteError when the server may not start. Who finds the other one serving stays fenced."""
        standby = self._signal.exists()
        fenced = self.fence_file.exists()
        ask = not (standby or fenced)
        peer = self.peer() if ask else Seen(self.site.peer, reachable=False)
        why = may_start(fenced, standby, peer, self._waits(), self.alone_file.exists())
        if ask and peer.writes:
            self._mark(self.fence_file)
        if why:
            raise SiteError(why)

    def _waits(self) -> bool:
        """What the server's own settings say: a commit waits for the other site."""
        found = self.words.settings.read_text(encoding="utf-8") if self.words.settings.exists() else ""
        return bool(re.search(r"^synchronous_standby_names = '[^']+'", found, re.MULTILINE))

    # --- doing

    def begin(self, first: bool, grants: str) -> bool:
        """The first time: one site goes on alone and makes the role that copies, the other one follows it.
        False when that was done before."""
        begun = self.site.state / "begun"
        if begun.exists():
            return False
        if first:
            self._stop()  # what its package started knows nothing of our settings
            self.alone()
            secret = Path(self.words.password_file).read_text(encoding="utf-8").strip().rpartition(":")[2]
            quoted = secret.replace("'", "''")
            self._local(f"SET bedplate.password = '{quoted}';\n{grants}")
        else:
            self.follow()
        self._mark(begun)
        return True

    def fence(self) -> Seen:
        """Keep it from starting, stop it, and make sure. Raises SiteError when it still runs."""
        self._mark(self.fence_file)
        self._stop()
        return self.observe()

    def _stop(self) -> None:
        if self._lives():
            self._run(self.words.stop, as_server=False, check=False)
        self._wait(lambda: not self._lives(), "it still runs; stop it by hand, or switch its power off")

    def promote(self, at_least: int = 0) -> Seen:
        """Take writes, alone at first: nobody is there to wait for. ``at_least``: end of the other's log."""
        now = self.observe()
        if now.writes:
            return now
        if now.position < at_least:
            self._wait(
                lambda: self.observe().position >= at_least,
                f"it has {at_least - self.observe().position} bytes of log less than {self.site.peer} wrote; "
                f"nothing was promoted, and {self.site.peer} is fenced: switch back to it",
            )
        self.fence_file.unlink(missing_ok=True)
        self.settings(synchronous=False)
        self._local(f"SELECT pg_promote(true, {int(PATIENCE)})")
        self._wait(lambda: self.observe().writes, "it was promoted and takes no writes; see its log")
        self._local("CHECKPOINT")  # from here on the other site can see how far both have parted
        return self.observe()

    def follow(self) -> Seen:
        """Become the other one's copy: wind back what only we have, or copy everything anew."""
        peer = self.peer()
        if not peer.writes:
            raise SiteError(f"{self.site.peer} takes no writes: there is nothing to follow")
        if not (self._made and self._signal.exists() and self._answers()):
            self.fence()
            self._slot()
            if not (self._made and self._rewind()):
                self._copy()
            self._own(self._signal)
        self.settings(synchronous=False)
        self.fence_file.unlink(missing_ok=True)
        self.alone_file.unlink(missing_ok=True)
        self.start()
        self._local(_FORGET)
        self._wait(
            lambda: self.observe().connected, "it runs and gets nothing from the other site; see its log"
        )
        return self.observe()

    def paired(self) -> Seen:
        """The other site has a copy: from now on wait for it at every commit, as far as that is wanted.
        Raises SiteError when it has none."""
        self._wait(
            lambda: self.observe().connected,
            f"{self.site.peer} has no running copy, and every commit would wait for it for ever",
        )
        self.alone_file.unlink(missing_ok=True)
        return self._synchronous(self.site.synchronous)

    def _synchronous(self, wanted: bool) -> Seen:
        self.settings(synchronous=wanted)
        self._wait(lambda: self.observe().synchronous is wanted, "the setting was not taken")
        if wanted:
            quick = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))"
            self._wait(lambda: self._local(quick).strip() == "t", "the other site's copy is not synchronous")
        return self.observe()

    def alone(self) -> Seen:
        """A person knows that the other one did not take over: go on without it."""
        self._mark(self.alone_file)
        if self._answers():
            return self._synchronous(False)
        self.settings(synchronous=False)
        self.start()
        return self.observe()

    def start(self) -> None:
        """Start it, if it does not run."""
        if not self._lives():
            self._run(self.words.start, as_server=False)
        self._wait(self._answers, "it does not start; see its log")

    def settings(self, synchronous: bool) -> None:
        """Write what a server of a pair is told, in one step."""
        partial = self.words.settings.with_name(f".{self.words.settings.name}")
        partial.write_text(render(self.site, synchronous), encoding="utf-8")
        self._give(partial, 0o640)
        partial.replace(self.words.settings)
        if self._answers():
            self._local("SELECT pg_reload_conf()")

    # --- pieces

    def _rewind(self) -> bool:
        """Take back what only we have. False when that cannot be done."""
        source = f"--source-server={self._peer_words('postgres')}"
        command = [self._program("pg_rewind"), "-D", str(self.words.data), source]
        command += [f"--config-file={self.words.config_file}"] if self.words.config_file else []
        return self._run(command, check=False, seconds=3600).returncode == 0

    def _copy(self) -> None:
        """Everything anew. What was here is kept beside, for whoever wants to see what was lost."""
        if self._made:
            aside = self.words.data.with_name(f"{self.words.data.name}.{int(time.time())}")
            self.words.data.replace(aside)
        shutil.rmtree(self.words.data, ignore_errors=True)
        command = [self._program("pg_basebackup"), "-D", str(self.words.data), "-d", self._peer_words("")]
        self._run([*command, "--checkpoint=fast", "--wal-method=stream"], seconds=24 * 3600)

    def _slot(self) -> None:
        """A new place in the other one's memory, so that it keeps from now on what we have not had."""
        name, words = slot(self.site.site), f"{self._peer_words('')} replication=true"
        ask = [*self._psql, "-d", words, "-c"]
        self._run([*ask, f"DROP_REPLICATION_SLOT {name}"], check=False)
        done = self._run([*ask, f"CREATE_REPLICATION_SLOT {name} PHYSICAL RESERVE_WAL"], check=False)
        if done.returncode != 0:
            raise SiteError(f"{self.site.peer} gives no replication slot: {done.stderr.strip()}")

    @property
    def _signal(self) -> Path:
        return self.words.data / "standby.signal"

    @property
    def _made(self) -> bool:
        return (self.words.data / "PG_VERSION").exists()

    @property
    def _psql(self) -> list[str]:
        return [self._program("psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]

    def _answers(self) -> bool:
        """It takes connections. A crashed server that recovers does not, and lives."""
        command = [*self._psql, "-d", self._own_words, "-c", "SELECT 1"]
        return self._run(command, check=False, seconds=10).returncode == 0

    def _lives(self) -> bool:
        """A server runs on this data, whether or not it answers."""
        if not self._made:
            return False
        command = [self._program("pg_ctl"), "-D", str(self.words.data), "status"]
        return self._run(command, check=False).returncode == 0

    def _local(self, text: str) -> str:
        return self._run([*self._psql, "-d", self._own_words], seconds=2 * PATIENCE, text=text).stdout

    @property
    def _own_words(self) -> str:
        place = f"host={self.words.socket} port={self.words.port}"
        return f"{place} user=postgres dbname=postgres connect_timeout={ASKED}"

    def _peer_words(self, database: str) -> str:
        return peer_words(self.site, database)

    def _control(self) -> dict[str, str]:
        done = self._run([self._program("pg_controldata"), str(self.words.data)])
        pairs = (line.partition(":") for line in done.stdout.splitlines())
        return {name.strip(): value.strip() for name, _, value in pairs}

    def _program(self, name: str) -> str:
        return str(self.words.programs / name)

    def _mark(self, file: Path) -> None:
        """A file that outlives a power cut."""
        self.site.state.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8") as written:
            written.write(f"{int(time.time())}\n")
            written.flush()
            os.fsync(written.fileno())

    def _own(self, file: Path) -> None:
        file.touch()
        self._give(file, 0o600)

    def _give(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        if os.geteuid() == 0:
            shutil.chown(file, self.words.run_as, pwd.getpwnam(self.words.run_as).pw_gid)

    def _wait(self, done: Callable[[], bool], why: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > deadline:
                raise SiteError(f"{self.site.site}: {why}")
            time.sleep(0.1)

    def _run(
        self,
        command: Sequence[str],
        *,
        check: bool = True,
        as_server: bool = True,
        seconds: float = 120,
        text: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a program, mostly as the server's user. Raises SiteError with its last words."""
        done = run(command, self.words.run_as if as_server else "", seconds, text)
        if check and done.returncode != 0:
            raise SiteError(f"{Path(command[0]).name}: {done.stderr.strip()[-600:]}")
        return done


def run(command: Sequence[str], user: str, seconds: float, text: str) -> subprocess.CompletedProcess[str]:
    """A program with ``text`` on its standard input, as ``user`` where we may be somebody else."""
    change: dict[str, Any] = {}
    env = {**os.environ, "LC_ALL": "C"}
    if user and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        change = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        env["HOME"] = entry.pw_dir
    how: dict[str, Any] = {"capture_output": True, "text": True, "cwd": "/", **change}
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            list(command), env=env, input=text, timeout=seconds, check=False, **how
        )
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(list(command), 124, "", "it took too long")
    return done


def _bytes(position: str) -> int:
    """A place in the log (16/B374D848) as a number."""
    high, _, low = position.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
