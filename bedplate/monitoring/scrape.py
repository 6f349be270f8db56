"""What Prometheus reads, from the inventory: hosts at their addresses, inside Kubernetes or not; pods as the
API names them; probes. Every job gives its series the labels that rules and dashboards count on
(docs/monitoring.md).

A pod of a component that is not named here is found by its label ``bedplate.io/metrics``, whose value is the
job, at its container port ``metrics``; the annotation ``bedplate.io/metrics-path`` says another path.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from bedplate.inventory import Inventory, Vars
from bedplate.monitoring import metrics

NAMESPACE = "monitoring"
PROMETHEUS, ALERTMANAGER, BLACKBOX = "prometheus", "alertmanager", "blackbox-exporter"
STATE, DCGM = "kube-state-metrics", "dcgm-exporter"
PAIR = 2
RULES = "/etc/prometheus/rules"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
METRICS_LABEL = "bedplate.io/metrics"
METRICS_PATH = "bedplate.io/metrics-path"
TIMEOUT = 10  # seconds; a target that needs longer is not well
Job = dict[str, Any]

_POD = "__meta_kubernetes_pod_"
_APP = f"{_POD}label_app_kubernetes_io_name"


def config(inventory: Inventory) -> dict[str, Any]:
    """Pure: Prometheus' configuration of one environment."""
    shared = inventory.shared
    pace = f"{shared['monitoring_scrape_seconds']}s"
    timeout = f"{min(TIMEOUT, shared['monitoring_scrape_seconds'])}s"
    managers = alertmanagers(shared)
    return {
        "global": {
            "scrape_interval": pace,
            "scrape_timeout": timeout,
            "evaluation_interval": pace,
            "external_labels": {"environment": str(inventory.environment)},
        },
        "rule_files": [f"{RULES}/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": managers}]}]},
        "scrape_configs": [
            _hosts("node", inventory.hosts, shared["port_node_exporter"]),
            _hosts("etcd", inventory.members("control_plane"), shared["port_etcd_metrics"]),
            _kubelet(shared["port_kubelet"]),
            *(_pods(*row) for row in POD_JOBS),
            *(_gateway(*row) for row in GATEWAY_JOBS),
            _labelled(),
            *_log_collectors(inventory),
            _named(STATE, [f"{STATE}.{NAMESPACE}.svc:{shared['port_kube_state_metrics']}"], honor=True),
            _named(PROMETHEUS, members(PROMETHEUS, PAIR, shared["port_prometheus"])),
            _named(ALERTMANAGER, managers),
            _blackbox(inventory),
        ],
    }


def document(inventory: Inventory) -> str:
    """Pure: the configuration as text."""
    return yaml.dump(config(inventory), Dumper=yaml.CSafeDumper, sort_keys=False, width=1000)


def members(name: str, count: int, port: int) -> list[str]:
    """Addresses of the pods of a StatefulSet behind its headless Service; one that is missing stays a target
    that does not answer."""
    return [f"{name}-{number}.{name}.{NAMESPACE}.svc:{port}" for number in range(count)]


def alertmanagers(shared: Vars) -> list[str]:
    """Addresses of every Alertmanager."""
    return members(ALERTMANAGER, shared["monitoring_alertmanagers"], shared["port_alertmanager"])


def address(host: str, values: Vars, zone: str = "management") -> str:
    """Where a host is reached in a zone: its address there, or else its first, or else its name."""
    addresses: dict[str, str] = values.get("vlan_network_addresses", {})
    networks = [n["name"] for n in values.get("site_networks", ()) if n.get("zone") == zone]
    return next((addresses[n] for n in networks if n in addresses), next(iter(addresses.values()), host))


def _hosts(job: str, hosts: dict[str, Vars], port: int) -> Job:
    targets = [
        {"targets": [f"{address(host, values)}:{port}"], "labels": {"node": str(host)}}
        for host, values in hosts.items()
    ]
    return {"job_name": job, "static_configs": targets}


def _log_collectors(inventory: Inventory) -> Iterable[Job]:
    """Where logs are collected: the collectors of hosts outside Kubernetes, services there and no pods."""
    outside = {h: v for h, v in inventory.hosts.items() if h not in inventory.groups.get("kubernetes", ())}
    if outside and inventory.shared.get("platform_logs"):
        yield _hosts("log-collector", outside, inventory.shared["port_log_collector_metrics"])


def _named(job: str, targets: Sequence[str], *, honor: bool = False) -> Job:
    found: Job = {"job_name": job, "static_configs": [{"targets": list(targets)}]}
    return found | ({"honor_labels": True} if honor else {})


def _kubelet(port: int) -> Job:
    """Containers' memory, which only kubelet knows; of its thousands of series those that somebody reads."""
    read = sorted(metric.name for metric in metrics.known().values() if metric.exporter == "kubelet")
    return {
        "job_name": "kubelet",
        "scheme": "https",
        "metrics_path": "/metrics/cadvisor",
        "honor_labels": True,
        "authorization": {"credentials_file": f"{ACCOUNT}/token"},
        "tls_config": {"ca_file": f"{ACCOUNT}/ca.crt"},
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [
            _copy("__meta_kubernetes_node_name", "node"),
            _copy("__address__", "__address__", r"(.+):\d+", f"$1:{port}"),
        ],
        "metric_relabel_configs": [_keep("__name__", "|".join(read))],
    }


