"""`bedplate twin`: the inventory's hosts as virtual machines."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bedplate.console import err, out, print_json
from bedplate.errors import BAD_INPUT, OUTSIDE_FAILED, BedplateError
from bedplate.twin.lab import CPUS, MEMORY, Size, Twin

Inventory = Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
app = typer.Typer(
    help="The inventory's hosts as virtual machines: same disks, same NICs, same VLANs.", no_args_is_help=True
)


def register(parent: typer.Typer) -> None:
    """Add the command group."""
    parent.add_typer(app, name="twin")


@app.command()
def up(
    inventory: Inventory,
    memory: Annotated[list[str], typer.Option(help=f"MIB or HOST=MIB; default {MEMORY}")] = [],  # noqa: B006
    cpus: Annotated[list[str], typer.Option(help=f"NUMBER or HOST=NUMBER; default {CPUS}")] = [],  # noqa: B006
    internet: Annotated[bool, typer.Option(help="let the machines reach the internet")] = False,
) -> None:
    """Build the machines, boot them, wait until they take commands. Again: boots what is off."""
    (memory_all, memory_of), (cpus_all, cpus_of) = sizes("--memory", memory), sizes("--cpus", cpus)
    size = Size(memory_all or MEMORY, cpus_all or CPUS, memory_of, cpus_of)
    twin = Twin.load(inventory)
    booted = twin.up(size, internet=internet)
    for machine in booted:
        err.print(f"  {machine.name} booted in {machine.booted_in:.0f} s", highlight=False)
    if not booted:
        err.print("everything is up already")


def sizes(option: str, given: list[str]) -> tuple[int | None, tuple[tuple[str, int], ...]]:
    """Pure: ``4096`` and ``HOST=4096`` as (default, by host). Raises BedplateError for anything else."""
    default, by_host = None, []
    for text in given:
        host, _, number = text.rpartition("=")
        if not number.isdecimal() or int(number) == 0:
            raise BedplateError(f"{option} {text} is neither a number nor HOST=NUMBER", code=BAD_INPUT)
        if host:
            by_host.append((host, int(number)))
        else:
            default = int(number)
    return default, tuple(by_host)


@app.command()
def down(inventory: Inventory) -> None:
    """End the machines and remove everything they left."""
    existed = Twin.load(inventory).down()
    err.print("the twin is gone" if existed else "there was no twin")


@app.command()
def status(inventory: Inventory, json: Json = False) -> None:
    """What runs, and which faults are switched on."""
    document = Twin.load(inventory).status()
    if json:
        print_json(document)
        return
    table = Table("host", "power", "ssh port", "pulled", "failing", "links down")
    for host in document["machines"]:
        faults = [" ".join(host[key]) or "-" for key in ("pulled", "failed", "links_down")]
        table.add_row(host["name"], "on" if host["running"] else "off", str(host["port"]), *faults)
    out.print(table)
    for name, runs in document["services"].items():
        out.print(f"{name}: {'runs' if runs else 'does not run'}", highlight=False)


@app.command()
def ssh(host: str, inventory: Inventory) -> None:
    """Open a shell on HOST."""
    argv = Twin.load(inventory).machine(host).connection.ssh(host, batch=False)
    os.execvp(argv[0], argv)  # noqa: S606 - ssh takes over this terminal


@app.command(context_settings={"ignore_unknown_options": True})
def run(host: str, command: list[str], inventory: Inventory, json: Json = False) -> None:
    """Run COMMAND on HOST, or on every machine when HOST is `all`; ends with the highest exit code."""
    twin = Twin.load(inventory)
    machines = twin.machines() if host == "all" else [twin.machine(host)]
    results = {m.name: m.ssh(" ".join(command)) for m in machines}
    if json:
        print_json(results)
    for name, result in ({} if json else results).items():
        prefix = f"{name}: " if len(results) > 1 else ""
        sys.stdout.writelines(f"{prefix}{line}\n" for line in result.out.splitlines())
        sys.stderr.writelines(f"{prefix}{line}\n" for line in result.err.splitlines())
    code = max(r.code for r in results.values())
    raise typer.Exit(OUTSIDE_FAILED if code == 255 else code)  # noqa: PLR2004 - ssh's own failure
