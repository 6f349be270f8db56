"""Who is told of which alert: amtool judges the configuration and its routes."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bedplate.inventory import Inventory
from bedplate.monitoring import routing
from tests import inventory_samples as samples
from tests.monitoring_tables import groups

ALERTS = [alert for group in groups() for alert in group.alerts]
ADDRESSES = {name: [f"http://127.0.0.1:1/{name}"] for name in ("page", "ticket", "info", "watchdog")}


def told() -> Inventory:
    return samples.on("all", "monitoring_receivers", to=ADDRESSES)(samples.base("lab"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("alertmanager") / "alertmanager.yml"
    file.write_text(routing.document(told()))
    return file


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("environment", ["lab", "staging", "production"])
def test_amtool_accepts_the_configuration(environment: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(routing.document(samples.base(environment)))
    assert "SUCCESS" in amtool("check-config", str(file))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "GpuLost", "severity": "page"}, "page"),
        ({"alertname": "DiskUsed", "severity": "ticket"}, "ticket"),
        ({"alertname": "DiskUsed", "severity": "page"}, "page"),
        ({"alertname": "GatewayLimits", "severity": "info"}, "info"),
        ({"alertname": "Watchdog", "severity": "none"}, "watchdog"),
        ({"alertname": "Unknown"}, "nobody"),
    ],
)
def test_an_alert_goes_to_its_receiver(config: Path, labels: dict[str, str], receiver: str) -> None:
    words = [f"{name}={value}" for name, value in labels.items()]
    assert amtool("config", "routes", "test", f"--config.file={config}", *words).strip() == receiver


def test_no_alert_of_ours_goes_to_nobody(config: Path) -> None:
    """By the routes' own matchers, which the cases above hold to amtool's answer."""
    body = yaml.safe_load(config.read_text())
    written = " ".join(matcher for route in body["route"]["routes"] for matcher in route["matchers"])
    matchers = re.findall(r'(\w+)="([^"]*)"', written)
    for alert in ALERTS:
        labels = {"alertname": alert.name, "severity": alert.severity}
        assert any(labels.get(name) == value for name, value in matchers), alert.key


def test_what_silences_and_what_is_silenced_exists() -> None:
    names = {alert.name for alert in ALERTS}
    for cause, consequences, equal in routing.EXPLAINS:
        assert {cause, *consequences.split("|")} <= names
        assert equal
    causes = {cause for cause, _, _ in routing.EXPLAINS}
    assert "Watchdog" not in "|".join(row[1] for row in routing.EXPLAINS)
    pages = {alert.name for alert in ALERTS if alert.severity == "page"}
    assert causes <= pages, "only a page may silence others"


def test_nobody_is_named_by_default() -> None:
    body = routing.config(samples.base("production"))
    assert [receiver for receiver in body["receivers"] if "webhook_configs" in receiver] == []
