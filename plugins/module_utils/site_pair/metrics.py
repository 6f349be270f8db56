"""What a site shows of itself, for node_exporter's textfile collector."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .plan import PRIMARY, Seen

HELP = {
    "primary": "Whether this site's database takes writes",
    "running": "Whether this site's database runs",
    "fenced": "Whether this site's database is kept from starting",
    "synchronous": "Whether commits wait for the other site",
    "connected": "Whether the database's log flows between the sites",
    "lag_seconds": "How old the newest change is that this copy of the database has",
    "position_bytes": "Place in the database's log",
    "bucket_ok": "Whether the last copy of a bucket was whole",
    "bucket_whole_seconds": "When the last whole copy of a bucket began",
    "bucket_duration_seconds": "How long the last whole copy of a bucket took",
}


def render(site: Seen, buckets: Mapping[str, Mapping[str, Any]]) -> str:
    """Pure: Prometheus' text format."""
    values: dict[str, dict[str, float]] = {
        "primary": {"": int(site.writes)},
        "running": {"": int(site.running)},
        "fenced": {"": int(site.fenced)},
        "synchronous": {"": int(site.synchronous)},
        "connected": {"": int(site.connected)},
        "lag_seconds": {"": 0 if site.role == PRIMARY else site.lag},
        "position_bytes": {"": site.position},
    }
    for name, word in (("ok", "ok"), ("whole_seconds", "whole"), ("duration_seconds", "seconds")):
        found = {f'{{bucket="{bucket}"}}': told[word] for bucket, told in buckets.items() if word in told}
        values[f"bucket_{name}"] = found
    lines = []
    for name, rows in values.items():
        if rows:
            lines += [f"# HELP bedplate_site_{name} {HELP[name]}", f"# TYPE bedplate_site_{name} gauge"]
            lines += [f"bedplate_site_{name}{labels} {value}" for labels, value in rows.items()]
    return "\n".join(lines) + "\n"


def write(target: Path, text: str) -> None:
    """In one step, so that nobody reads half of it."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(target)
