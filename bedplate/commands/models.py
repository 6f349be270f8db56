"""``bedplate models manifest``: the manifest by which hosts know a model."""

import os
from pathlib import Path
from typing import Annotated

import typer

from bedplate import console
from bedplate.errors import VERDICT_NO
from bedplate.model_files import manifest as files

models = typer.Typer(no_args_is_help=True, help="Models as files: what role model_store brings to the hosts.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(models, name="models")


@models.command("manifest")
def manifest(
    folder: Annotated[Path, typer.Argument(help="Folder of one model, as a mirror serves it")],
    check: Annotated[bool, typer.Option("--check", help="Only compare with the one that is there")] = False,
    jobs: Annotated[int, typer.Option(help="Files at a time", min=1)] = min(8, os.cpu_count() or 1),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Write FOLDER/bedplate-manifest.json: size and SHA-256 of every file, and say what an inventory pins.

    With --check nothing is written; exit code 1 when the files are not what the manifest says.
    """
    total = sum(file.stat().st_size for file in files.files(folder))
    with console.progress(f"hash {folder}", total=total) as step:

        def done(path: str, size: int) -> None:
            step.say(path)
            step.advance(size)

        listed = files.entries(folder, jobs, done)
    text, target = files.document(listed), folder / files.NAME
    same = target.exists() and target.read_bytes() == text
    if not check and not same:
        target.write_bytes(text)
    digest = files.digest(text)
    if as_json:
        said = {"manifest": digest, "files": len(listed), "bytes": total, "unchanged": same}
        console.print_json(said)
    else:
        console.out.print(f"{len(listed)} files, {total:,} bytes", highlight=False)
        console.out.print(
            f"model_store_models: [{{name: …, manifest: {digest}}}]", highlight=False, soft_wrap=True
        )
    if check and not same:
        raise typer.Exit(VERDICT_NO)
