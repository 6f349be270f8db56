"""From the inventory to collectors and to how long each stream is kept."""

import sys
from collections.abc import Mapping
from typing import Any

import yaml

from bedplate import paths
from bedplate.inventory import Vars

sys.path.append(str(paths.MODULE_UTILS))

import log_pipeline
from log_pipeline import APPLICATION, AUDIT, STREAM, TENANT, TENANT_HEADER, Collector, Files, Redaction, Store

PODS = ("/var/log/pods/*/*/*.log",)
AUDIT_RECORDS = "/var/log/bedplate-audit/*.jsonl"  # role audit_log writes them on every host
USE_RECORDS = ("/var/log/pods/gateway_*/gate/*.log",)  # of the API gateway
HOST = "${env:HOST}"  # of a pod's collector: the node that it runs on
HOST_MARK = "BEDPLATE-HOST"
__all__ = [
    "APPLICATION",
    "AUDIT",
    "STREAM",
    "TENANT",
    "TENANT_HEADER",
    "Collector",
    "Files",
    "Redaction",
    "Store",
]
FEATURES = "--feature-gates=" + ",".join(log_pipeline.FEATURES)


def redaction(shared: Vars) -> Redaction:
    """What no line of the environment may carry."""
    words = ("logs_secrets", "logs_prompts", "logs_prompt_places", "logs_beginnings")
    return Redaction(*(tuple(shared[word]) for word in words))


def retention_days(shared: Vars, entry: Vars) -> dict[str, int]:
    """Days by stream: as the inventory's retention class says, or ``platform_logs.retention_days``."""
    own: dict[str, int] = entry.get("retention_days", {})
    promised: dict[str, int] = {
        APPLICATION: shared["logs_application_days"],
        AUDIT: promised_audit_days(shared),
    }
    return promised | own


def promised_audit_days(shared: Vars) -> int:
    """What ``site_retention`` promises for audit records."""
    days: int = shared["logs_audit_days"][shared.get("site_retention", "standard")]
    return days


def of_node(environment: str, folder: str, ports: Mapping[str, int]) -> Collector:
    """The collector on a Kubernetes node: its pods, audit records of theirs, and the host's."""
    return Collector(
        host=HOST_MARK,
        environment=environment,
        folder=folder,
        health=f"0.0.0.0:{ports['log_collector_health']}",
        metrics=f"0.0.0.0:{ports['log_collector_metrics']}",
        pods=PODS,
        records=USE_RECORDS,
        files=(Files("audit", (AUDIT_RECORDS,), AUDIT),),
    )


def of_hosts_outside(
    environment: str, folder: str, ports: Mapping[str, int], tls: Mapping[str, str]
) -> Collector:
    """The collector that hears the collectors of hosts outside Kubernetes."""
    return Collector(
        host=HOST_MARK,
        environment=environment,
        folder=folder,
        health=f"0.0.0.0:{ports['log_collector_health']}",
        metrics=f"0.0.0.0:{ports['log_collector_metrics']}",
        intake=f"0.0.0.0:{ports['log_intake']}",
        intake_tls=tls,
    )


def document(collector: Collector, store: Store, rules: Redaction) -> str:
    """Pure: a collector's configuration as text."""
    text = yaml.safe_dump(log_pipeline.config(collector, store, rules), sort_keys=False, width=100_000)
    return text.replace(HOST_MARK, HOST)


def check(data: Any, rules: Redaction) -> None:
    """Raises ValueError for patterns that cannot be used; ``data`` is only named in the message."""
    try:
        log_pipeline.statements(rules)
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from error
