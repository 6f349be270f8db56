#!/usr/bin/env python3
"""A real Milvus with our configuration: memory of its indexes against `bedplate vectors`, recall and
time of searches against brute force, and whether what was acknowledged survives a restart and kill -9.

    .venv/bin/python scripts/bench_milvus.py [--size 100000] [--dimensions 384] [--record ENV]

Release 2.3.5, the newest that a package index carries, with its own log; made vectors (tests/integration).
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bedplate import evidence, paths
from bedplate.console import out, progress
from bedplate.units import quantity

sys.path.extend(map(str, (paths.ROOT, paths.PULUMI, paths.MODULE_UTILS)))
from tests.integration.milvus_proofs import Held, ask, cut, hold
from tests.integration.milvus_server import running

COMMAND = "python scripts/bench_milvus.py --record {}"
LAST = "HNSW_4"


def main(
    size: Annotated[int, typer.Option(help="Rows of the largest collection", min=4_000)] = 100_000,
    dimensions: Annotated[int, typer.Option(help="Of each vector", min=8)] = 384,
    record: Annotated[str, typer.Option(help="Environment whose evidence is written")] = "",
) -> None:
    """Measure, print and record."""
    shapes = {"HNSW_1": size // 4, "HNSW_2": size // 2, LAST: size, "IVF_SQ8_4": size}
    with (
        tempfile.TemporaryDirectory(prefix="bedplate-bench-", dir=paths.cache("bench")) as name,
        progress("Measuring", total=2) as step,
        running(Path(name)) as milvus,
    ):
        step.say("indexes")
        held = hold(milvus, shapes, dimensions)
        step.advance()
        step.say("kill -9")
        killed = f"killed:{dimensions}"
        ask(milvus, "knowledge", "create", killed)
        lost = cut(milvus, killed, 0, 100)
    show(held)
    out.print(f"killed after {lost['acknowledged']} acknowledged rows: {lost['missing']} missing")
    if record:
        write(record, held, lost, dimensions)


def show(held: list[Held]) -> None:
    """As a table."""
    table = Table(
        "index", "rows", "inserted", "memory", "advised", "recall@10", "p50", "p99", "brute force p99"
    )
    for one in held:
        memory = [quantity(one.measured), quantity(one.advised), f"{one.recall:.3f}"]
        times = [f"{ms:.1f} ms" for ms in (one.milvus["p50"], one.milvus["p99"], one.brute_force["p99"])]
        table.add_row(one.kind, str(one.rows), f"{one.inserted:.0f} s", *memory, *times)
    out.print(table)


def write(environment: str, held: list[Held], lost: dict[str, int], dimensions: int) -> None:
    """What is claimed of it."""
    [last] = [one for one in held if one.kind == "HNSW" and one.rows == max(h.rows for h in held)]
    rows = f"{last.rows} rows of {dimensions} dimensions"
    save = {"proved_on": "program", "command": COMMAND.format(environment)}
    for one in held:
        claim = f"Memory of {one.kind} with {one.rows} rows of {dimensions} dimensions, of what is advised"
        share = round(one.measured / one.advised, 2)
        key = f"data.milvus.memory.{one.kind.lower()}.{one.rows}"
        evidence.record(environment, key, claim, share, unit="x", goal="<= 1", **save)
    claim = f"recall@10 of HNSW against brute force, after a restart, {rows}"
    evidence.record(
        environment, "data.milvus.bench.recall", claim, round(last.recall, 4), goal=">= 0.95", **save
    )
    claim = f"Rows that are missing after a restart, {rows}"
    missing = sum(one.missing for one in held)
    evidence.record(
        environment, "data.milvus.bench.restart", claim, missing, unit="rows", goal="== 0", **save
    )
    claim = f"99th percentile of a search, one at a time, {rows} (brute force {last.brute_force['p99']} ms)"
    evidence.record(
        environment, "data.milvus.bench.p99", claim, last.milvus["p99"], unit="ms", goal="< 500", **save
    )
    claim = f"Acknowledged rows that kill -9 in mid insert loses, of {lost['acknowledged']}"
    evidence.record(
        environment, "data.milvus.bench.killed", claim, lost["missing"], unit="rows", goal="== 0", **save
    )


if __name__ == "__main__":
    typer.run(main)
