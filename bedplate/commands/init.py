"""`bedplate init`: a new inventory from answers."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bedplate import console, paths
from bedplate.check import source
from bedplate.check.files import relative
from bedplate.check.run import check
from bedplate.errors import BAD_INPUT, BadInput, Finding
from bedplate.scaffold import answers as given
from bedplate.scaffold.ask import ask
from bedplate.scaffold.generate import files
from bedplate.scaffold.write import taken, write


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(run)


def run(
    environment: Annotated[str, typer.Argument(help="Name of the environment, for example berlin")] = "",
    answers: Annotated[
        Path | None,
        typer.Option(help="File with the answers (docs/examples/answers.yml) instead of questions"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Write the smallest inventory that passes the check, into inventories/ENVIRONMENT.

    Asks twenty questions, or takes the answers from a file. Nothing that exists is overwritten. Disks and
    NICs are planned ones until `bedplate discover --write` has read the real ones.
    """
    if environment:
        _usable(environment, "ENVIRONMENT")
    wanted = given.read(answers) if answers else _asked(environment)
    if environment:
        wanted = replace(wanted, environment=environment)
    folder = paths.INVENTORIES / wanted.environment
    made = files(wanted)
    write(made, folder)
    outcome = check(source.read(folder))
    if json:
        console.print_json({"inventory": _short(folder), "files": sorted(made), "check": outcome.as_dict()})
    elif not outcome.errors:
        _tell(folder, wanted.hosts)
    if outcome.errors:
        console.print_error(BadInput(list(outcome.errors)))
        console.err.print(f"{_short(folder)} is written; correct it there", style="yellow")
        raise typer.Exit(BAD_INPUT)


def _asked(environment: str) -> given.Answers:
    """Answers of whoever sits at the terminal."""
    known = yaml.safe_load((paths.COMMON / "gpus.yml").read_text())["catalogue_gpus"]
    try:
        return ask(environment or _name(), known)
    except (EOFError, typer.Abort) as error:
        why = "the questions were not all answered, so nothing was written"
        remedy = "answer on a terminal, or give a file like docs/examples/answers.yml: --answers FILE"
        raise BadInput(Finding("command line", "--answers", "", why, remedy)) from error


def _name() -> str:
    """Asked until it is free and can be a name, so that nobody answers everything else in vain."""
    while True:
        name = str(typer.prompt("Name of the environment", default="mylab", err=True))
        try:
            _usable(name, "environment")
        except BadInput as error:
            console.print_error(error)
        else:
            return name


def _usable(name: str, key: str) -> None:
    """Raises BadInput where an environment cannot have this name, or has it already."""
    if not re.fullmatch(given.NAME, name):
        remedy = "use up to 20 small letters, digits and -, a letter first, for example berlin"
        raise BadInput(Finding("command line", key, name, "an environment cannot have this name", remedy))
    folder = paths.INVENTORIES / name
    if folder.exists():
        raise taken(folder)


def _tell(folder: Path, hosts: int) -> None:
    """What was made and what comes next."""
    short = _short(folder)
    console.out.print(f"[green]✓[/] {short}: {hosts} machines, passes the check", highlight=False)
    console.out.print("Next, before you have machines:", highlight=False)
    console.out.print(f"  bedplate up -i {short}", highlight=False, soft_wrap=True)
    console.out.print("or, with machines that answer to their names over SSH:", highlight=False)
    console.out.print(f"  bedplate discover -i {short} --write", highlight=False, soft_wrap=True)


def _short(folder: Path) -> str:
    return relative(folder)
