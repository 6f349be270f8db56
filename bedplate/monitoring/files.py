"""Everything of an environment's monitoring as files in one folder."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.errors import BedplateError
from bedplate.inventory import Inventory
from bedplate.monitoring import dashboards, metrics, promtool, render, routing, scrape

ROUTES, SCRAPE, PROBES = "alertmanager.yml", "prometheus.yml", "blackbox.yml"


@dataclass(frozen=True)
class Written:
    """What was written, and where."""

    folder: Path
    alerts: int
    records: int
    dashboards: int

    def as_dict(self) -> dict[str, Any]:
        """As a program reads it (``--json``)."""
        return asdict(self) | {"folder": str(self.folder)}


def write(inventory: Inventory, folder: Path | None = None) -> Written:
    """Write ``rules/``, ``dashboards/``, configurations of Prometheus, Alertmanager and blackbox_exporter,
    and ``dcgm-counters.csv``. Raises BadInput for thresholds that differ between hosts, BedplateError when
    promtool refuses a rule; then nothing is written."""
    groups = render.groups(inventory)
    rules = render.rule_files(inventory.environment, groups)
    _judge(rules)
    boards = dashboards.files()
    target = folder or paths.artifacts(inventory.environment) / "monitoring"
    render.write(rules, target / "rules")
    render.write(boards, target / "dashboards")
    single = {metrics.COUNTERS.name: metrics.COUNTERS.read_text(), ROUTES: routing.document(inventory)}
    single |= {SCRAPE: scrape.document(inventory), PROBES: scrape.blackbox_document()}
    render.write(single, target)
    return Written(
        target,
        alerts=sum(len(group.alerts) for group in groups),
        records=sum(len(group.records) for group in groups),
        dashboards=len(boards),
    )


def _judge(rules: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        complaint = promtool.check_rules(render.write(rules, Path(scratch)))
    if complaint:
        raise BedplateError(f"promtool refuses the rules:\n{complaint}")