# Job, app, name of the container port, and whether labels of the exporter win: dcgm-exporter names the pod
# that uses the GPU where our own labels would name the exporter's pod.
POD_JOBS = (
    ("vllm", "vllm", "http", False),
    ("triton", "triton", "metrics", False),
    ("dcgm", DCGM, "metrics", True),
)


def _pods(job: str, app: str, port: str, own: bool) -> Job:
    kept = [_keep(_APP, app), _keep(f"{_POD}container_port_name", port)]
    # Of a model that spans hosts only the first pod answers HTTP.
    kept.append(_keep(f"{_POD}label_apps_kubernetes_io_pod_index", "0?" if job == "vllm" else ".*"))
    found: Job = {"job_name": job, "kubernetes_sd_configs": [{"role": "pod"}]}
    if own:
        return found | {"honor_labels": True, "relabel_configs": [*kept, _copy(f"{_POD}node_name", "node")]}
    return found | {"relabel_configs": [*kept, *_placed()]}


# One port shows both programs of the API gateway: its proxy, and the gate that decides.
GATEWAY_JOBS = (("gateway", "/stats/prometheus"), ("gate", "/metrics"))


def _gateway(job: str, path: str) -> Job:
    """Of the proxy's thousands of series those that somebody reads."""
    kept = [_keep(_APP, "gateway"), _keep(f"{_POD}container_port_name", "metrics"), *_placed()]
    read = sorted(metric.name for metric in metrics.known().values() if metric.exporter == job)
    return {
        "job_name": job,
        "metrics_path": path,
        "kubernetes_sd_configs": [{"role": "pod"}],
        "relabel_configs": kept,
        "metric_relabel_configs": [_keep("__name__", "|".join(read))],
    }


def _labelled() -> Job:
    label = "__meta_kubernetes_pod_label_bedplate_io_metrics"
    return {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod"}],
        "relabel_configs": [
            _keep(label, ".+"),
            _keep(f"{_POD}container_port_name", "metrics"),
            _copy(label, "job"),
            _copy(f"{_POD}annotation_bedplate_io_metrics_path", "__metrics_path__", "(.+)"),
            *_placed(),
        ],
    }


def _placed() -> list[Job]:
    return [
        _copy(f"{_POD}node_name", "node"),
        _copy("__meta_kubernetes_namespace", "namespace"),
        _copy(f"{_POD}name", "pod"),
        _copy(f"{_POD}label_app_kubernetes_io_instance", "service"),
    ]


def _keep(label: str, pattern: str) -> Job:
    return {"action": "keep", "source_labels": [label], "regex": pattern}


def _copy(source: str, target: str, pattern: str = "", replacement: str = "") -> Job:
    found: Job = {"source_labels": [source], "target_label": target}
    return found | ({"regex": pattern, "replacement": replacement or "$1"} if pattern else {})


def _blackbox(inventory: Inventory) -> Job:
    through = f"{BLACKBOX}.{NAMESPACE}.svc:{inventory.shared['port_blackbox_exporter']}"
    probes = [
        {"targets": list(targets), "labels": {"scope": scope, "__param_module": module}}
        for scope, module, targets in probed(inventory)
        if targets
    ]
    return {
        "job_name": "blackbox",
        "metrics_path": "/probe",
        "static_configs": probes,
        "relabel_configs": [
            _copy("__address__", "__param_target"),
            _copy("__param_target", "instance"),
            {"target_label": "__address__", "replacement": through},
        ],
    }


def probed(inventory: Inventory) -> list[tuple[str, str, list[str]]]:
    """Scope, module and targets of every probe: the gateways as users reach them, other sites, the compute
    network between GPU hosts, and the API servers, whose certificates end."""
    shared = inventory.shared
    gateways = [str(url) for url in shared["monitoring_probe_gateways"]]
    if not gateways:
        gateways = [
            f"https://{address(host, values, 'business')}:{shared['port_https']}/"
            for host, values in inventory.members("gateways").items()
        ]
    controllers = [
        f"{address(host, values, 'compute')}:{shared['port_kubernetes_api']}"
        for host, values in inventory.members("control_plane").items()
    ]
    return [
        ("gateway", "http", gateways),
        ("site", "icmp", [str(site) for site in shared["monitoring_probe_sites"]]),
        ("fabric", "icmp", list(_fabric(inventory.members("gpu_nodes")))),
        ("control-plane", "tls", controllers),
    ]


def _fabric(hosts: dict[str, Vars]) -> Iterable[str]:
    return (str(address(host, values, "compute")) for host, values in hosts.items())


def blackbox() -> dict[str, Any]:
    """Pure: blackbox_exporter's modules. A gateway that asks for a key answers, and so is there; a
    certificate is judged by its date (alert CertificateExpires), not by who signed it."""
    unverified = {"insecure_skip_verify": True}
    answers = [*range(200, 207), 301, 302, 303, 307, 308, 400, 401, 403, 404, 429]
    http = {"valid_status_codes": answers, "follow_redirects": False, "tls_config": unverified}
    return {
        "modules": {
            "http": {"prober": "http", "timeout": "8s", "http": http},
            "tls": {"prober": "tcp", "timeout": "8s", "tcp": {"tls": True, "tls_config": unverified}},
            "icmp": {"prober": "icmp", "timeout": "3s", "icmp": {"preferred_ip_protocol": "ip4"}},
        }
    }


def blackbox_document() -> str:
    """Pure: the modules as text."""
    return yaml.safe_dump(blackbox(), sort_keys=False)
