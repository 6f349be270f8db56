"""`bedplate vectors`: which index a collection wants, and what it costs."""

from typing import Annotated

import typer
from rich.table import Table

from bedplate import console
from bedplate.capacity.vectors import Collection, advise, indexes
from bedplate.units import parse_bytes, quantity


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def vectors(  # noqa: PLR0917 - options of a command, none of them positional
        rows: Annotated[int, typer.Option(min=1, help="Vectors that the collection will hold")],
        dimensions: Annotated[int, typer.Option(min=1, max=32_768, help="Of each vector")],
        replicas: Annotated[int, typer.Option(min=1, help="Copies in memory, on different nodes")] = 1,
        memory: Annotated[str, typer.Option(help="Of all query nodes together, for example 64GiB")] = "",
        nvme: Annotated[str, typer.Option(help="Their caches on NVMe together, for example 1TiB")] = "0GiB",
        as_json: Annotated[bool, typer.Option("--json", help="One JSON document")] = False,
    ) -> None:
        """Index of a Milvus collection, by rows and dimensions: memory, disk and what fits."""
        wanted = Collection("collection", rows, dimensions, replicas)
        best = advise(wanted, parse_bytes(memory) if memory else 0, parse_bytes(nvme))
        choices = indexes(wanted)
        if as_json:
            shown = {one.kind: vars(one) for one in choices}
            console.print_json({"advice": best.kind if best else None, "indexes": shown})
            return
        table = Table("index", "memory", "NVMe", "recall", "parameters")
        for one in choices:
            name = f"[bold]{one.kind}[/bold] ←" if best and one.kind == best.kind else one.kind
            table.add_row(name, quantity(one.memory), quantity(one.disk), one.recall, one.parameters)
        console.out.print(table)
        if best is None:
            console.out.print("Nothing fits: give it more memory, or NVMe for DISKANN.")
