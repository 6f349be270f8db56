"""``bedplate accept``: what the GPUs of an environment are and do, held against the inventory."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bedplate.acceptance import accept as acceptance
from bedplate.acceptance.clock import seconds_of_this_process
from bedplate.acceptance.show import show
from bedplate.console import err, out, print_json
from bedplate.errors import VERDICT_NO

INTERRUPTED = 130


class Level(StrEnum):
    """How thoroughly."""

    quick = "quick"
    standard = "standard"
    burn_in = "burn-in"


def register(app: typer.Typer) -> None:
    """Add ``accept`` to the command line."""
    app.command()(accept)


def accept(
    *,
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    level: Annotated[Level, typer.Option(help="how thoroughly")] = Level.quick,
    limit: Annotated[str, typer.Option(help="only these hosts, as Ansible writes it")] = "",
    hours: Annotated[float | None, typer.Option(help="length of a burn-in")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="end a run that goes on, keep its results")] = False,
    status: Annotated[bool, typer.Option("--status", help="say what the run that goes on does")] = False,
    capture: Annotated[
        bool, typer.Option("--capture", help="also keep outputs of the hosts as fixtures, masked")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Read and measure the GPUs of every GPU node, and say whether the hosts are accepted.

    quick takes seconds, standard minutes, burn-in a day; Ctrl-C or --stop ends it, what was measured is kept.
    Ends with 1 when a host is not accepted.
    """
    if status:
        _status(acceptance.status(inventory, limit=limit), json)
        return
    variables: dict[str, Any] = {"gpu_acceptance_level": level.value, "gpu_acceptance_capture": capture}
    if hours is not None:
        variables["gpu_acceptance_burn_in_seconds"] = round(hours * 3600)
    if stop:
        variables["gpu_acceptance_action"] = "stop"
    interrupted = False
    try:
        outcome = acceptance.accept(inventory, limit=limit, variables=variables)
    except KeyboardInterrupt:
        interrupted = True
        err.print("stopping what measures on the hosts, and bringing what it has", highlight=False)
        variables["gpu_acceptance_action"] = "stop"
        outcome = acceptance.accept(inventory, limit=limit, variables=variables)
    command = f"bedplate accept -i {inventory} --level {level.value}"
    acceptance.record(outcome, command, seconds_of_this_process())
    if json:
        print_json(outcome.as_dict())
    else:
        show(outcome, out)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not outcome.accepted:
        raise typer.Exit(VERDICT_NO)


def _status(told: dict[str, dict[str, Any]], json: bool) -> None:
    """A line for every host."""
    if json:
        print_json(told)
        return
    for host, run in told.items():
        words = "nothing is measured"
        if run:
            until = f" of {run['until']:.0f}" if run.get("until") else ""
            words = f"{run.get('level')}, {run.get('seconds', 0):.0f}{until} s, now: {run.get('step')}"
        out.print(f"{host}: {words}", highlight=False, markup=False)
