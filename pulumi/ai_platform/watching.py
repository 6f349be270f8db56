"""From the inventory to what watches the environment; nothing is rendered where nothing watches."""

from urllib.parse import urlsplit

from ai_platform import consumers, names
from ai_platform.settings import Database, Watch
from bedplate.inventory import Inventory, Vars
from bedplate.monitoring import dashboards, metrics, render, routing, scrape
from bedplate.units import parse_bytes

DEFAULT_VOLUME = "200GiB"
DEFAULT_RETENTION_DAYS = 30
PORTS = {"http": 80, "https": 443}


def read(inventory: Inventory, entry: Vars | None) -> Watch | None:
    """``platform_monitoring`` with everything that Prometheus and its company read; None where it is left
    out. Raises BadInput for thresholds that differ between hosts."""
    if entry is None:
        return None
    shared = inventory.shared
    return Watch(
        tier=entry["tier"],
        volume=parse_bytes(entry.get("volume", DEFAULT_VOLUME)),
        retention_days=entry.get("retention_days", DEFAULT_RETENTION_DAYS),
        prometheus=scrape.document(inventory),
        rules=render.rule_files(inventory.environment, render.groups(inventory)),
        alertmanager=routing.document(inventory),
        alertmanagers=shared["monitoring_alertmanagers"],
        dashboards=dashboards.files(),
        blackbox=scrape.blackbox_document(),
        counters=metrics.COUNTERS.read_text(),
        allowlist=tuple(sorted(m.name for m in metrics.known().values() if m.exporter == scrape.STATE)),
        textfiles=shared["path_textfile_metrics"],
        watched_hosts=len(inventory.hosts),
        notified=_ports(shared["monitoring_receivers"]),
        databases=(*(Database(**database) for database in entry.get("databases", ())), *_own(shared)),
    )


def _own(shared: Vars) -> tuple[Database, ...]:
    """The platform's own databases are watched without being named."""
    if "platform_data" not in shared:
        return ()
    kinds = {consumers.DATABASE: "postgres", consumers.BROKER: "valkey", consumers.CACHE: "valkey"}
    ports = {"postgres": shared["port_postgresql"], "valkey": shared["port_valkey"]}
    return tuple(
        Database(name, kind, f"{name}.{names.DATA}.svc:{ports[kind]}") for name, kind in kinds.items()
    )


def _ports(receivers: Vars) -> tuple[int, ...]:
    addresses = (urlsplit(url) for urls in receivers.values() for url in urls)
    return tuple(sorted({address.port or PORTS[address.scheme] for address in addresses}))
