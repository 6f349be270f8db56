#!/usr/bin/env python3
"""A week of backups against a nightly tar.gz of the same data: bytes and seconds a day, measured in one run.

.venv/bin/python scripts/bench_backup.py [--size 200] [--record ENV]

What is backed up: documents that nothing makes smaller (two thirds), models that never change,
configuration in small files, and a real PostgreSQL. Every day 1 % of documents come in and a few are
removed, 1 % of rows come in, 200 young rows and 20 old ones change, and 20 files of configuration are
edited. Both ways get the same dump of the database; its time counts for both. restic writes through its
append-only server, tar.gz to a local file.
"""

import os
import random
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bedplate import evidence, paths
from bedplate.backup import plan, work
from bedplate.console import out, progress

sys.path.insert(0, str(paths.ROOT))
from tests import backup_services as services
from tests.backup_site import HOST, BackupSite

COMMAND = "python scripts/bench_backup.py --record {}"
DAYS = 7
MIB = 2**20
DOCUMENT = 256 * 1024
ROW_BYTES = 700  # of a row of messages in a dump, about
CONFIGS = 1500
CHANGES = """
INSERT INTO messages SELECT n, repeat(md5(n::text), 10), now(), jsonb_build_object('n', n), ARRAY[n, n / 7.0]
  FROM generate_series({last} + 1, {new}) n;
UPDATE messages SET said = said || '.' WHERE id > {last} - 200;
UPDATE messages SET said = said || '.' WHERE id % {step} = {old};
"""


@dataclass(frozen=True)
class Day:
    """What one day cost: bytes that were kept more, and seconds, of both ways."""

    restic_bytes: int
    restic_seconds: float
    tar_bytes: int
    tar_seconds: float

    @property
    def share(self) -> float:
        """restic's bytes in percent of those of tar.gz."""
        return 100 * self.restic_bytes / self.tar_bytes


class Company:
    """Data that changes as that of a small company does; the same in every run."""

    def __init__(self, folder: Path, size: int, server: services.Server) -> None:
        self.folder, self.server, self.chance = folder, server, random.Random(7)  # noqa: S311  data, the same in every run
        self.documents = size * 2 // 3 * MIB // DOCUMENT
        self.rows = size // 5 * MIB // ROW_BYTES
        for name in ("documents", "models", "etc"):
            (folder / name).mkdir(parents=True)
        (folder / "models/weights").write_bytes(self.chance.randbytes(size // 10 * MIB))
        for number in range(CONFIGS):
            self._configure(number)
        self.next = 0
        self._receive(self.documents)
        services.sql(server, services.SQL)
        services.sql(server, services.TABLES.format(rows=self.rows), "dify")

    def live(self) -> None:
        """One more day."""
        self._receive(self.documents // 100)
        for old in self.chance.sample(sorted((self.folder / "documents").iterdir()), 3):
            old.unlink()
        for number in self.chance.sample(range(CONFIGS), 20):
            self._configure(number)
        last = int(services.sql(self.server, "SELECT max(id) FROM messages", "dify"))
        words = {"last": last, "new": last + self.rows // 100, "step": last // 20}
        services.sql(self.server, CHANGES.format(**words, old=self.chance.randrange(1000)), "dify")

    def _receive(self, number: int) -> None:
        for _ in range(number):
            (self.folder / f"documents/{self.next:06}").write_bytes(self.chance.randbytes(DOCUMENT))
            self.next += 1

    def _configure(self, number: int) -> None:
        lines = [f"option_{line} = {self.chance.random()}\n" for line in range(60)]
        (self.folder / f"etc/{number}.conf").write_text("".join(lines))


def main(
    size: Annotated[int, typer.Option(help="MiB of the first day, about", min=30)] = 200,
    record: Annotated[str, typer.Option(help="Environment whose evidence is written")] = "",
) -> None:
    """Live a week, measure, print and record."""
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user
        site = BackupSite(folder / "site")
        site.start()
        stack.callback(site.stop)
        server = stack.enter_context(services.postgres_empty(folder / "postgresql"))
        with progress("Making a company's data"):
            company = Company(folder / "data", size, server)
        items = [
            {"name": "data", "kind": "files", "paths": [str(company.folder)]},
            services.postgres_item(server),
        ]
        config = plan.parse(site.document(items))
        days = []
        with progress("Living a week", total=DAYS) as step:
            for number in range(DAYS):
                if number:
                    company.live()
                days.append(one_day(config, site, company, folder))
                step.advance()
        drilled = work.drill(config, say=lambda line: None)
        if not all(one.ok for one in drilled):
            raise SystemExit("\n".join(one.said for one in drilled))
    report(days, record)


def one_day(config: plan.Config, site: BackupSite, company: Company, folder: Path) -> Day:
    """Back up both ways."""
    before, begin = kept(site), time.monotonic()
    done = work.run(config, say=lambda line: None)
    seconds = time.monotonic() - begin
    if not all(one.ok for one in done):
        raise SystemExit("\n".join(one.said for one in done))
    target, dump, begin = folder / "night.tar.gz", folder / "dump", time.monotonic()
    dump.mkdir(exist_ok=True)
    company.server.dump(dump, company.server.databases())
    with tarfile.open(target, "w:gz", compresslevel=6) as archive:
        archive.add(company.folder)
        archive.add(dump)
    return Day(kept(site) - before, seconds, target.stat().st_size, time.monotonic() - begin)


def kept(site: BackupSite) -> int:
    """Bytes on the server."""
    found = os.walk(site.repositories / HOST)
    return sum((Path(folder) / name).stat().st_size for folder, _, names in found for name in names)


def report(days: list[Day], environment: str) -> None:
    """Print what was measured, and write it down where asked to."""
    for number, day in enumerate(days, 1):
        line = f"day {number}  restic {day.restic_bytes:12,} bytes {day.restic_seconds:6.1f} s"
        line += f"   tar.gz {day.tar_bytes:12,} bytes {day.tar_seconds:6.1f} s   {day.share:6.2f} %"
        out.print(line, highlight=False, soft_wrap=True)
    later = days[1:]
    share = 100 * sum(day.restic_bytes for day in later) / sum(day.tar_bytes for day in later)
    faster = sum(day.tar_seconds for day in later) / sum(day.restic_seconds for day in later)
    worst = max(day.share for day in later)
    out.print(
        f"days 2-7: {share:.2f} % of the bytes (worst {worst:.2f} %), {faster:.1f}x as fast", highlight=False
    )
    if not environment:
        return
    save = {"proved_on": "program", "command": COMMAND.format(environment)}
    claim = "Bytes of days 2 to 7 of a week of backups, against a nightly tar.gz of the same data"
    evidence.record(environment, "backup.week.bytes", claim, round(share, 2), unit="%", goal="<= 5", **save)
    claim = "The worst of these days"
    evidence.record(environment, "backup.week.worst", claim, round(worst, 2), unit="%", goal="<= 5", **save)
    claim = "Speed of the same days, dump of the database included, against tar.gz"
    evidence.record(environment, "backup.week.speed", claim, round(faster, 1), unit="x", goal=">= 1", **save)


if __name__ == "__main__":
    typer.run(main)
