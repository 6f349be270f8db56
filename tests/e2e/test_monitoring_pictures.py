"""Every dashboard as a picture, from a real Prometheus over made series (tests/prometheus_server.py): what a
panel shows there says where it stands and what it asks, not what a fleet looks like."""

from pathlib import Path

import pytest

from bedplate import evidence, paths
from bedplate.monitoring import answers, dashboards, pictures
from tests import prometheus_server
from tests.monitoring_series import RECORDS

pytestmark = pytest.mark.long


def test_every_panel_of_every_dashboard_is_drawn(tmp_path: Path) -> None:
    folder = paths.artifacts("lab") / "dashboards"
    span = answers.Span.until(prometheus_server.END, 1)
    with prometheus_server.server(tmp_path, prometheus_server.exposition(RECORDS)) as url:
        drawn = pictures.every(url, dashboards.every(), span, folder)
    panels = [one for board in drawn.values() for one in board]
    empty = [one.panel.title for one in panels if one.error or not one.lines]
    claim = (
        f"Panels of {len(panels)} on {len(drawn)} pictures of dashboards, not Grafana's, that show nothing"
    )
    command = "pytest -m long tests/e2e/test_monitoring_pictures.py"
    evidence.record(
        "lab",
        "monitoring.dashboards.pictures",
        claim,
        len(empty),
        unit="panels",
        goal="== 0",
        proved_on="program",
        command=command,
    )
    assert empty == []
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in drawn)
