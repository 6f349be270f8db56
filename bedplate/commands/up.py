"""``bedplate up`` and ``down``: the whole rehearsal of an environment, hosts and platform, in one command."""

from pathlib import Path
from typing import Annotated

import typer

from bedplate import evidence, paths, report, site
from bedplate.check.run import check
from bedplate.check.source import read
from bedplate.commands.check import show as show_check
from bedplate.commands.tools import build_command
from bedplate.console import out
from bedplate.errors import VERDICT_NO
from bedplate.rehearse import rehearsal, result, show
from bedplate.tools import spec
from bedplate.twin.lab import Twin

Inventory = Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")]


def register(app: typer.Typer) -> None:
    """Add ``up`` and ``down`` to the command line."""
    app.command()(up)
    app.command()(down)


def up(
    inventory: Inventory,
    hosts: Annotated[bool, typer.Option(help="build the twin and run site.yml on it")] = True,
    platform: Annotated[bool, typer.Option(help="rehearse the platform")] = True,
) -> None:
    """Check the inventory, build its twin, run site.yml on it, rehearse the platform, write the report.

    Run it again and nothing changes; interrupted, it goes on where it was. Ends with 1 when the inventory is
    wrong or the platform does not fit; goals that were missed (times, ratios) stand in the report.
    """
    outcome = check(read(inventory))
    show_check(outcome)
    if outcome.errors:
        raise typer.Exit(VERDICT_NO)
    if hosts:
        _rehearse_hosts(inventory)
    fits = _rehearse_platform(inventory) if platform else True
    file, page = report.write(inventory)
    out.print(f"{page.headline}\n  {file.relative_to(paths.ROOT)}", markup=False, highlight=False)
    if not fits:
        raise typer.Exit(VERDICT_NO)


def down(inventory: Inventory) -> None:
    """End the twin of the environment and remove everything it left; results stay."""
    Twin.load(inventory).down()


def _rehearse_hosts(inventory: Path) -> None:
    twin = Twin.load(inventory)
    bare = not twin.exists
    twin.up()
    done = site.converge(inventory, [twin.overlay], accelerator=twin.accelerator)
    out.print(site.sentence(done), highlight=False)
    if bare:
        evidence.record(
            twin.environment,
            "hosts.first_run.seconds",
            "site.yml turns bare machines into configured hosts in",
            round(done.seconds),
            unit="s",
            goal="< 1500",
            proved_on="twin",
            command=f"bedplate up -i inventories/{twin.environment}",
            machine={"accelerator": twin.accelerator},
        )


def _rehearse_platform(inventory: Path) -> bool:
    build_command([name for name, program in spec.load().items() if program.set == "rehearsal"])
    told = rehearsal.rehearse(inventory)
    result.write(told)
    show.show(told, out)
    return told.word == result.FITS
