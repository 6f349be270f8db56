"""`bedplate discover`: what is in the machines, read from the machines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bedplate import paths
from bedplate.check.words import choose
from bedplate.console import err, out, print_error, print_json, progress
from bedplate.discover import document
from bedplate.discover.hardware import Hardware, interpret
from bedplate.discover.reader import Target, read_all, target
from bedplate.errors import OUTSIDE_FAILED, BadInput, BedplateError, Finding
from bedplate.inventory import Vars, load

Sources = Annotated[
    list[Path],
    typer.Option("-i", "--inventory", help="Inventory, for example inventories/lab; later ones win"),
]
Hosts = Annotated[
    list[str], typer.Argument(help="Hosts; none: all hosts of the inventory", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("discover")(run)


def run(
    hosts: Hosts = [],  # noqa: B006 - typer copies it
    inventory: Sources = [],  # noqa: B006
    user: Annotated[str | None, typer.Option(help="Log in as this user")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write host_vars/HOST/hardware.yml")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Read CPUs, memory, GPUs, disks and NICs of hosts over SSH; nothing on them is changed.

    Prints the hardware_ part of each host as it stands in an inventory, or writes it with --write. What a
    machine cannot say (its rack) is kept. Exit code 3 when a host could not be read.
    """
    known = _known(hosts, inventory, write)
    targets = [target(name, variables, user) for name, variables in known.items()]
    found, failures = discover(targets)
    if json:
        print_json({name: host.variables for name, host in found.items()})
    elif not write:
        _show(found, known)
    if write:
        _write(found, known, inventory[0])
    for name, host in found.items():
        for remark in host.remarks:
            err.print(f"[yellow]{name}[/]: {remark}", highlight=False, soft_wrap=True)
    for failure in failures.values():
        print_error(failure)
    if failures:
        raise typer.Exit(OUTSIDE_FAILED)


def discover(targets: list[Target]) -> tuple[dict[str, Hardware], dict[str, BedplateError]]:
    """Read all targets side by side: what they are, and why some could not be read, in the order given."""
    catalogue = _catalogue()
    with progress(f"Reading {_hosts(len(targets))}", total=len(targets)) as step:

        def seen(name: str) -> None:
            step.advance()
            step.say(name)

        answers, failures = read_all(targets, seen)
    names = [one.name for one in targets]
    return {name: interpret(answers[name], catalogue) for name in names if name in answers}, failures


def _hosts(count: int) -> str:
    return f"{count} host" + ("" if count == 1 else "s")


def _known(hosts: list[str], sources: list[Path], write: bool) -> dict[str, Vars]:
    """Variables of the wanted hosts by name; a host that is in no inventory has none."""
    if not sources and (write or not hosts):
        raise BadInput(
            Finding(
                "command line",
                "-i",
                "",
                "no inventory is named",
                "name hosts to read, or an inventory: bedplate discover -i inventories/ENV [--write]",
            )
        )
    everyone = load(*sources).hosts if sources else {}
    strangers = [name for name in hosts if sources and name not in everyone]
    if strangers:
        why = f"{sources[0]} has no such host"
        raise BadInput([Finding("command line", "HOSTS", n, why, choose(n, everyone)) for n in strangers])
    return {name: everyone.get(name, {}) for name in (hosts or everyone)}


def _catalogue() -> Vars:
    gpus: Vars = yaml.safe_load((paths.COMMON / "gpus.yml").read_text())["catalogue_gpus"]
    return gpus


def _show(found: Mapping[str, Hardware], known: Mapping[str, Vars]) -> None:
    for name, host in found.items():
        out.print(f"# host_vars/{name}/{document.FILE}", style="dim", highlight=False)
        out.print(document.render(host.variables, known[name]), highlight=False, markup=False, soft_wrap=True)
        if any(key.startswith("hardware_") for key in known[name]):
            lines = document.differences(host.variables, known[name])
            for line in lines or ["as the inventory says"]:
                err.print(f"[yellow]{name}[/]: {line}", highlight=False, soft_wrap=True)


def _write(found: Mapping[str, Hardware], known: Mapping[str, Vars], source: Path) -> None:
    folder = source if source.is_dir() else source.parent
    for name, host in found.items():
        target_folder = folder / "host_vars" / name
        changed = document.write(target_folder, document.render(host.variables, known[name]))
        verb = "wrote" if changed else "already says so:"
        err.print(f"[green]✓[/] {verb} {target_folder / document.FILE}", highlight=False, soft_wrap=True)
