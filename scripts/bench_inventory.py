#!/usr/bin/env python3
"""What a large inventory costs the controller: 1,000 hosts against 2, measured alternately in one run.

    .venv/bin/python scripts/bench_inventory.py [--hosts 1000] [--rounds 3] [--record lab]

Prints, for both sizes, `bedplate check` that knows nothing yet, the same after a host was added, and
ansible-playbook limited to that host: a play of as many tasks as site.yml executes on a second run, none of
which does anything, so that nothing but the controller's own work is measured. Times are CPU seconds of the
programs, which other work on the machine changes little; wall time beside. Then what `bedplate init` asks of
a person, and how long it takes to write a checked inventory.
"""

import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bedplate import evidence, paths
from bedplate.console import out, progress
from bedplate.inventory import ansible_env, ansible_program
from bedplate.scaffold.answers import Answers
from bedplate.scaffold.generate import files, sample
from bedplate.scaffold.write import write

TASKS = 40  # goal for a second run of site.yml
SMALL = 2
NEW_HOST = "big-gpu1"
ANSWERS = paths.ROOT / "docs" / "examples" / "answers.yml"
ELSEWHERE = """
import sys
from pathlib import Path
from bedplate import paths
paths.INVENTORIES = Path(sys.argv.pop(1))
from bedplate.cli import main
main()
"""
COMMAND = "python scripts/bench_inventory.py --record {}"


Key = tuple[str, int]  # what is measured, for how many hosts
NAMES = {"check": "bedplate check", "added": "the same, one host added since"}


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds of one program."""

    cpu: float
    wall: float


def main(
    hosts: Annotated[int, typer.Option(help="Hosts of the large inventory", min=7)] = 1000,
    rounds: Annotated[int, typer.Option(help="Measurements of each; the median counts", min=1)] = 3,
    record: Annotated[str, typer.Option(help="Environment whose evidence is written")] = "",
) -> None:
    """Measure, print and record."""
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as name:
        work = Path(name)
        folders = {SMALL: work / "small", hosts: work / "large"}
        for count, folder in folders.items():
            write(files(two() if count == SMALL else sample(count)), folder)
        play = work / "play.yml"
        play.write_text(yaml.safe_dump([idle_play()]))
        commands = {
            (what, count): command(what, folder, play)
            for count, folder in folders.items()
            for what in ("check", "added", "limit")
        }
        costs = measure(commands, rounds, work)
        begun = [
            run(init(work / "new", f"rack{number}", "--answers", str(ANSWERS))) for number in range(rounds)
        ]
        questions = asked(work / "asked")
    report(costs, hosts, record)
    report_init(statistics.median(cost.cpu for cost in begun), questions, record)


def two() -> Answers:
    """One machine of control plane and one GPU node."""
    large = sample(7)
    kinds = {name: replace(large.machines[name], count=1) for name in ("control_plane", "gpu_nodes")}
    return replace(large, machines=kinds)


def idle_play() -> dict[str, object]:
    """As many tasks as a second run executes; each renders a variable, none changes anything."""
    task = {"ansible.builtin.debug": {"msg": "{{ site_domain }} {{ vlan_network_addresses.cluster }}"}}
    tasks = [{"name": f"Task {number}", **task} for number in range(TASKS)]
    return {"name": "One host", "hosts": "all", "gather_facts": False, "connection": "local", "tasks": tasks}


def command(what: str, folder: Path, play: Path) -> list[str]:
    """The program to measure."""
    if what in ("check", "added"):
        return [sys.executable, "-m", "bedplate", "check", "-i", str(folder)]
    return [ansible_program("ansible-playbook"), str(play), "-i", str(folder), "--limit", NEW_HOST]


def init(folder: Path, *words: str) -> list[str]:
    """`bedplate init`, writing into another folder than the project's inventories."""
    return [sys.executable, "-c", ELSEWHERE, str(folder), "init", *words]


def asked(folder: Path) -> int:
    """Questions of `bedplate init`, each answered with Enter."""
    typed = "\n" * 100
    done = subprocess.run(
        init(folder, "asked"), input=typed, check=True, capture_output=True, text=True, env=ansible_env()
    )
    return len(re.findall(r"\([^()]*\): ", done.stderr + done.stdout))


