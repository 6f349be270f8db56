"""Who may talk to whom, declared once. Everything that is not here is denied in both directions."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from ai_platform import api_flows, backup_items, data_flows, dify_flows, log_flows, milvus_flows, names
from ai_platform.log_settings import Logs
from ai_platform.namespaces import on_host_network
from ai_platform.peers import OUTSIDE, Flow, Peer
from ai_platform.settings import Backups, Settings, Watch

HTTPS = 443

GATEWAY = Peer(names.GATEWAY, "gateway")
PROMETHEUS = Peer(names.MONITORING, "prometheus")
ALERTMANAGER = Peer(names.MONITORING, "alertmanager")
GRAFANA = Peer(names.MONITORING, "grafana")
BLACKBOX = Peer(names.MONITORING, "blackbox-exporter")
STATE = Peer(names.MONITORING, "kube-state-metrics")
DCGM = Peer(names.HOSTS, "dcgm-exporter")
VLLM = Peer(names.SERVING, "vllm")
TRITON = Peer(names.SERVING, "triton")


def flows(settings: Settings) -> list[Flow]:
    """All flows of this environment's components."""
    ports = settings.ports
    found = [
        Flow(GATEWAY, VLLM, (ports["vllm"],), "the gateway is the only client of models"),
        Flow(
            GATEWAY,
            TRITON,
            (ports["triton_http"], ports["triton_grpc"]),
            "the gateway is the only client of models",
        ),
        Flow(PROMETHEUS, VLLM, (ports["vllm"],), "vLLM shows its metrics on its only port"),
        Flow(PROMETHEUS, TRITON, (ports["triton_metrics"],), "metrics"),
    ]
    found += [
        _group(service.name)
        for service in settings.vllm
        if service.multi_host and not on_host_network(service)
    ]
    if any(on_host_network(service) for service in settings.vllm):
        found += [
            Flow(client, OUTSIDE, (ports["vllm"],), "models on the hosts' network have the hosts' addresses")
            for client in (GATEWAY, PROMETHEUS)
        ]
    found += _api_clients(ports)
    if settings.watch:
        found += _watching(settings.watch, settings.logs, ports)
    if settings.backups:
        found += _backing_up(settings, settings.backups)
    found += api_flows.flows(settings)
    found += milvus_flows.flows(settings)
    return [*found, *data_flows.flows(settings), *dify_flows.flows(settings), *log_flows.flows(settings)]


def _group(instance: str) -> Flow:
    peer = Peer(names.SERVING, "vllm", instance)
    return Flow(peer, peer, (), "ranks of one group talk on ports that they choose themselves")


def _api_clients(ports: Mapping[str, int]) -> list[Flow]:
    clients = (
        (names.GPU, "node-feature-discovery", "labels nodes"),
        (names.GPU, "mig-manager", "reads the wanted MIG layout of its node"),
        (names.STORAGE, "local-volumes", "makes a volume of each mount point"),
    )
    api = (ports["kubernetes_api"],)
    return [Flow(Peer(namespace, app), OUTSIDE, api, why) for namespace, app, why in clients]


def _watching(watch: Watch, logs: Logs | None, ports: Mapping[str, int]) -> list[Flow]:
    """Who reads whom, who tells whom."""
    hosts = ["kubernetes_api", "kubelet", "node_exporter", "etcd_metrics"]
    hosts += ["log_collector_metrics"] if logs and logs.heard_at else []
    read = [(DCGM, "dcgm_exporter"), (STATE, "kube_state_metrics"), (BLACKBOX, "blackbox_exporter")]
    read += [(PROMETHEUS, "prometheus"), (ALERTMANAGER, "alertmanager")]
    found = [
        Flow(PROMETHEUS, OUTSIDE, tuple(ports[name] for name in hosts), "hosts, and the API that names pods"),
        *(Flow(PROMETHEUS, target, (ports[name],), "metrics, probes and alerts") for target, name in read),
        Flow(
            ALERTMANAGER,
            ALERTMANAGER,
            (ports["alertmanager_peers"],),
            "Alertmanagers agree on what was said",
            ("TCP", "UDP"),
        ),
        Flow(GRAFANA, PROMETHEUS, (ports["prometheus"],), "dashboards ask Prometheus"),
        Flow(GATEWAY, GRAFANA, (ports["grafana"],), "people see dashboards through the gateway"),
        Flow(STATE, OUTSIDE, (ports["kubernetes_api"],), "reads pods and jobs"),
        # A ping has no port, and a rule with ports lets none through.
        Flow(
            BLACKBOX, OUTSIDE, (), "probes gateways, certificates and round trips wherever the inventory says"
        ),
    ]
    if watch.notified:
        found.append(Flow(ALERTMANAGER, OUTSIDE, watch.notified, "whoever is told of alerts"))
    for database in watch.databases:
        exporter = Peer(names.MONITORING, f"{database.kind}-exporter", database.name)
        port = _own_port(database.address)
        found.append(Flow(exporter, OUTSIDE, (port,), "the database that it reads"))
        found.append(Flow(PROMETHEUS, exporter, (ports[f"{database.kind}_exporter"],), "metrics"))
    return found


def _backing_up(settings: Settings, backups: Backups) -> list[Flow]:
    """Each item's pods reach the server of backups, and what they back up."""
    found = []
    for item in backup_items.items(settings):
        source = Peer(names.BACKUP, "backup", item.name)
        found.append(Flow(source, OUTSIDE, (_own_port(backups.server),), "the server that keeps backups"))
        target = Peer(*item.peer)
        if item.address:
            found.append(Flow(source, target, (_own_port(item.address),), "the database that it backs up"))
        elif item.bucket and settings.object_store:
            port = _port(settings.object_store.endpoint)
            found.append(Flow(source, target, (port,), "the bucket that it backs up"))
    return found


def _own_port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _port(endpoint: str) -> int:
    return urlsplit(endpoint).port or HTTPS
