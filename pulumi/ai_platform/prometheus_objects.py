"""Objects of Prometheus and Alertmanager: a pair that sees the same, and three who agree on what was said."""

import hashlib
from collections.abc import Iterator, Mapping

import pulumi

from ai_platform import monitoring_parts as parts
from ai_platform import names, pods, scripts
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part
from ai_platform.settings import Settings
from ai_platform.storage_objects import class_name
from bedplate.capacity.models import GIB
from bedplate.monitoring import scrape
from bedplate.units import quantity

CONFIG, RULES, DATA = "/etc/prometheus/config", scrape.RULES, "/prometheus"
CONFIG_MAP_BYTES = 900_000  # the API server takes 1 MiB with everything around it
BLOCKS_SHARE = 0.8  # of the volume; the rest is for the write-ahead log and for compaction
REPLAY_FAILURES = 90  # of ten seconds: what was not yet written to a block is read again at start
GRACE_SECONDS = 300
ASKED = "prometheus-queries"  # the Service for people and dashboards
READS = (
    ("", ["nodes", "pods"], ["get", "list", "watch"]),
    ("", ["nodes/metrics"], ["get"]),
)


def configuration(settings: Settings, part: Part) -> list[Manifest]:
    """The scrape configuration first, then the rules. Immutable: a change is a new name and so a new pod, one
    after the other; the second Prometheus goes on with what it has until the first one is ready."""
    watch = parts.watch(settings)
    found = [
        scripts.config_map("prometheus", part.namespace, {"prometheus.yml": watch.prometheus}, part.labels)
    ]
    for number, files in enumerate(packed(watch.rules)):
        found.append(scripts.config_map(f"prometheus-rules-{number}", part.namespace, files, part.labels))
    return found


def packed(files: Mapping[str, str], most: int = CONFIG_MAP_BYTES) -> Iterator[dict[str, str]]:
    """Files together as long as they fit one ConfigMap, in their order."""
    found: dict[str, str] = {}
    for name, text in files.items():
        if found and sum(len(t.encode()) for t in (*found.values(), text)) > most:
            yield found
            found = {}
        found[name] = text
    if found:
        yield found


def prometheus(settings: Settings, part: Part, config: Manifest, rules: list[Manifest]) -> Manifest:
    """The pair. Each scrapes everything and keeps its own data; Alertmanager makes one of what both say."""
    watch = parts.watch(settings)
    args = [
        f"--config.file={CONFIG}/prometheus.yml",
        f"--storage.tsdb.path={DATA}",
        f"--storage.tsdb.retention.time={watch.retention_days}d",
        f"--storage.tsdb.retention.size={int(watch.volume * BLOCKS_SHARE)}B",
        "--log.format=json",
    ]
    mounts = {"config": CONFIG, "rules": RULES, "data!": DATA}
    made = parts.container(
        part,
        settings,
        args,
        {"http": settings.ports["prometheus"]},
        mounts,
        ready="/-/ready",
        startup=REPLAY_FAILURES,
    )
    together = [{"configMap": {"name": rule["metadata"]["name"]}} for rule in rules]
    volumes = [parts.from_config("config", config), {"name": "rules", "projected": {"sources": together}}]
    spec = parts.pod(part, made, volumes, token=True)
    # Two on one host are no pair; with one host that has the tier there is no choice.
    if len(settings.tier_hosts.get(watch.tier, ())) > 1:
        spec["topologySpreadConstraints"][0]["whenUnsatisfiable"] = "DoNotSchedule"
    spec["terminationGracePeriodSeconds"] = GRACE_SECONDS
    claim: Manifest = {
        "metadata": {"name": "data", "labels": part.labels},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": class_name(watch.tier),
            "resources": {"requests": {"storage": quantity(watch.volume)}},
        },
    }
    return stateful(part, spec) | {"spec": stateful(part, spec)["spec"] | {"volumeClaimTemplates": [claim]}}


def routes(settings: Settings, part: Part) -> Manifest:
    """Alertmanager's configuration, in a Secret because addresses of receivers often hold a key. The name
    ends with 32 bits of a hash: enough to see a change, too few to tell an address by."""
    text = parts.watch(settings).alertmanager
    suffix = hashlib.sha256(text.encode()).hexdigest()[:8]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(f"alertmanager-{suffix}", part.namespace, labels=part.labels),
        "type": "Opaque",
        "immutable": True,
        "stringData": {"alertmanager.yml": pulumi.Output.secret(text)},
    }


def alertmanager(settings: Settings, part: Part, config: Manifest) -> Manifest:
    """Three that tell each other what was sent and what is silenced. Each keeps it as long as it runs: it is
    lost only when all are gone at once, which the disruption budget prevents for drains."""
    ports = settings.ports
    peers = scrape.members(part.app, part.pods, ports["alertmanager_peers"])
    args = [
        "--config.file=/etc/alertmanager/alertmanager.yml",
        "--storage.path=/alertmanager",
        f"--cluster.listen-address=$(POD_IP):{ports['alertmanager_peers']}",
        *(f"--cluster.peer={peer}" for peer in peers),
        "--cluster.reconnect-timeout=5m",
        "--log.format=json",
    ]
    exposed = {"http": ports["alertmanager"], "peers": ports["alertmanager_peers"]}
    mounts = {"config": "/etc/alertmanager", "data!": "/alertmanager"}
    made = parts.container(part, settings, args, exposed, mounts, ready="/-/ready")
    made["env"] = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    config_volume: Manifest = {"name": "config", "secret": {"secretName": config["metadata"]["name"]}}
    return stateful(part, parts.pod(part, made, [config_volume, pods.scratch_volume("data", GIB)]))


def stateful(part: Part, spec: Manifest) -> Manifest:
    """Pods with names of their own, started together, replaced one by one; what they kept stays."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": names.metadata(part.app, part.namespace, labels=part.labels),
        "spec": {
            "serviceName": part.app,
            "replicas": part.pods,
            "podManagementPolicy": "Parallel",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "selector": {"matchLabels": part.selector},
            "template": parts.template(part, spec),
        },
    }
