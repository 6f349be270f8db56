"""``bedplate dashboards``: every dashboard as a picture, from the answers of a Prometheus that runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bedplate import paths
from bedplate.console import err, print_json, progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="dashboards")(dashboards)


def dashboards(  # noqa: PLR0917 - options of the command line have names
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    prometheus: Annotated[str, typer.Option(help="address of a Prometheus")] = "http://127.0.0.1:9090",
    hours: Annotated[float, typer.Option(min=0.1, help="how far back")] = 6,
    until: Annotated[float | None, typer.Option(help="seconds since 1970; now where it is left out")] = None,
    to: Annotated[Path | None, typer.Option(help="folder; default artifacts/ENV/dashboards")] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Draw every dashboard as Grafana would lay it out, one PNG each, for where there is no Grafana.

    Queries, places, units and limits are those of the dashboards; how Grafana itself draws is not shown.
    """
    # matplotlib takes a second to load, which no other command should pay.
    from bedplate.monitoring import answers, pictures  # noqa: PLC0415
    from bedplate.monitoring.dashboards import every  # noqa: PLC0415

    folder = to or paths.artifacts(paths.environment_of(inventory)) / "dashboards"
    with progress(f"ask {prometheus} and draw"):
        drawn = pictures.every(prometheus.rstrip("/"), every(), answers.Span.until(until, hours), folder)
    rows: list[dict[str, Any]] = [
        {
            "file": str(folder / name),
            "panels": len(panels),
            "empty": [one.panel.title for one in panels if not one.lines],
        }
        for name, panels in drawn.items()
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        empty = f"; no data: {', '.join(row['empty'])}" if row["empty"] else ""
        err.print(f"{row['file']}: {row['panels']} panels{empty}", highlight=False)
