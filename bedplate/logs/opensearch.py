"""OpenSearch, the Elasticsearch-compatible store: its nodes' configuration, and what its indices are and how
long they stay. Indices are one a day and stream; Index State Management deletes them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

PREFIX = "bedplate-"
POLICIES, TEMPLATES = "_plugins/_ism/policies", "_index_template"


def config(cluster: str, nodes: Sequence[str], service: str) -> dict[str, Any]:
    """Pure: opensearch.yml of every node, which its environment tells its name. The security plugin is
    off: who may speak to it says the network policy, and people come through the gateway."""
    found: dict[str, Any] = {
        "cluster.name": cluster,
        "node.name": "${NODE_NAME}",
        "network.host": "0.0.0.0",  # noqa: S104 - a pod; the network policy says who reaches it
        "plugins.security.disabled": True,
        "path.data": "/usr/share/opensearch/data",
        "action.auto_create_index": f"{PREFIX}*,.opendistro-*,.plugins-*,.opensearch-*",
        "action.destructive_requires_name": True,
    }
    if len(nodes) == 1:
        return found | {"discovery.type": "single-node"}
    return found | {"discovery.seed_hosts": service, "cluster.initial_cluster_manager_nodes": list(nodes)}


def document(cluster: str, nodes: Sequence[str], service: str) -> str:
    """Pure: the configuration as text."""
    return yaml.safe_dump(config(cluster, nodes, service), sort_keys=False)


def policies(days: Mapping[str, int], nodes: int) -> dict[str, str]:
    """Pure: path below the API to the JSON that is put there: a policy and a template for each stream."""
    found: dict[str, Any] = {}
    for stream, count in days.items():
        pattern = f"{PREFIX}{stream}-*"
        found[f"{POLICIES}/{PREFIX}{stream}"] = {"policy": _policy(pattern, count)}
        found[f"{TEMPLATES}/{PREFIX}{stream}"] = _template(pattern, nodes)
    return {path: json.dumps(body) for path, body in found.items()}


def _policy(pattern: str, days: int) -> dict[str, Any]:
    old = {"state_name": "delete", "conditions": {"min_index_age": f"{days}d"}}
    kept = {"name": "kept", "actions": [], "transitions": [old]}
    return {
        "description": f"deleted after {days} days",
        "default_state": "kept",
        "states": [kept, {"name": "delete", "actions": [{"delete": {}}], "transitions": []}],
        "ism_template": [{"index_patterns": [pattern], "priority": 100}],
    }


def _template(pattern: str, nodes: int) -> dict[str, Any]:
    """One copy beside the first where there is a second node; the time of a line as a time."""
    settings = {
        "index": {"number_of_shards": 1, "number_of_replicas": min(1, nodes - 1), "codec": "best_compression"}
    }
    mappings = {"properties": {"@timestamp": {"type": "date_nanos"}, "body": {"type": "text"}}}
    return {
        "index_patterns": [pattern],
        "priority": 100,
        "template": {"settings": settings, "mappings": mappings},
    }
