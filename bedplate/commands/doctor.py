"""``bedplate doctor``: what this machine has, which copies are used, what is missing. Reads only."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from bedplate import console
from bedplate.doctor import examine
from bedplate.errors import VERDICT_NO

_MARK = {"ok": "[green]✓[/]", "missing": "[red]✗[/]", "absent": "[yellow]-[/]"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Say what this machine has of what Bedplate uses, and what to do about the rest. Changes nothing.

    Exit 1 when something is missing that is always needed."""
    with console.progress("look at this machine"):
        checks = examine()
    if as_json:
        console.print_json([asdict(check) for check in checks])
    else:
        table = Table(box=None, show_header=False)
        for column in ("", "", "found", "remedy"):
            table.add_column(column, overflow="fold")
        for check in checks:
            table.add_row(_MARK[check.state], check.subject, check.found, check.remedy)
        console.out.print(table)
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(VERDICT_NO)