def measure(commands: dict[Key, list[str]], rounds: int, work: Path) -> dict[Key, Cost]:
    """Median cost of every command; the commands take turns, so that a busy minute hits all of them."""
    seen: dict[Key, list[Cost]] = {key: [] for key in commands}
    with progress("Measuring", total=rounds * len(commands)) as step:
        for number in range(rounds):
            for (what, count), words in commands.items():
                step.say(f"{what}, {count} hosts")
                if what == "added":  # what was known before is known, the host is not
                    add(Path(words[-1]), number)
                seen[what, count].append(run(words, work / f"cache{number}"))
                step.advance()
    return {
        key: Cost(statistics.median(c.cpu for c in costs), statistics.median(c.wall for c in costs))
        for key, costs in seen.items()
    }


def add(folder: Path, number: int) -> None:
    """The host as if it were new: no check has seen its disks nor its addresses."""
    hardware, network = (folder / "host_vars" / NEW_HOST / f"{name}.yml" for name in ("hardware", "network"))
    hardware.write_text(re.sub("PLANNED|ADDED[0-9]", f"ADDED{number}", hardware.read_text()))
    network.write_text(f"{network.read_text()}# {number}\n")


def run(words: list[str], cache: Path | None = None) -> Cost:
    """One run, which has to succeed; ``cache`` is where it may remember things."""
    settings = ansible_env() | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(words, check=True, capture_output=True, env=settings)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.monotonic() - begin)


def report(costs: dict[Key, Cost], hosts: int, environment: str) -> None:
    """Print what was measured, and write it down where asked to."""
    for (what, count), cost in costs.items():
        name = NAMES.get(what, f"{TASKS} idle tasks, --limit one host")
        line = f"{name:36} {count:6,} hosts  {cost.cpu:6.2f} s CPU  {cost.wall:6.2f} s wall"
        out.print(line, highlight=False, soft_wrap=True)

    def total(count: int) -> float:
        return costs["added", count].cpu + costs["limit", count].cpu

    ratio = costs["limit", hosts].cpu / costs["limit", SMALL].cpu
    checked = total(hosts) / total(SMALL)
    what = f"adding one host to {hosts:,} against adding one to {SMALL}"
    out.print(f"{what}: {ratio:.2f}x, with the check {checked:.2f}x", highlight=False, soft_wrap=True)
    if not environment:
        return
    save = {"proved_on": "program", "command": COMMAND.format(environment)}
    cpu = round(costs["check", hosts].cpu, 1)
    claim = f"CPU time of bedplate check of {hosts:,} generated hosts"
    evidence.record(environment, "hosts.check.thousand", claim, cpu, unit="s", goal="< 10", **save)
    claim = (
        f"Controller's CPU time of {TASKS} tasks limited to one of {hosts:,} hosts, against one of {SMALL}"
    )
    evidence.record(
        environment, "hosts.check.add_one", claim, round(ratio, 2), unit="x", goal="<= 1.2", **save
    )
    claim = f"The same with the check of the whole inventory before it, against all of that for {SMALL} hosts"
    evidence.record(
        environment, "hosts.check.add_one_checked", claim, round(checked, 2), unit="x", goal="<= 1.2", **save
    )
    claim = f"CPU time of bedplate check of {hosts:,} hosts of which one was added since the last check"
    added = round(costs["added", hosts].cpu, 1)
    evidence.record(environment, "hosts.check.added", claim, added, unit="s", goal="< 5", **save)


def report_init(seconds: float, questions: int, environment: str) -> None:
    """The same for a new inventory."""
    line = f"bedplate init: {questions} questions, then {seconds:.1f} s CPU to a checked inventory"
    out.print(line, highlight=False)
    if not environment:
        return
    save = {"proved_on": "program", "command": COMMAND.format(environment)}
    claim = "Questions of bedplate init, each with an answer to start from; a file of answers asks none"
    evidence.record(environment, "hosts.init.questions", claim, questions, goal="<= 20", **save)
    claim = "CPU time of bedplate init with answers, from its start to an inventory that passes the check"
    evidence.record(
        environment, "hosts.init.seconds", claim, round(seconds, 1), unit="s", goal="< 10", **save
    )


if __name__ == "__main__":
    typer.run(main)
