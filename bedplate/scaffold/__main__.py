"""``python -m bedplate.scaffold FOLDER --hosts 1000``: a large inventory to measure with."""

from pathlib import Path
from typing import Annotated

import typer

from bedplate.scaffold.generate import files, sample
from bedplate.scaffold.services import services
from bedplate.scaffold.write import write


def main(folder: Path, hosts: Annotated[int, typer.Option(min=7, max=10_000)] = 1000) -> None:
    """Write an inventory of so many hosts into a new FOLDER."""
    answers = sample(hosts, folder.name)
    write(files(answers) | {"group_vars/all/platform.yml": services(answers)}, folder)


if __name__ == "__main__":
    typer.run(main)
