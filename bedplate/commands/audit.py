"""``bedplate audit verify``: whether anybody changed an archive of audit records."""

from pathlib import Path
from typing import Annotated

import typer

from bedplate import audit as archives
from bedplate import console
from bedplate.errors import BAD_INPUT, VERDICT_NO, BedplateError

audit = typer.Typer(
    no_args_is_help=True, help="Audit records: who did what, in archives that show every change."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(audit, name="audit")


@audit.callback()
def _group() -> None:
    """Audit records: who did what, in archives that show every change."""


@audit.command("verify")
def verify(
    inventory: Annotated[
        Path | None, typer.Option("-i", "--inventory", help="inventories/ENV: the archives of its collectors")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="An archive on this machine instead")] = None,
    keep_days: Annotated[
        int, typer.Option(help="With --folder: files this young must be there", min=0)
    ] = 180,
    known: Annotated[
        str, typer.Option(help="With --folder: NUMBER:SHA-256, the head of an earlier run")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Follow the chain of every record, and name the first one that was changed, replaced or left out.

    The controller remembers how far each chain went: an end that was cut off or a chain that was written
    anew since the last run, is found as well. Exit code 1 when a chain is broken.
    """
    if inventory is not None and folder is None:
        found = archives.site(inventory)
    elif folder is not None and inventory is None:
        found = [archives.folder(folder, keep_days, known)]
    else:
        raise BedplateError("say which archives: -i inventories/ENV or --folder FOLDER", code=BAD_INPUT)
    if as_json:
        console.print_json([archive.as_dict() for archive in found])
    else:
        for archive in found:
            mark = "✗" if archive.verdict.broken else "✓"
            line = f"{mark} {archive.where}: {archive.sentence}"
            console.out.print(line, highlight=False, soft_wrap=True)
    if any(archive.verdict.broken for archive in found):
        raise typer.Exit(VERDICT_NO)
