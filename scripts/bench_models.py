#!/usr/bin/env python3
"""How fast role model_store brings a model, against `cp`, and against `cp` with `sha256sum`, in one run.

    .venv/bin/python scripts/bench_models.py [--size 1024] [--files 8] [--rounds 3] [--record ENV]

All of them read the same folder (in memory after the first time) and end when the copy is on the disk; only
`cp` alone does not know whether it is right. The model store hashes while it copies, several files at a time.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bedplate import evidence, paths
from bedplate.console import out, progress

sys.path.insert(0, str(paths.ROOT))
from tests.model_folder import MIB, Sample, make

COMMAND = "python scripts/bench_models.py --record {}"
MODULE = (
    "import json, sys; sys.path[:0] = sys.argv[2:]; from tests.ansible_module import Module;"
    " print(json.dumps(Module('model_store')(json.loads(sys.argv[1]))))"
)


def main(
    size: Annotated[int, typer.Option(help="MiB of the model", min=8)] = 1024,
    files: Annotated[int, typer.Option(help="Files of the model", min=1)] = 8,
    rounds: Annotated[int, typer.Option(help="Measurements of each; the median counts", min=1)] = 3,
    folder: Annotated[
        Path | None, typer.Option(help="Where to work, on the disk to be measured; else the cache")
    ] = None,
    record: Annotated[str, typer.Option(help="Environment whose evidence is written")] = "",
) -> None:
    """Measure, print and record."""
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-", dir=folder or paths.cache("bench")) as name:
        work = Path(name)
        parts = {f"model-{number:05}.safetensors": size * MIB // files for number in range(files)}
        sample = make(work / "source", sizes=parts)
        ways: dict[str, Callable[[Path], None]] = {
            "cp": lambda target: copy(sample, target),
            "cp and sha256sum": lambda target: checked_copy(sample, target),
            "model store": lambda target: bring(sample, target),
        }
        seconds = measure(ways, work, rounds)
    report(seconds, sample.size, record)


def measure(ways: dict[str, Callable[[Path], None]], work: Path, rounds: int) -> dict[str, float]:
    """Median seconds of every way; the ways take turns, so that a busy minute hits all of them."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    with progress("Measuring", total=rounds * len(ways)) as step:
        for _ in range(rounds):
            for name, way in ways.items():
                step.say(name)
                target = work / "target"
                os.sync()
                begin = time.monotonic()
                way(target)
                seen[name].append(time.monotonic() - begin)
                shutil.rmtree(target)
                step.advance()
    return {name: statistics.median(times) for name, times in seen.items()}


def copy(sample: Sample, target: Path) -> None:
    """What everybody does."""
    subprocess.run(["cp", "--recursive", "--reflink=never", sample.folder, target], check=True)
    subprocess.run(["sync", "--file-system", target], check=True)


def checked_copy(sample: Sample, target: Path) -> None:
    """What careful people do."""
    copy(sample, target)
    manifest = json.loads((sample.folder / "bedplate-manifest.json").read_text())
    listed = "".join(f"{entry['sha256']}  {entry['path']}\n" for entry in manifest["files"])
    subprocess.run(["sha256sum", "--check", "--quiet"], cwd=target, input=listed, text=True, check=True)


def bring(sample: Sample, target: Path) -> None:
    """The module, in a process of its own as on a host."""
    words = {"store": str(target), "models": [sample.wish], "sources": [{"url": f"file://{sample.root}"}]}
    found = [str(paths.ROOT), str(paths.ROOT / "plugins" / "module_utils")]
    command = [sys.executable, "-c", MODULE, json.dumps(words), *found]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    if not answer.get("changed"):
        raise SystemExit(f"the model did not come: {answer.get('msg')}")


def report(seconds: dict[str, float], size: int, environment: str) -> None:
    """Print what was measured, and write it down where asked to."""
    for name, took in seconds.items():
        out.print(f"{name:18} {took:7.2f} s  {size / took / 1e6:8.0f} MB/s", highlight=False)
    plain = seconds["cp"] / seconds["model store"]
    careful = seconds["cp and sha256sum"] / seconds["model store"]
    out.print(
        f"model store against cp {plain:.2f}x, against cp and sha256sum {careful:.2f}x", highlight=False
    )
    if not environment:
        return
    save = {"unit": "x", "proved_on": "program", "command": COMMAND.format(environment)}
    claim = "Speed of the model store, which hashes while it copies, against cp, which does not"
    evidence.record(environment, "hosts.model_store.against_cp", claim, round(plain, 2), **save)
    claim = "Speed of the model store against cp followed by sha256sum"
    evidence.record(
        environment, "hosts.model_store.against_checked_cp", claim, round(careful, 2), goal=">= 1", **save
    )


if __name__ == "__main__":
    typer.run(main)
