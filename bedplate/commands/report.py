"""``bedplate report``: the acceptance report of an environment, and the evidence table of all of them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bedplate import paths
from bedplate.console import out, print_json, progress
from bedplate.errors import VERDICT_NO
from bedplate.report import docs, write


def register(app: typer.Typer) -> None:
    """Add ``report`` to the command line."""
    app.command()(report)


def report(
    inventory: Annotated[Path | None, typer.Option("-i", "--inventory", help="inventories/ENV")] = None,
    json: Annotated[bool, typer.Option("--json", help="print the verdict as JSON")] = False,
    write_docs: Annotated[
        bool, typer.Option("--docs", help="write docs/evidence.md from the records of all environments")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="exit 1 when the verdict is no")] = False,
) -> None:
    """Write artifacts/ENV/report.html: the plan, what was measured, what passed, and what nobody measured."""
    if inventory is None and not write_docs:
        raise typer.BadParameter(
            "name an inventory (-i inventories/ENV) or ask for the evidence table (--docs)"
        )
    answer: dict[str, object] = {}
    if write_docs:
        answer["docs"] = str(docs.write().relative_to(paths.ROOT))
    failed = False
    if inventory is not None:
        with progress(f"write the report of {inventory}"):
            file, page = write(inventory)
        failed = page.state == "fail"
        answer |= {
            "report": str(file.relative_to(paths.ROOT)),
            "state": page.state,
            "headline": page.headline,
            "checks": [asdict(check) for check in page.checks],
            "unreadable": list(page.unreadable),
        }
    if json:
        print_json(answer)
    else:
        _print(answer)
    if strict and failed:
        raise typer.Exit(VERDICT_NO)


def _print(answer: dict[str, object]) -> None:
    if "headline" in answer:
        out.print(answer["headline"], markup=False, highlight=False)
    for key in ("report", "docs"):
        if key in answer:
            out.print(f"  {answer[key]}", markup=False, highlight=False)
