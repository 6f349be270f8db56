#!/usr/bin/env python3
"""The drill of a lost site: real databases and object stores at two sites, one of them killed under writes.

.venv/bin/python scripts/drill_site.py [--writers 4] [--seconds 10] [--record ENV]

Twice, once with synchronous copies and once without: people write rows and objects at the first site.
Everything there is killed (SIGKILL) and its host is silent; playbooks/switch_over.yml lets the other one take
over, confirmed. The first one comes back, is refused, is made a copy, and takes over again as planned. Both
are on this machine, at loopback addresses of their own; whoever works here too slows every step.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bedplate import backup as _backup  # noqa: F401  makes what backup_services needs importable
from bedplate import evidence, paths
from bedplate.console import out

sys.path.insert(0, str(paths.ROOT))
from tests import backup_services as services
from tests.site_pair import Pair, Writers, lost

COMMAND = "python scripts/drill_site.py --record {}"
PAUSE = 3.0  # seconds between two copies of the buckets; the role's own default is a minute
BEHIND_MIB = 8  # of changes which a copy that stands still misses
MORE = "CREATE TABLE more AS SELECT repeat('x', 1000) FROM generate_series(1, 8 * 1024)"


@dataclass(frozen=True)
class Found:
    """What one drill found; times in seconds."""

    acknowledged: int
    lost: int
    down: float
    playbook: float
    refused: bool
    rejoined: float
    back: float
    lost_going_back: int
    behind_bytes: int
    behind_seconds: float
    objects: int
    objects_lost: int
    objects_age: float


class Objects:
    """Objects that are put at the first site, and a copy that the second one fetches again and again."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.put = pair, dict[str, float]()
        self.store = services.store(pair.a.store, "files", pair.a.folder / "s3")
        self.other = services.store(pair.b.store, "files", pair.b.folder / "s3")
        self._end = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Until the end of the block, or of the store."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._copy)]
        for thread in threads:
            thread.start()
        yield
        self._end.set()
        for thread in threads:
            thread.join(60)

    def lost(self) -> list[str]:
        """Acknowledged objects that the other site does not have."""
        return sorted(set(self.put) - {key for key, _ in self.other.objects()})

    def _write(self) -> None:
        number = 0
        while not self._end.is_set():
            key = f"object/{number}"
            try:
                self.store.put(key, b"x" * 4096, {})
            except Exception:  # killed: nobody acknowledged it
                return
            self.put[key] = time.monotonic()
            number += 1
            time.sleep(0.1)

    def _copy(self) -> None:
        while not self._end.wait(PAUSE):
            if self.pair.b.ask("replicate").returncode != 0:
                return


def drill(folder: Path, *, synchronous: bool, writers: int, seconds: float) -> Found:
    """One drill from two new sites on."""
    with ExitStack() as stack:
        pair = Pair(folder, synchronous, stores=True)
        pair.begin(stack)
        behind = (0, 0.0) if synchronous else fall_behind(pair)
        objects = Objects(pair)
        with Writers(pair, writers) as people, objects.at_work():
            time.sleep(seconds)
            begin = time.monotonic()
            pair.a.kill()
            killed = time.monotonic()
            switched = pair.switch("b", away=["a"], confirm="a is off")
            expect(switched.rc == 0, switched.output)
            down = people.first_at(pair.b) - begin
            gone = lost(people.acknowledged, pair.b)
        missing = objects.lost()
        refused = comes_back(pair)
        begin = time.monotonic()
        rejoined = pair.switch("b")
        expect(rejoined.rc == 0, rejoined.output)
        rejoined_after = time.monotonic() - begin
        with Writers(pair, writers, first=10**9) as people_back:
            time.sleep(min(seconds, 3))
            begin = time.monotonic()
            expect((again := pair.switch("a")).rc == 0, again.output)
            back = people_back.first_at(pair.a) - people_back.last_at(pair.b)
        return Found(
            acknowledged=len(people.acknowledged),
            lost=len(gone),
            down=down,
            playbook=switched.seconds,
            refused=refused,
            rejoined=rejoined_after,
            back=back,
            lost_going_back=len(lost(people_back.acknowledged, pair.a)),
            behind_bytes=behind[0],
            behind_seconds=behind[1],
            objects=len(objects.put),
            objects_lost=len(missing),
            objects_age=max((killed - objects.put[key] for key in missing), default=0.0),
        )


