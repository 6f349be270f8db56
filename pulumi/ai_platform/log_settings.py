"""From the inventory to where logs go; nothing is rendered where nobody asked for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.inventory import Inventory, Vars
from bedplate.logs import pipeline
from bedplate.units import parse_bytes

LOKI, OPENSEARCH = "loki", "opensearch"
S3 = "s3"
DEFAULT_VOLUME = "500GiB"
DEFAULT_NODES = {LOKI: 1, OPENSEARCH: 3}


@dataclass(frozen=True)
class Logs:
    """Where logs go. ``store`` is loki or opensearch; ``volume`` in bytes, one for each of its ``nodes``, on
    ``tier``; ``bucket``: what Loki keeps lies in the object store, and its volume holds only what is not yet
    there. ``days`` by stream; ``promised`` is what the inventory's retention class wants of audit records;
    ``heard_at``: hosts at which those outside Kubernetes are heard."""

    store: str
    tier: str
    volume: int
    nodes: int
    days: Mapping[str, int]
    promised: int
    redaction: pipeline.Redaction
    bucket: bool = False
    heard_at: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)


def read(inventory: Inventory, entry: Vars | None) -> Logs | None:
    """``platform_logs``; None where it is left out."""
    if entry is None:
        return None
    shared, store = inventory.shared, entry.get("store", LOKI)
    outside = set(inventory.hosts) - set(inventory.groups.get("kubernetes", ()))
    return Logs(
        store=store,
        tier=entry["tier"],
        volume=parse_bytes(entry.get("volume", DEFAULT_VOLUME)),
        nodes=entry.get("nodes", DEFAULT_NODES[store]),
        days=pipeline.retention_days(shared, entry),
        promised=pipeline.promised_audit_days(shared),
        redaction=pipeline.redaction(shared),
        bucket=entry.get("keep") == S3,
        heard_at=tuple(inventory.members("control_plane")) if outside else (),
        places={name: shared[f"path_{name}"] for name in ("config", "state")},
    )
