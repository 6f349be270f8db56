"""Loki as one process: the light profile. What it keeps lies in files on a tier, or in an S3 bucket."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from bedplate.logs.pipeline import APPLICATION, STREAM

SINCE = "2024-01-01"  # the schema holds from then on; it never changes for what is written
# A pod's lines are a stream of their own: those of two pods may be hours apart when a host comes back.
LABELS = (
    "stream",
    "environment",
    "host",
    "service.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
)
LATE = "12h"  # a line that is older than the youngest of its stream by half of this is refused
# Lines that came late are found before they are written out, however old they are. Loki offers that for files
# only: in S3 they are found when they are written out, half an hour later at most.
EVERYTHING = {"query_store_max_look_back_period": "-1ns"}
GRPC_PORT = 9095  # Loki's parts speak to each other, on the loopback only
DAY_HOURS = 24
# A line that comes late, because its host or the store was away, is taken as long as it would still be kept.
COMPACTION = "10m"
DELETE_DELAY = "2h"


@dataclass(frozen=True)
class Bucket:
    """Where S3 is; credentials come as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""

    endpoint: str
    bucket: str
    region: str


@dataclass(frozen=True)
class Pace:
    """How often what is too old is looked for, and how long it is still kept then."""

    compaction: str = COMPACTION
    delay: str = DELETE_DELAY


def config(
    folder: str,
    port: int,
    days: Mapping[str, int],
    *,
    address: str = "",
    grpc: int = GRPC_PORT,
    bucket: Bucket | None = None,
    pace: Pace | None = None,
) -> dict[str, Any]:
    """Pure: the whole configuration. ``days`` is how long each stream is kept; ``address`` is listened on
    (empty: all)."""
    pace = pace or Pace()
    store = "s3" if bucket else "filesystem"
    return {
        "auth_enabled": True,
        "analytics": {"reporting_enabled": False},
        "server": {
            "http_listen_address": address,
            "http_listen_port": port,
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": grpc,
            "log_format": "json",
            "log_level": "warn",
        },
        "common": {
            "path_prefix": folder,
            "instance_addr": "127.0.0.1",
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}, "instance_addr": "127.0.0.1"},
            "storage": _storage(folder, bucket),
        },
        "schema_config": {
            "configs": [
                {
                    "from": SINCE,
                    "store": "tsdb",
                    "object_store": store,
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": f"{DAY_HOURS}h"},
                }
            ]
        },
        # What was accepted is on disk before it is acknowledged.
        "ingester": {
            "max_chunk_age": LATE,
            "wal": {"enabled": True, "dir": f"{folder}/wal", "flush_on_shutdown": True},
            **(EVERYTHING if bucket is None else {}),
        },
        "limits_config": _limits(days),
        "compactor": {
            "working_directory": f"{folder}/compactor",
            "retention_enabled": True,
            "delete_request_store": store,
            "compaction_interval": pace.compaction,
            "retention_delete_delay": pace.delay,
        },
        "frontend": {"encoding": "protobuf"},
    }


def document(folder: str, port: int, days: Mapping[str, int], bucket: Bucket | None = None) -> str:
    """Pure: the configuration as text."""
    return yaml.safe_dump(config(folder, port, days, bucket=bucket), sort_keys=False)


def _storage(folder: str, bucket: Bucket | None) -> dict[str, Any]:
    if bucket is None:
        places = {"chunks_directory": f"{folder}/chunks", "rules_directory": f"{folder}/rules"}
        return {"filesystem": places}
    plain = bucket.endpoint.startswith("http://")
    return {
        "s3": {
            "endpoint": bucket.endpoint.partition("://")[2],
            "insecure": plain,
            "bucketnames": bucket.bucket,
            "region": bucket.region,
            "s3forcepathstyle": True,
        }
    }


def _limits(days: Mapping[str, int]) -> dict[str, Any]:
    """Retention by stream; what names none is kept as long as what applications say."""
    kept = [
        {"selector": f'{{{STREAM}="{stream}"}}', "priority": 1, "period": hours(count)}
        for stream, count in days.items()
    ]
    labels = {"action": "index_label", "attributes": list(LABELS)}
    return {
        "retention_period": hours(days[APPLICATION]),
        "retention_stream": kept,
        "reject_old_samples": True,
        "reject_old_samples_max_age": hours(max(days.values())),
        "otlp_config": {"resource_attributes": {"ignore_defaults": True, "attributes_config": [labels]}},
        "allow_structured_metadata": True,
        "discover_service_name": [],
        "discover_log_levels": True,
        "max_line_size": "1MB",
        "ingestion_rate_mb": 64,
        "ingestion_burst_size_mb": 128,
        "per_stream_rate_limit": "32MB",
        "per_stream_rate_limit_burst": "64MB",
        "max_global_streams_per_user": 50_000,
        "max_query_length": "0h",
        "deletion_mode": "disabled",  # nobody deletes audit records by a request
    }


def hours(days: int) -> str:
    """Days as Loki writes durations."""
    return f"{days * DAY_HOURS}h"
