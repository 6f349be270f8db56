"""`bedplate twin`: the inventory's hosts as virtual machines."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bedplate.console import err, out, print_json
from bedplate.errors import BAD_INPUT, OUTSIDE_FAILED, BedplateError
from bedplate.twin import faults, snapshots
from bedplate.twin.lab import CPUS, MEMORY, Size, Twin

Inventory = Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
Host = Annotated[str, typer.Argument(help="name of the host in the inventory")]
Serial = Annotated[str, typer.Argument(help="serial of a data disk in hardware_disks")]
app = typer.Typer(
    help="The inventory's hosts as virtual machines: same disks, same NICs, same VLANs.", no_args_is_help=True
)


disk = typer.Typer(
    help="Take disks out, make them fail, fill them; each can be taken back.", no_args_is_help=True
)
link = typer.Typer(help="Pull and plug the cable of a NIC.", no_args_is_help=True)
app.add_typer(disk, name="disk")
app.add_typer(link, name="link")


def register(parent: typer.Typer) -> None:
    """Add the command group."""
    parent.add_typer(app, name="twin")


@app.command()
def up(  # noqa: PLR0917 - options of a command, given by name
    inventory: Inventory,
    memory: Annotated[list[str], typer.Option(help=f"MIB or HOST=MIB; default {MEMORY}")] = [],  # noqa: B006
    cpus: Annotated[list[str], typer.Option(help=f"NUMBER or HOST=NUMBER; default {CPUS}")] = [],  # noqa: B006
    internet: Annotated[bool, typer.Option(help="let the machines reach the internet")] = False,
    medium: Annotated[
        Path | None,
        typer.Option(help="image of a file system, as a disc in every machine's drive", exists=True),
    ] = None,
    mirror: Annotated[
        int,
        typer.Option(help="port of 127.0.0.1 (bedplate bundle serve) that machines reach", min=0, max=65535),
    ] = 0,
) -> None:
    """Build the machines, boot them, wait until they take commands. Again: boots what is off."""
    (memory_all, memory_of), (cpus_all, cpus_of) = sizes("--memory", memory), sizes("--cpus", cpus)
    size = Size(memory_all or MEMORY, cpus_all or CPUS, memory_of, cpus_of, medium, mirror)
    twin = Twin.load(inventory)
    booted = twin.up(size, internet=internet)
    for machine in booted:
        err.print(f"  {machine.name} booted in {machine.booted_in:.0f} s", highlight=False)
    if not booted:
        err.print("everything is up already")
    if mirror:
        err.print(f"site_mirror: {twin.mirror}", highlight=False)


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
def ssh(host: Host, inventory: Inventory) -> None:
    """Open a shell on HOST."""
    argv = Twin.load(inventory).machine(host).connection.ssh(host, batch=False)
    os.execvp(argv[0], argv)  # noqa: S606 - ssh takes over this terminal


@app.command(context_settings={"ignore_unknown_options": True})
def run(host: Host, command: list[str], inventory: Inventory, json: Json = False) -> None:
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


@app.command("power-cut")
def power_cut(
    host: Host,
    inventory: Inventory,
    boot: Annotated[bool, typer.Option("--boot", help="switch it on again and wait")] = False,
) -> None:
    """Take the power away from HOST at once. `up` switches on again what is off."""
    twin = Twin.load(inventory)
    machine = twin.machine(host)
    machine.power_cut()
    if boot:
        machine.boot()
        twin.wait([machine])


@app.command()
def save(name: str, inventory: Inventory) -> None:
    """Save the disks of all machines as NAME; machines that run are powered down for it and booted again."""
    snapshots.save(Twin.load(inventory), name)


@app.command()
def restore(name: str, inventory: Inventory) -> None:
    """Put all machines back into the state NAME and boot them."""
    snapshots.restore(Twin.load(inventory), name)


@disk.command("pull")
def disk_pull(host: Host, serial: Serial, inventory: Inventory) -> None:
    """Take a disk out of a running machine."""
    faults.pull(Twin.load(inventory).machine(host), serial)


@disk.command("push")
def disk_push(
    host: Host,
    serial: Serial,
    inventory: Inventory,
    blank: Annotated[bool, typer.Option("--blank", help="an empty disk instead of the pulled one")] = False,
) -> None:
    """Put a pulled disk back into its slot."""
    faults.push(Twin.load(inventory).machine(host), serial, blank=blank)


@disk.command("fail")
def disk_fail(host: Host, serial: Serial, inventory: Inventory) -> None:
    """Make a disk answer every request with an I/O error."""
    faults.fail(Twin.load(inventory).machine(host), serial)


@disk.command("heal")
def disk_heal(host: Host, serial: Serial, inventory: Inventory) -> None:
    """Make a failing disk work again."""
    faults.heal(Twin.load(inventory).machine(host), serial)


@disk.command("fill")
def disk_fill(
    host: Host,
    mount: str,
    inventory: Inventory,
    undo: Annotated[bool, typer.Option("--undo", help="free what was filled")] = False,
) -> None:
    """Leave no free space on the file system mounted at MOUNT."""
    (faults.unfill if undo else faults.fill)(Twin.load(inventory).machine(host), mount)


@link.command("down")
def link_down(host: Host, nic: str, inventory: Inventory) -> None:
    """Pull the cable of a NIC: the machine loses its carrier."""
    faults.link(Twin.load(inventory).machine(host), nic, up=False)


@link.command("up")
def link_up(host: Host, nic: str, inventory: Inventory) -> None:
    """Plug the cable in again."""
    faults.link(Twin.load(inventory).machine(host), nic, up=True)
