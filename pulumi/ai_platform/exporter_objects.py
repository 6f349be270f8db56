"""Objects of the exporters: of hosts, of GPUs, of what Kubernetes knows, of probes, of databases.

Health of disks needs no program here: role disk_health of the hosts writes it, under the names of
smartctl_exporter, where node_exporter reads it; a second reader would only count every disk twice.
"""

from ai_platform import gpu_objects, names, pods, scripts
from ai_platform import monitoring_parts as parts
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part
from ai_platform.settings import Database, Settings
from bedplate.monitoring import scrape

ROOT = "/host/root"
# Mounts of pods and of containers come and go by the thousand and are somebody else's to watch.
NOT_WATCHED = "^/(dev|proc|sys|run|var/lib/(kubelet|containerd|containers)/.+)($|/)"
STATE_READS = (("", ["pods"], ["list", "watch"]), ("batch", ["cronjobs"], ["list", "watch"]))
PASSWORDS = {"postgres": "postgres-monitoring-password", "valkey": "valkey-monitoring-password"}
LOGIN = "monitoring"
LOGINS = "/etc/bedplate/login"


def node_exporter(settings: Settings, part: Part) -> Manifest:
    """On every host: it reads the host's files, network and processes, and writes nothing. Hosts outside
    Kubernetes run the same program as a service of their own."""
    port = settings.ports["node_exporter"]
    args = [
        f"--web.listen-address=:{port}",
        f"--path.rootfs={ROOT}",
        f"--path.procfs={ROOT}/proc",
        f"--path.sysfs={ROOT}/sys",
        f"--path.udev.data={ROOT}/run/udev/data",
        f"--collector.textfile.directory={ROOT}{parts.watch(settings).textfiles}",
        f"--collector.filesystem.mount-points-exclude={NOT_WATCHED}",
        "--collector.netclass.ignored-devices=^(veth|cali|cilium|lxc).*$",
        "--collector.netdev.device-exclude=^(veth|cali|cilium|lxc).*$",
    ]
    made = parts.container(part, settings, args, {"metrics": port}, {}, health="/")
    made["volumeMounts"] = [
        {"name": "root", "mountPath": ROOT, "readOnly": True, "mountPropagation": "HostToContainer"}
    ]
    spec = on_host(part, made, [{"name": "root", "hostPath": {"path": "/", "type": "Directory"}}])
    return daemon_set(part, spec | {"hostNetwork": True, "hostPID": True})


