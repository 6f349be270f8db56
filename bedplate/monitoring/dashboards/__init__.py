"""Dashboards as code: panels are records, Grafana's JSON is rendered from them."""

from bedplate.monitoring.dashboards import data, fabric, fleet, gateway, gpu_host, serving, slo, storage
from bedplate.monitoring.dashboards.grafana import Dashboard, render

__all__ = ["Dashboard", "every", "files"]


def every() -> tuple[Dashboard, ...]:
    """All dashboards, in the order of a walk from the fleet to its parts."""
    return (
        fleet.BOARD,
        gpu_host.BOARD,
        fabric.BOARD,
        serving.BOARD,
        storage.BOARD,
        slo.BOARD,
        gateway.BOARD,
        data.MILVUS,
        data.BACKUPS,
    )


def files() -> dict[str, str]:
    """File name to Grafana's JSON."""
    return {f"{board.uid}.json": render(board) for board in every()}
