"""``bedplate monitoring``: the rules, dashboards and counters of an environment as files."""

from pathlib import Path
from typing import Annotated

import typer

from bedplate.console import err, print_json
from bedplate.inventory import load
from bedplate.monitoring import files


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="monitoring")(monitoring)


def monitoring(
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    to: Annotated[Path | None, typer.Option(help="folder to write; default artifacts/ENV/monitoring")] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on standard output")] = False,
) -> None:
    """Write alert rules, dashboards and the list of GPU counters, for a Prometheus and a Grafana of your own.

    Thresholds are the inventory's (monitoring_…); what is expected (GPUs, links, disks, mounts, replicas) is
    recorded from it. promtool judges the rules before anything is written."""
    written = files.write(load(inventory), to)
    if json:
        print_json(written.as_dict())
        return
    err.print(
        f"{written.alerts} alerts, {written.records} recording rules, {written.dashboards} dashboards: "
        f"{written.folder}",
        highlight=False,
    )
