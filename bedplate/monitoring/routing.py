"""Who is told of an alert, and what is not said twice: Alertmanager's configuration from the inventory.

``monitoring_receivers`` names web addresses per severity (`page`, `ticket`, `info`) and for the `watchdog`;
what nobody is named for is shown on Alertmanager's page and goes nowhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from bedplate.inventory import Inventory
from bedplate.monitoring.model import SEVERITIES

NOBODY = "nobody"
WATCHDOG = "watchdog"
# How long until alerts are first sent together, until changes of a group are sent, until it is said again.
PACE: Mapping[str, tuple[str, str, str]] = {
    "page": ("30s", "2m", "1h"),
    "ticket": ("5m", "15m", "24h"),
    "info": ("15m", "1h", "24h"),
}
TOLD = tuple(severity for severity in SEVERITIES if severity in PACE)
# What explains what: (alert that is enough, alerts that it silences, labels that must be equal).
EXPLAINS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    (
        "HostDown",
        "DcgmExporterDown|GpuLost|NvlinkMissing|RdmaPortDown|DiskMissing|TierMissing|"
        "DiskHealthUnread|TierDiskMissing",
        ("node",),
    ),
    ("GpuLost", "NvlinkMissing|P2pDegraded|FabricManagerDown", ("node",)),
    ("VllmDown", "VllmReplicasMissing", ("service",)),
    ("FabricManagerDown", "P2pDegraded|NvlinkMissing", ("node",)),
)


def config(inventory: Inventory) -> dict[str, Any]:
    """Pure: the configuration of one environment."""
    receivers: Mapping[str, Sequence[str]] = inventory.shared.get("monitoring_receivers", {})
    return {
        "route": {
            "receiver": NOBODY,
            "group_by": ["alertname", "owner"],
            "routes": [_watchdog(), *(_route(severity) for severity in TOLD)],
        },
        "inhibit_rules": [_page_over_ticket(), *(_explained(*row) for row in EXPLAINS)],
        "receivers": [
            {"name": NOBODY},
            *(_receiver(name, receivers.get(name, ())) for name in (*TOLD, WATCHDOG)),
        ],
    }


def document(inventory: Inventory) -> str:
    """Pure: the configuration as text."""
    return yaml.safe_dump(config(inventory), sort_keys=False, width=1000)


def _route(severity: str) -> dict[str, Any]:
    wait, interval, repeat = PACE[severity]
    return {
        "receiver": severity,
        "matchers": [f'severity="{severity}"'],
        "group_wait": wait,
        "group_interval": interval,
        "repeat_interval": repeat,
    }


def _watchdog() -> dict[str, Any]:
    """Said every minute: its silence is the alarm."""
    return {
        "receiver": WATCHDOG,
        "matchers": ['alertname="Watchdog"'],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "1m",
    }


def _receiver(name: str, addresses: Sequence[str]) -> dict[str, Any]:
    hooks = [{"url": str(address), "send_resolved": name != WATCHDOG} for address in addresses]
    return {"name": name} | ({"webhook_configs": hooks} if hooks else {})


def _page_over_ticket() -> dict[str, Any]:
    """The same alert of the same thing at two levels: the page is enough."""
    same = ["alertname", "node", "service", "mountpoint", "instance", "gpu", "health_watch", "key"]
    return {
        "source_matchers": ['severity="page"'],
        "target_matchers": ['severity="ticket"'],
        "equal": same,
    }


def _explained(cause: str, consequences: str, equal: tuple[str, ...]) -> dict[str, Any]:
    return {
        "source_matchers": [f'alertname="{cause}"'],
        "target_matchers": [f'alertname=~"{consequences}"'],
        "equal": list(equal),
    }
