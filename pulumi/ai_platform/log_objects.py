"""Objects of logs: the store, what deletes of it in time, and the collectors."""

from collections.abc import Mapping

from ai_platform import consumers, data_flows, exporter_objects, names, pods, scripts
from ai_platform import monitoring_parts as parts
from ai_platform.log_parts import COLLECTOR, INTAKE, logs
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.prometheus_objects import stateful
from ai_platform.settings import Settings
from ai_platform.storage_objects import class_name
from bedplate.logs import loki, opensearch, pipeline
from bedplate.monitoring import scrape
from bedplate.units import quantity

CONFIG, DATA = "/etc/loki", "/loki"
SEARCH = "/usr/share/opensearch"
HEAP_SHARE = 0.5
GRACE_SECONDS = 300  # what is in memory is written out at the end
POSITIONS = "/var/lib/collector"
RETENTION_TRIES = 20
CONSUMER = "logs"


def loki_config(settings: Settings, part: Part) -> Manifest:
    """Loki's configuration."""
    wanted, bucket = logs(settings), None
    if wanted.bucket:
        store = consumers.store(settings)
        bucket = loki.Bucket(store.endpoint, CONSUMER, store.region)
    text = loki.document(DATA, settings.ports["loki"], wanted.days, bucket)
    return scripts.config_map("loki", part.namespace, {"loki.yml": text}, part.labels)


def loki_store(settings: Settings, part: Part, config: Manifest, generation: str = "") -> Manifest:
    """One Loki: collectors keep what it does not take while it starts anew."""
    args = [f"-config.file={CONFIG}/loki.yml"]
    mounts = {"config": CONFIG, "data!": DATA, "tmp!": "/tmp"}  # noqa: S108 - the mount
    port = {"metrics": settings.ports["loki"]}
    # A busy Loki reads its log of an hour again when it starts.
    made = parts.container(part, settings, args, port, mounts, health="/ready", startup=90)
    if logs(settings).bucket:
        access = consumers.secret_name(data_flows.STORE, consumers.consumer(CONSUMER))
        made["envFrom"] = [{"secretRef": {"name": access}}]
    spec = parts.pod(part, made, [parts.from_config("config", config), parts.tmp()])
    return _kept(settings, part, spec, _watched("loki", generation=generation))


def opensearch_config(settings: Settings, part: Part) -> Manifest:
    """opensearch.yml of every node, and what its retention job puts."""
    nodes = [f"{part.app}-{number}" for number in range(part.pods)]
    text = opensearch.document(f"bedplate-{settings.environment}", nodes, part.app)
    return scripts.config_map(part.app, part.namespace, {"opensearch.yml": text}, part.labels)


def opensearch_store(settings: Settings, part: Part, config: Manifest) -> Manifest:
    """The nodes, each on a host of its own as far as there are hosts."""
    ports = {"http": settings.ports["opensearch"], "peers": settings.ports["opensearch_peers"]}
    mounts = {"data!": f"{SEARCH}/data", "logs!": f"{SEARCH}/logs", "tmp!": "/tmp"}  # noqa: S108 - the mount
    made = parts.container(part, settings, [], ports, mounts, startup=60)
    del made["args"]
    probe = {"tcpSocket": {"port": "http"}}
    made["startupProbe"] = probe | {"periodSeconds": 10, "failureThreshold": 60}
    made["livenessProbe"] = probe | {"periodSeconds": 30, "timeoutSeconds": 10}
    made["readinessProbe"] = pods.http("/_cluster/health?local=true", "http") | {"timeoutSeconds": 5}
    # Its start writes a keystore beside the configuration.
    made["securityContext"] = pods.container_security() | {"readOnlyRootFilesystem": False}
    single = {"mountPath": f"{SEARCH}/config/opensearch.yml", "subPath": "opensearch.yml", "readOnly": True}
    made["volumeMounts"].append({"name": "config"} | single)
    heap = int(part.memory * HEAP_SHARE) // MIB
    env = {"OPENSEARCH_JAVA_OPTS": f"-Xms{heap}m -Xmx{heap}m", "DISABLE_INSTALL_DEMO_CONFIG": "true"}
    made["env"] = [
        *({"name": name, "value": value} for name, value in env.items()),
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    scratch = [pods.scratch_volume("logs", 512 * MIB), parts.tmp()]
    spec = parts.pod(part, made, [parts.from_config("config", config), *scratch])
    return _kept(settings, part, spec, parts.template(part, {})["metadata"])


def retention(settings: Settings, part: Part) -> tuple[Manifest, Manifest]:
    """What deletes indices in time, put by a Job whose name changes with it. Policies that are there already
    keep their number: they are put over what the store has."""
    wanted = logs(settings)
    bodies = opensearch.policies(wanted.days, wanted.nodes)
    files = {path.replace("/", "__"): body for path, body in bodies.items()}
    config = scripts.config_map(
        part.app, part.namespace, files | scripts.read("opensearch_retention.sh"), part.labels
    )
    address = f"http://opensearch.{part.namespace}.svc:{settings.ports['opensearch']}"
    made = parts.container(part, settings, [], {"none": 1}, {"config": "/etc/retention", "tmp!": "/tmp"})  # noqa: S108
    for key in ("args", "ports", "startupProbe", "readinessProbe", "livenessProbe"):
        del made[key]
    made["command"] = ["/bin/bash", "/etc/retention/opensearch_retention.sh", address]
    spec = parts.pod(part, made, [parts.from_config("config", config), parts.tmp()])
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": names.metadata(config["metadata"]["name"], part.namespace, labels=part.labels),
        "spec": {
            "backoffLimit": RETENTION_TRIES,
            "template": parts.template(part, spec | {"restartPolicy": "OnFailure"}),
        },
    }
    return config, job


