"""``bedplate smoke``: does a running platform work, as its clients would see it."""

from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bedplate import console
from bedplate.errors import VERDICT_NO, BadInput, Finding
from bedplate.inventory import load
from bedplate.smoke.reach import cluster
from bedplate.smoke.run import Result, broken, run
from bedplate.smoke.targets import Target, targets
from bedplate.smoke.web import Address

_MARK = {"works": "[green]✓[/]", "broken": "[red]✗[/]"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="smoke")(smoke)


def smoke(
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    only: Annotated[list[str] | None, typer.Option(help="a component; may be given several times")] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(help="COMPONENT=HOST:PORT, asked there instead of through the API server"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Ask every component of the environment's running platform what its clients ask of it.

    Components are reached by kubectl (KUBECONFIG), which forwards a port to each and reads the Secrets that
    its clients have. What is made to ask is removed again. Exit 1 when something is broken."""
    found = targets(load(inventory))
    wanted = _chosen(found, only or [])
    reach = cluster(_given(found, address or []))
    with console.progress("ask components", len(wanted)) as step:

        def done(result: Result) -> None:
            step.advance()
            step.say(result.component)

        results = run(wanted, reach, done)
    if json:
        console.print_json([asdict(result) for result in results])
    else:
        _show(results)
    if broken(results):
        raise typer.Exit(VERDICT_NO)


def _chosen(found: list[Target], names: list[str]) -> list[Target]:
    for name in names:
        _known(found, "--only", name)
    return [target for target in found if not names or target.component in names]


def _given(found: list[Target], entries: list[str]) -> dict[str, Address]:
    given = {}
    for entry in entries:
        name, _, place = entry.partition("=")
        host, _, port = place.rpartition(":")
        _known(found, "--address", name)
        if not host or not port.isdigit():
            why = "it is not COMPONENT=HOST:PORT"
            raise BadInput(
                Finding("bedplate smoke", "--address", entry, why, "for example grafana=10.0.0.5:3000")
            )
        given[name] = Address(host, int(port))
    return given


def _known(found: list[Target], option: str, name: str) -> None:
    names = [target.component for target in found]
    if name in names:
        return
    close = get_close_matches(name, names, n=1)
    remedy = f"did you mean `{close[0]}`?" if close else f"use one of: {', '.join(names) or 'there is none'}"
    why = "the environment's platform has no such component"
    raise BadInput(Finding("bedplate smoke", option, name, why, remedy))


def _show(results: list[Result]) -> None:
    table = Table(box=None, show_header=False)
    for column in ("", "component", "seconds", "what"):
        table.add_column(column, overflow="fold", justify="right" if column == "seconds" else "left")
    for result in results:
        table.add_row(
            _MARK[result.verdict], result.component, f"{result.seconds:.1f} s", result.seen or result.why
        )
        if result.remedy:
            table.add_row("", "", "", f"→ {result.remedy}")
    console.out.print(table)
