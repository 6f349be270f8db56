"""`bedplate check`: everything that can be known to be wrong before a host is touched."""

from pathlib import Path
from typing import Annotated

import typer

from bedplate import console
from bedplate.check.run import Outcome, check
from bedplate.check.source import read
from bedplate.errors import VERDICT_NO, BadInput

InventoryOption = Annotated[
    list[Path],
    typer.Option("-i", "--inventory", help="Inventory, for example inventories/lab; later ones win"),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(run)


def run(
    inventory: InventoryOption,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Check an inventory: every error with file, line, key, value and remedy; no host is touched.

    Exit code 0 when nothing has to be corrected (warnings are allowed), 1 when something has, 2 when the
    inventory cannot be read at all.
    """
    outcome = check(read(*inventory))
    if json:
        console.print_json(outcome.as_dict())
    else:
        show(outcome)
    if outcome.errors:
        raise typer.Exit(VERDICT_NO)


def show(outcome: Outcome) -> None:
    """The outcome for people: warnings, errors, one line of verdict."""
    if outcome.findings:
        console.print_error(BadInput(list(outcome.findings)))
    counts = outcome.counts
    looked = ", ".join(f"{count:,} {_noun(name, count)}" for name, count in counts.items() if count)
    warned = (
        f", {len(outcome.warnings)} {_noun('warnings', len(outcome.warnings))}" if outcome.warnings else ""
    )
    if outcome.errors:
        wrong = f"{len(outcome.errors)} {_noun('errors', len(outcome.errors))}{warned}"
        console.err.print(f"[red]✗[/] {outcome.environment}: {wrong}; nothing was touched", highlight=False)
    else:
        console.out.print(f"[green]✓[/] {outcome.environment}: {looked}{warned}", highlight=False)


def _noun(name: str, count: int) -> str:
    special = {"gpus": "GPUs", "nics": "NICs"}
    plural = special.get(name, name)
    return plural if count != 1 else plural.removesuffix("s")
