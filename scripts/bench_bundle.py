#!/usr/bin/env python3
"""How long a bundle takes to build and to verify, and the same bytes through `sha256sum`, in one run.

    .venv/bin/python scripts/bench_bundle.py -i inventories/ENV [--only packages,wheels] [--folder F]
                                             [--rounds 3] [--record ENV]

Verify reads every byte of what was built, as `sha256sum` does when it is given the same files, as many at a
time. Both read from memory after the first round, so what is compared is the hashing and not the disk.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bedplate import evidence, paths
from bedplate.bundle import distributions, tree
from bedplate.bundle.build import KINDS, Built, Order, build
from bedplate.console import out

COMMAND = "python scripts/bench_bundle.py -i {} --only {} --record {}"
MB = 1e6


def main(
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    only: Annotated[str, typer.Option(help="kinds, with commas")] = ",".join(KINDS),
    folder: Annotated[
        Path | None, typer.Option(help="Where the bundle is built and stays; else it goes")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Measurements of each; the median counts", min=1)] = 3,
    record: Annotated[str, typer.Option(help="Environment whose evidence is written")] = "",
) -> None:
    """Build, measure, print and record."""
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-", dir=paths.cache("bench")) as name:
        kinds, target = tuple(only.split(",")), folder or Path(name) / "bundle"
        order = Order(inventory, target.resolve(), distributions.parse("", "amd64"), kinds=kinds)
        first, again = build(order), build(order)
        manifest = tree.opened(order.out, order.out / "bundle.pub")
        ways: dict[str, Callable[[], object]] = {
            "sha256sum": lambda: sha256sum(order.out, [file.path for file in manifest.files]),
            "verify": lambda: tree.verify(order.out, manifest),
        }
        seconds: dict[str, list[float]] = {label: [] for label in ways}
        for _ in range(rounds):
            for label, way in ways.items():
                begun = time.monotonic()
                way()
                seconds[label].append(time.monotonic() - begun)
    speeds = {label: manifest.bytes / MB / statistics.median(took) for label, took in seconds.items()}
    report(first, again, speeds, COMMAND.format(inventory, only, record), record)


def sha256sum(bundle: Path, files: list[str]) -> None:
    """The same bytes through coreutils, as many files at a time as verify reads."""
    command = ["xargs", "-0", "-n", "16", "-P", str(tree.JOBS), "sha256sum"]
    given = "\0".join(files).encode()
    subprocess.run(command, cwd=bundle, input=given, stdout=subprocess.DEVNULL, check=True)


def report(first: Built, again: Built, speeds: dict[str, float], command: str, record: str) -> None:
    """Print the figures and, where an environment is named, record them."""
    megabytes, ratio = first.manifest.bytes / MB, speeds["verify"] / speeds["sha256sum"]
    rows = (
        ("size", f"Size of a bundle ({', '.join(first.fetched)})", megabytes, "MB", ""),
        ("build", "Building it, with what this machine has in no cache", first.seconds / 60, "min", ""),
        ("again", "Building it again when nothing changed", again.seconds, "s", ""),
        ("fetched", "Files that the second build fetched", sum(again.fetched.values()), "", "== 0"),
        ("verify", f"Verify reads, {os.cpu_count()} cores", speeds["verify"], "MB/s", ""),
        ("sha256sum", "The same files through sha256sum, as many at a time", speeds["sha256sum"], "MB/s", ""),
        ("ratio", "Verify's speed as a share of sha256sum's, in one run", ratio, "", ">= 0.8"),
    )
    for name, claim, value, unit, goal in rows:
        out.print(f"{claim}: {value:.2f} {unit}", highlight=False)
        if record:
            evidence.record(
                record,
                f"hosts.bundle.{name}",
                claim,
                round(value, 2),
                unit=unit,
                goal=goal,
                proved_on="program",
                command=command,
            )


if __name__ == "__main__":
    typer.run(main)
