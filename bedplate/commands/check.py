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
    source = read(*inventory)
    outcome = check(source)
    source.memory.keep()
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
    warned = _counted(len(outcome.warnings), "warnings")
    if outcome.errors:
        says = ", ".join(filter(None, [_counted(len(outcome.errors), "errors"), warned]))
        says = f"[red]✗[/] {outcome.environment}: {says}; nothing was touched"
        console.err.print(says, highlight=False, soft_wrap=True)
    else:
        looked = [_counted(count, name) for name, count in outcome.counts.items()]
        says = f"[green]✓[/] {outcome.environment}: {', '.join(filter(None, [*looked, warned]))}"
        console.out.print(says, highlight=False, soft_wrap=True)


def _counted(count: int, name: str) -> str:
    """``3 hosts``, ``1 GPU``; nothing for none."""
    plural = {"gpus": "GPUs", "nics": "NICs"}.get(name, name)
    return f"{count:,} {plural if count != 1 else plural.removesuffix('s')}" if count else ""
