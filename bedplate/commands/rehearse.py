"""``bedplate rehearse``: the real program against a real control plane of the inventory's hosts."""

from pathlib import Path
from typing import Annotated

import typer

from bedplate import console, paths
from bedplate.errors import VERDICT_NO
from bedplate.rehearse import rehearsal, result, session, show, stages


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rehearse")(rehearse)


def rehearse(
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    keep: Annotated[bool, typer.Option("--keep", help="leave the control plane running")] = False,
    end: Annotated[bool, typer.Option("--end", help="end a control plane that was kept")] = False,
    time_scale: Annotated[
        float,
        typer.Option(min=0.0001, max=1.0, help="what the time that pods take to start is multiplied by"),
    ] = stages.DEFAULT_SCALE,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Does this platform fit these machines? Runs `pulumi up` against a real control plane of the inventory's
    hosts and says where each pod lands, what does not fit and why. Exit 0: it fits; 1: it does not."""
    environment = paths.environment_of(inventory)
    if end:
        stopped = session.end(environment)
        console.err.print(
            f"ended: {', '.join(stopped)}" if stopped else "nothing was running", highlight=False
        )
        return
    told = rehearsal.rehearse(inventory, keep=keep, scale=time_scale)
    written = result.write(told)
    if as_json:
        console.print_json(result.document(told))
    else:
        show.show(told, console.out)
        console.err.print(f"written: {written.relative_to(paths.ROOT)}", highlight=False)
    if keep:
        folder = session.folder(environment).relative_to(paths.ROOT)
        console.err.print(
            f"kept: KUBECONFIG={folder}/admin.kubeconfig .venv/bin/kubectl get pods -A", highlight=False
        )
        console.err.print(f"end it with: bedplate rehearse -i {inventory} --end", highlight=False)
    if told.word != result.FITS:
        raise typer.Exit(VERDICT_NO)