def dcgm_exporter(settings: Settings, part: Part, counters: Manifest) -> Manifest:
    """On every host with GPUs, with our own list of counters: the image's leaves out what fails first."""
    port, sockets = settings.ports["dcgm_exporter"], "/var/lib/kubelet/pod-resources"
    args = ["-f", "/etc/bedplate/dcgm-counters.csv", "-a", f":{port}"]
    mounts = {"counters": "/etc/bedplate", "sockets": sockets, "tmp!": "/tmp"}  # noqa: S108 - the mount
    made = parts.container(part, settings, args, {"metrics": port}, mounts, health="/health")
    made["securityContext"] = {"runAsUser": 0} | pods.container_security()
    env = {"DCGM_EXPORTER_KUBERNETES": "true", **gpu_objects.DRIVER_ENVIRONMENT}
    made["env"] = [
        *({"name": name, "value": value} for name, value in env.items()),
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    volumes = [
        parts.from_config("counters", counters),
        {"name": "sockets", "hostPath": {"path": sockets, "type": "Directory"}},
        parts.tmp(),
    ]
    gpus = {"runtimeClassName": names.RUNTIME_CLASS, "affinity": gpu_objects.on_gpu_hosts()}
    return daemon_set(part, on_host(part, made, volumes) | gpus)


def counters(settings: Settings, part: Part) -> Manifest:
    """The fields that dcgm-exporter reads."""
    data = {"dcgm-counters.csv": parts.watch(settings).counters}
    return scripts.config_map("dcgm-counters", part.namespace, data, part.labels)


def modules(settings: Settings, part: Part) -> Manifest:
    """How blackbox_exporter probes."""
    data = {"blackbox.yml": parts.watch(settings).blackbox}
    return scripts.config_map("blackbox-modules", part.namespace, data, part.labels)


def blackbox(settings: Settings, part: Part, config: Manifest) -> Manifest:
    """Two, so that a drained host is no failed probe. Pings need no capability: the kernel lets the pod's
    group open such sockets."""
    args = ["--config.file=/etc/blackbox/blackbox.yml"]
    port = {"http": settings.ports["blackbox_exporter"]}
    made = parts.container(part, settings, args, port, {"config": "/etc/blackbox"})
    spec = parts.pod(part, made, [parts.from_config("config", config)])
    spec["securityContext"]["sysctls"] = [{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}]
    return parts.deployment(part, spec)


def state(settings: Settings, part: Part) -> Manifest:
    """What the API server knows of pods and nightly jobs: only what rules and dashboards read."""
    port = settings.ports["kube_state_metrics"]
    args = [
        f"--port={port}",
        "--resources=pods,cronjobs",
        f"--metric-allowlist={','.join(parts.watch(settings).allowlist)}",
    ]
    made = parts.container(part, settings, args, {"http": port}, {}, health="/livez", ready="/healthz")
    return parts.deployment(part, parts.pod(part, made, [], token=True))


def database(settings: Settings, part: Part, database: Database, generation: str) -> Manifest:
    """The exporter of one database, found by its label like any other pod."""
    port = settings.ports[f"{database.kind}_exporter"]
    env, volumes = _login(database, PASSWORDS[database.kind])
    mounts = {volume["name"]: LOGINS for volume in volumes}
    container = parts.container(part, settings, [], {"metrics": port}, mounts, health="/") | {"env": env}
    own = {"app.kubernetes.io/instance": database.name, scrape.METRICS_LABEL: database.kind}
    pod = parts.pod(part, container, volumes)
    found = parts.deployment(part, pod, **{"bedplate.io/secret-generation": generation})
    found["metadata"] |= {"name": f"{part.app}-{database.name}", "labels": part.labels | own}
    found["spec"] |= {"replicas": 1, "selector": {"matchLabels": names.selector(part.app, database.name)}}
    found["spec"]["template"]["metadata"]["labels"] = part.labels | own
    found["spec"]["template"]["spec"]["topologySpreadConstraints"] = pods.apart(part.app, database.name)
    return found


def _login(database: Database, secret: str) -> tuple[list[Manifest], list[Manifest]]:
    """Variables that say whom to ask as whom, and volumes. PostgreSQL's exporter reads its password from a
    file; Valkey's can read a table of addresses only, so that it has the password itself."""
    if database.kind == "postgres":
        source = f"{database.address}/postgres?sslmode=require"
        plain = {"DATA_SOURCE_URI": source, "DATA_SOURCE_USER": LOGIN}
        plain["DATA_SOURCE_PASS_FILE"] = f"{LOGINS}/{secret}"
        volumes: list[Manifest] = [{"name": "login", "secret": {"secretName": secret, "defaultMode": 0o440}}]
        return [{"name": name, "value": value} for name, value in plain.items()], volumes
    plain = {"REDIS_ADDR": f"redis://{database.address}", "REDIS_USER": LOGIN}
    plain["REDIS_EXPORTER_CHECK_SINGLE_KEYS"] = "db1=dataset"
    password = {"secretKeyRef": {"name": secret, "key": secret}}
    own: Manifest = {"name": "REDIS_PASSWORD", "valueFrom": password}
    return [*({"name": name, "value": value} for name, value in plain.items()), own], []


def on_host(part: Part, made: Manifest, volumes: list[Manifest]) -> Manifest:
    """The pod of a part that runs once on a host."""
    spec = parts.pod(part, made, volumes)
    del spec["topologySpreadConstraints"]  # one per host as it is
    if part.user == 0:
        spec["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}}
    return spec | {"priorityClassName": parts.NODE_CRITICAL}


def daemon_set(part: Part, spec: Manifest) -> Manifest:
    """The part on every host that its pod's affinity names."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": names.metadata(part.app, part.namespace, labels=part.labels),
        "spec": {
            "selector": {"matchLabels": part.selector},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": parts.template(part, spec),
        },
    }
