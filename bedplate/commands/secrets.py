"""`bedplate secrets`: make or rotate the secrets of an environment's platform."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bedplate import stack_secrets
from bedplate.console import err, print_json
from bedplate.inventory import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="secrets")(secrets)


def secrets(
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    rotate: Annotated[
        list[str] | None, typer.Option(help="name of a secret to make anew; may be given several times")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Make the secrets that the platform's Pulumi stack lacks, and rotate those that are named.

    Values are made here, handed to Pulumi on standard input and kept encrypted; none is printed.
    """
    environment = load(inventory)
    run = stack_secrets.cli()
    stack_secrets.select(run, environment.environment)
    catalogue = environment.shared["catalogue_secrets"]
    changes = stack_secrets.ensure(run, environment.environment, catalogue, rotate or [])
    if json:
        print_json([asdict(change) for change in changes])
        return
    for change in changes:
        err.print(f"{change.action}: {change.name} ({catalogue[change.name]['purpose']})", highlight=False)
    if not changes:
        err.print("every secret is there already")