def comes_back(pair: Pair) -> bool:
    """Whether the first site is refused when it is started: the guard asks, and then the site is fenced."""
    return (
        pair.a.start().returncode != 0 and pair.a.do("observe")["fenced"] and pair.a.start().returncode != 0
    )


def fall_behind(pair: Pair) -> tuple[int, float]:
    """How far a copy that stands still is said to be behind, in bytes of log and seconds; then it goes on."""
    pair.b.sql("SELECT pg_wal_replay_pause()")
    pair.a.sql(MORE)
    time.sleep(2)
    pair.a.sql("INSERT INTO written VALUES (-1)")
    time.sleep(2)
    told = pair.b.do("replicate")
    text = "SELECT pg_wal_lsn_diff(sent_lsn, replay_lsn) FROM pg_stat_replication"
    behind = int(pair.a.sql(text).strip())
    pair.b.sql("SELECT pg_wal_replay_resume()")
    return behind, float(told["lag"])


def expect(true: bool, output: str) -> None:
    if not true:
        raise SystemExit(output)


def main(
    writers: Annotated[int, typer.Option(min=1, help="people who write rows")] = 4,
    seconds: Annotated[float, typer.Option(min=1, help="before everything is killed")] = 10.0,
    record: Annotated[str, typer.Option(help="Environment whose evidence is written")] = "",
) -> None:
    """Drill both ways, print and record."""
    for mode, synchronous in (("synchronous", True), ("asynchronous", False)):
        with tempfile.TemporaryDirectory(prefix="bedplate-sites-") as name:
            folder = Path(name)
            folder.chmod(0o711)  # PostgreSQL runs as another user
            found = drill(folder, synchronous=synchronous, writers=writers, seconds=seconds)
        for field, value in vars(found).items():
            out.print(f"{mode:13} {field:17} {value}", highlight=False)
        if record:
            note(record, mode, found)


def note(environment: str, mode: str, found: Found) -> None:
    """Write down what was found."""
    save = {"proved_on": "program", "command": COMMAND.format(environment)}
    goal = "== 0" if mode == "synchronous" else ""
    age, objects = round(found.objects_age, 1), f"Acknowledged objects of {found.objects} that were lost"
    rows: list[tuple[str, str, float, str, str]] = [
        ("seconds", "Kill of a site to the first write at the other one", round(found.down, 1), "s", "<= 30"),
        ("lost", f"Acknowledged rows lost of {found.acknowledged:,}", found.lost, "", goal),
        ("refused", "The killed site came back and took no writes", int(found.refused), "", "== 1"),
        ("rejoined", "Until it is a copy again", round(found.rejoined, 1), "s", ""),
        ("back", "Without writes, going back as planned", round(found.back, 1), "s", "<= 30"),
        ("back.lost", "Acknowledged rows lost, going back as planned", found.lost_going_back, "", "== 0"),
        ("objects.lost", f"{objects}, with a copy every {PAUSE:g} s", found.objects_lost, "", ""),
        ("objects.age", "Age of the oldest of them when the site was killed", age, "s", ""),
    ]
    if mode == "asynchronous":
        claim = f"Shown of a copy that stood still for 4 s and {BEHIND_MIB} MiB of rows"
        rows.append(("behind", claim, round(found.behind_seconds, 1), "s", ">= 2"))
        rows.append(("behind.bytes", claim, found.behind_bytes, "bytes", f">= {BEHIND_MIB * 2**20}"))
    for name, claim, value, unit, wanted in rows:
        more = {"goal": wanted} if wanted else {}
        evidence.record(
            environment, f"recovery.{mode}.{name}", f"{claim} ({mode})", value, unit=unit, **more, **save
        )


if __name__ == "__main__":
    typer.run(main)