def store_address(settings: Settings) -> pipeline.Store:
    """Where collectors send."""
    kind = logs(settings).store
    return pipeline.Store(kind, f"http://{kind}.{names.LOGS}.svc:{settings.ports[kind]}")


def collector_config(settings: Settings, part: Part) -> Manifest:
    """What a collector does; the one of the intake has certificates of its host."""
    wanted = logs(settings)
    if part.app == INTAKE:
        place = f"{wanted.places['config']}/pki"
        live = f"{place}/server/live"
        tls = {"ca": f"{place}/trust.pem", "certificate": f"{live}/chain.pem", "key": f"{live}/key.pem"}
        made = pipeline.of_hosts_outside(settings.environment, POSITIONS, settings.ports, tls)
    else:
        made = pipeline.of_node(settings.environment, POSITIONS, settings.ports)
    text = pipeline.document(made, store_address(settings), wanted.redaction)
    return scripts.config_map(part.app, part.namespace, {"collector.yml": text}, part.labels)


def collector(settings: Settings, part: Part, config: Manifest) -> Manifest:
    """On every host, or where others are heard. What the store does not take lies on the host."""
    ports = settings.ports
    exposed = {"health": ports["log_collector_health"], "metrics": ports["log_collector_metrics"]}
    folders = _folders(settings, part)
    mounts = {"config": "/etc/collector", **{name: path for name, (path, _) in folders.items()}}
    args = ["--config=/etc/collector/collector.yml", pipeline.FEATURES]
    made = parts.container(part, settings, args, exposed, mounts, health="/")
    if part.app == INTAKE:
        made["ports"].append(
            {"name": "intake", "containerPort": ports["log_intake"], "hostPort": ports["log_intake"]}
        )
    made["securityContext"] = {"runAsUser": 0} | pods.container_security()
    made["env"] = [{"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]
    volumes = [{"name": name.rstrip("!"), "hostPath": place} for name, (_, place) in folders.items()]
    spec = exporter_objects.on_host(part, made, [parts.from_config("config", config), *volumes])
    if part.app == INTAKE:
        spec["affinity"] = {"nodeAffinity": pods.on_hosts(logs(settings).heard_at)}
    found = exporter_objects.daemon_set(part, spec)
    found["spec"]["template"]["metadata"] = _watched(COLLECTOR) | {
        "labels": part.labels | {scrape.METRICS_LABEL: COLLECTOR}
    }
    return found


def _folders(settings: Settings, part: Part) -> Mapping[str, tuple[str, Manifest]]:
    """Folders of the host by name of the volume: where they are seen, and the volume."""
    places = logs(settings).places
    own: Manifest = {"path": f"{places['state']}/{part.app}", "type": "DirectoryOrCreate"}
    if part.app == INTAKE:
        keys = f"{places['config']}/pki"
        return {"positions!": (POSITIONS, own), "certificates": (keys, {"path": keys, "type": "Directory"})}
    return {"positions!": (POSITIONS, own), "lines": ("/var/log", {"path": "/var/log", "type": "Directory"})}


def _watched(job: str, *, generation: str = "") -> Manifest:
    annotations = {"bedplate.io/secret-generation": generation} if generation else {}
    return {"labels": {scrape.METRICS_LABEL: job}} | ({"annotations": annotations} if annotations else {})


def _kept(settings: Settings, part: Part, spec: Manifest, metadata: Manifest) -> Manifest:
    """The store's pods with a volume each on its tier."""
    wanted = logs(settings)
    spec["terminationGracePeriodSeconds"] = GRACE_SECONDS
    if part.pods > 1 and len(settings.tier_hosts.get(wanted.tier, ())) >= part.pods:
        spec["topologySpreadConstraints"][0]["whenUnsatisfiable"] = "DoNotSchedule"
    claim: Manifest = {
        "metadata": {"name": "data", "labels": part.labels},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": class_name(wanted.tier),
            "resources": {"requests": {"storage": quantity(wanted.volume)}},
        },
    }
    found = stateful(part, spec)
    found["spec"]["volumeClaimTemplates"] = [claim]
    found["spec"]["template"]["metadata"] = metadata | {"labels": part.labels | metadata.get("labels", {})}
    return found
