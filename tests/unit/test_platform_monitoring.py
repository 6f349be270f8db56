"""The component that watches, as it would be sent: pairs that are pairs, secrets that are secret, who reaches
whom."""

from functools import cache
from typing import Any

import pytest
import yaml

from ai_platform import names, prometheus_objects
from ai_platform.flows import flows
from ai_platform.namespaces import namespaces
from ai_platform.network_policies import network_policies
from ai_platform.reading import read
from bedplate.errors import BadInput
from tests.platform_samples import host, inventory
from tests.rendered import SECRET, Recorder, find, pod_specs, record
from tests.unit.test_platform_flows import GATEWAY, JOB, OUTSIDE, PROMETHEUS, STRANGER, pod, reaches

Manifest = dict[str, Any]
TIER = [{"name": "warm", "class": "ssd", "count": 2, "raid": 1, "mount": "/srv/warm"}]
HOSTS = {f"gpu{n}": host("h100-sxm5-80gb") for n in (1, 2)}
HOSTS |= {f"sto{n}": host(storage_tiers=TIER) for n in (1, 2, 3)} | {"ctl1": host()}
GROUPS = {"gpu_nodes": ["gpu1", "gpu2"], "storage_nodes": ["sto1", "sto2", "sto3"], "control_plane": ["ctl1"]}
GROUPS |= {"gateways": ["ctl1"]}
HOOK = "https://pager.example.com:8443/hook?key=0f3c"
DATABASES = [
    {"name": "dify", "kind": "postgres", "address": "db.example.com:5432"},
    {"name": "queue", "kind": "valkey", "address": "cache.example.com:6379"},
]
WATCH = {"tier": "warm", "volume": "100GiB", "retention_days": 20, "databases": DATABASES}


def watched(hosts: dict[str, Any] | None = None, **fields: Any) -> Any:
    told = {"monitoring_receivers": {"page": [HOOK]}}
    chosen = {name: values | told for name, values in (hosts or HOSTS).items()}
    groups = {group: [h for h in members if h in chosen] for group, members in GROUPS.items()}
    return inventory(hosts=chosen, groups=groups, monitoring=WATCH | fields)


@cache
def recorded() -> Recorder:
    return record(watched())


def objects() -> list[Manifest]:
    return recorded().objects


def spec(kind: str, name: str) -> Manifest:
    found: Manifest = find(objects(), kind, name)["spec"]
    return found


def test_nothing_watches_where_nobody_asked() -> None:
    sent = record(inventory()).objects
    assert not [o for o in sent if o["metadata"].get("namespace") == names.HOSTS]
    assert not [o for o in sent if o["kind"] == "StatefulSet"]


def test_a_pair_is_on_two_hosts_and_each_has_its_own_volume() -> None:
    pair = spec("StatefulSet", "prometheus")
    assert pair["replicas"] == 2
    [apart] = pair["template"]["spec"]["topologySpreadConstraints"]
    assert (apart["topologyKey"], apart["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "DoNotSchedule")
    [claim] = pair["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "tier-warm"
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Gi"
    args = pair["template"]["spec"]["containers"][0]["args"]
    assert "--storage.tsdb.retention.time=20d" in args
    assert f"--storage.tsdb.retention.size={100 * 2**30 * 8 // 10}B" in args


def test_one_host_with_the_tier_takes_both() -> None:
    hosts = {name: values for name, values in HOSTS.items() if name not in ("sto2", "sto3")}
    pair = find(record(watched(hosts)).objects, "StatefulSet", "prometheus")["spec"]
    [apart] = pair["template"]["spec"]["topologySpreadConstraints"]
    assert apart["whenUnsatisfiable"] == "ScheduleAnyway"


def test_three_alertmanagers_know_each_other() -> None:
    three = spec("StatefulSet", "alertmanager")
    assert three["replicas"] == 3
    args = three["template"]["spec"]["containers"][0]["args"]
    peers = [arg.removeprefix("--cluster.peer=") for arg in args if arg.startswith("--cluster.peer=")]
    assert peers == [f"alertmanager-{n}.alertmanager.monitoring.svc:9094" for n in range(3)]
    address = spec("Service", "alertmanager")
    assert (address["clusterIP"], address["publishNotReadyAddresses"]) == ("None", True)


@pytest.mark.parametrize("app", ["prometheus", "alertmanager", "blackbox-exporter"])
def test_a_drain_takes_one_at_a_time(app: str) -> None:
    assert spec("PodDisruptionBudget", f"{app}-monitoring")["maxUnavailable"] == 1


def test_every_rule_file_is_sent_and_mounted_where_prometheus_looks() -> None:
    template = spec("StatefulSet", "prometheus")["template"]["spec"]
    volumes = {volume["name"]: volume for volume in template["volumes"]}
    config = find(objects(), "ConfigMap", volumes["config"]["configMap"]["name"])
    wanted = yaml.safe_load(config["data"]["prometheus.yml"])["rule_files"]
    [mount] = [m for m in template["containers"][0]["volumeMounts"] if m["name"] == "rules"]
    assert wanted == [f"{mount['mountPath']}/*.yml"]
    maps = [source["configMap"]["name"] for source in volumes["rules"]["projected"]["sources"]]
    files = [name for found in maps for name in find(objects(), "ConfigMap", found)["data"]]
    assert len(files) == len(set(files)) == 12
    assert "expected.yml" in files


@pytest.mark.parametrize("sizes", [[10], [400, 400, 400], [900, 10, 900], [1200, 10]])
def test_rules_are_packed_as_long_as_they_fit(sizes: list[int]) -> None:
    files = {f"{place}.yml": "x" * size for place, size in enumerate(sizes)}
    packs = list(prometheus_objects.packed(files, 1000))
    assert {name: text for pack in packs for name, text in pack.items()} == files
    assert all(len(pack) == 1 or sum(map(len, pack.values())) <= 1000 for pack in packs)
    first = [sum(map(len, pack.values())) for pack in packs]
    assert all(a + len(next(iter(b.values()))) > 1000 for a, b in zip(first, packs[1:], strict=False))


def test_a_changed_rule_is_a_new_name_and_so_a_new_pod() -> None:
    def names_of(edited: Any) -> set[str]:
        volumes = find(record(edited).objects, "StatefulSet", "prometheus")["spec"]["template"]["spec"][
            "volumes"
        ]
        return {
            source["configMap"]["name"]
            for volume in volumes
            if volume["name"] == "rules"
            for source in volume["projected"]["sources"]
        }

    patient = {name: values | {"monitoring_vllm_queue": 25} for name, values in HOSTS.items()}
    assert names_of(watched()) == names_of(watched())
    assert names_of(watched()) != names_of(watched(patient))


def test_grafana_has_no_default_login_and_tells_nobody() -> None:
    [container] = spec("Deployment", "grafana")["template"]["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env["GF_SECURITY_ADMIN_USER"] != "admin"
    assert env["GF_SECURITY_ADMIN_PASSWORD__FILE"].endswith("/grafana-admin-password")
    assert env["GF_SECURITY_SECRET_KEY__FILE"].endswith("/grafana-secret-key")
    assert not [name for name in env if name.endswith(("PASSWORD", "SECRET_KEY"))]
    for name in ("USERS_ALLOW_SIGN_UP", "AUTH_ANONYMOUS_ENABLED", "ANALYTICS_REPORTING_ENABLED"):
        assert env[f"GF_{name}"] == "false"


def test_grafana_is_provisioned() -> None:
    volumes = {v["name"]: v for v in spec("Deployment", "grafana")["template"]["spec"]["volumes"]}
    config = find(objects(), "ConfigMap", volumes["provisioning"]["configMap"]["name"])["data"]
    [source] = yaml.safe_load(config["datasources.yml"])["datasources"]
    assert (source["uid"], source["editable"]) == ("prometheus", False)
    host_name = source["url"].removeprefix("http://").split(".")[0]
    assert spec("Service", host_name)["sessionAffinity"] == "ClientIP"
    boards = find(objects(), "ConfigMap", volumes["boards"]["configMap"]["name"])["data"]
    assert len(boards) == 9
    [provider] = yaml.safe_load(config["dashboards.yml"])["providers"]
    mounts = spec("Deployment", "grafana")["template"]["spec"]["containers"][0]["volumeMounts"]
    assert provider["options"]["path"] in [mount["mountPath"] for mount in mounts]


def test_addresses_of_receivers_are_secret() -> None:
    holding = [o for o in objects() if HOOK in str(o)]
    assert [o["kind"] for o in holding] == ["Secret"]
    assert not [sent for sent in recorded().sent if sent["kind"] != "Secret" and HOOK in str(sent)]
    assert sum(SECRET in str(o) for o in objects()) == 4  # Grafana's two, one for each kind of database


def test_gpus_are_counted_by_our_own_list() -> None:
    daemon = spec("DaemonSet", "dcgm-exporter")["template"]["spec"]
    [container] = daemon["containers"]
    assert container["args"][:2] == ["-f", "/etc/bedplate/dcgm-counters.csv"]
    assert daemon["runtimeClassName"] == names.RUNTIME_CLASS
    [counters] = [v["configMap"]["name"] for v in daemon["volumes"] if "configMap" in v]
    text = find(objects(), "ConfigMap", counters, names.HOSTS)["data"]["dcgm-counters.csv"]
    assert "DCGM_FI_DEV_ROW_REMAP_PENDING" in text
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_what_reads_hosts_cannot_write_them() -> None:
    for name, _, pod_spec in pod_specs(objects()):
        paths = {v["name"] for v in pod_spec["volumes"] if "hostPath" in v}
        mounts = [m for c in pod_spec["containers"] for m in c.get("volumeMounts", []) if m["name"] in paths]
        if name in ("DaemonSet/node-exporter", "DaemonSet/dcgm-exporter"):
            assert mounts
            assert all(mount["readOnly"] for mount in mounts), name
            assert "privileged" not in str(pod_spec["containers"]), name


def test_disks_are_read_where_their_role_writes() -> None:
    [container] = spec("DaemonSet", "node-exporter")["template"]["spec"]["containers"]
    assert "--collector.textfile.directory=/host/root/var/lib/node-exporter/textfile" in container["args"]


def test_the_quota_holds_what_watches() -> None:
    for space in (names.MONITORING, names.HOSTS):
        hard = find(objects(), "ResourceQuota", "quota", space)["spec"]["hard"]
        wanted = 0
        for o in objects():
            if o["metadata"].get("namespace") == space and o["kind"] in ("Deployment", "StatefulSet"):
                wanted += o["spec"]["replicas"]
        assert int(hard["pods"]) >= wanted + 20


def test_an_exporter_of_a_database_is_found_by_its_label() -> None:
    for kind, name, port in (("postgres", "dify", 9187), ("valkey", "queue", 9121)):
        found = spec("Deployment", f"{kind}-exporter-{name}")["template"]
        assert found["metadata"]["labels"]["bedplate.io/metrics"] == kind
        [container] = found["spec"]["containers"]
        assert container["ports"] == [{"name": "metrics", "containerPort": port}]
        env = {e["name"]: e for e in container["env"]}
        secret = f"{kind}-monitoring-password"
        if kind == "postgres":
            [login] = found["spec"]["volumes"]
            assert login["secret"]["secretName"] == secret
            [mount] = container["volumeMounts"]
            assert env["DATA_SOURCE_PASS_FILE"]["value"] == f"{mount['mountPath']}/{secret}"
            assert not [e for e in env.values() if "valueFrom" in e]
        else:
            assert env["REDIS_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": secret, "key": secret}


@cache
def policies() -> tuple[Manifest, ...]:
    settings = read(watched())
    return tuple(network_policies([space.name for space in namespaces(settings)], flows(settings)))


M = names.MONITORING
AM, GRAFANA, BLACKBOX, STATE = (
    pod(M, app) for app in ("alertmanager", "grafana", "blackbox-exporter", "kube-state-metrics")
)
DCGM, NODE = pod(names.HOSTS, "dcgm-exporter"), pod(names.HOSTS, "node-exporter")
POSTGRES = pod(M, "postgres-exporter", "dify")
REACH = [
    ("Prometheus to a host's exporter", PROMETHEUS, OUTSIDE, 9100, True),
    ("Prometheus to kubelet", PROMETHEUS, OUTSIDE, 10250, True),
    ("Prometheus to the API server", PROMETHEUS, OUTSIDE, 6443, True),
    ("Prometheus to SSH of a host", PROMETHEUS, OUTSIDE, 22, False),
    ("Prometheus to the internet", PROMETHEUS, OUTSIDE, 443, False),
    ("Prometheus to DCGM", PROMETHEUS, DCGM, 9400, True),
    ("Prometheus to its twin", PROMETHEUS, pod(M, "prometheus"), 9090, True),
    ("Prometheus to Alertmanager", PROMETHEUS, AM, 9093, True),
    ("Prometheus to Alertmanagers' own talk", PROMETHEUS, AM, 9094, False),
    ("Alertmanager to Alertmanager", AM, pod(M, "alertmanager"), 9094, True),
    ("Alertmanager to the receiver's port", AM, OUTSIDE, 8443, True),
    ("Alertmanager to another port", AM, OUTSIDE, 443, False),
    ("Alertmanager to Prometheus", AM, PROMETHEUS, 9090, False),
    ("Grafana to Prometheus", GRAFANA, PROMETHEUS, 9090, True),
    ("Grafana to the internet", GRAFANA, OUTSIDE, 443, False),
    ("Grafana to Alertmanager", GRAFANA, AM, 9093, False),
    ("the gateway to Grafana", GATEWAY, GRAFANA, 3000, True),
    ("the gateway to Prometheus, which asks nobody's name", GATEWAY, PROMETHEUS, 9090, False),
    ("batch to Prometheus", JOB, PROMETHEUS, 9090, False),
    ("batch to the prober, which would fetch anything for it", JOB, BLACKBOX, 9115, False),
    ("a stranger to the prober", STRANGER, BLACKBOX, 9115, False),
    ("Prometheus to the prober", PROMETHEUS, BLACKBOX, 9115, True),
    ("the prober to a gateway", BLACKBOX, OUTSIDE, 443, True),
    ("kube-state-metrics to the API server", STATE, OUTSIDE, 6443, True),
    ("DCGM to anything", DCGM, OUTSIDE, 443, False),
    ("the exporter to its database", POSTGRES, OUTSIDE, 5432, True),
    ("the exporter to another database", POSTGRES, OUTSIDE, 6379, False),
    ("Prometheus to the exporter", PROMETHEUS, POSTGRES, 9187, True),
]


@pytest.mark.parametrize(
    ("source", "target", "port", "may"), [c[1:] for c in REACH], ids=[c[0] for c in REACH]
)
def test_who_reaches_whom(source: Any, target: Any, port: int, may: bool) -> None:
    assert reaches(list(policies()), source, target, port) is may


def test_gossip_may_use_datagrams() -> None:
    found = find(policies(), "NetworkPolicy", "alertmanager-ingress")["spec"]["ingress"]
    ports = [(p["protocol"], p["port"]) for rule in found for p in rule["ports"]]
    assert ("UDP", 9094) in ports
    assert ("UDP", 9093) not in ports


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"tier": "lukewarm"}, "platform_monitoring.tier"),
        ({"volume": "much"}, "platform_monitoring.volume"),
        ({"retention": 3}, "platform_monitoring.retention"),
        (
            {"databases": [{"name": "x", "kind": "mysql", "address": "a:1"}]},
            "platform_monitoring.databases.0.kind",
        ),
        ({"databases": [DATABASES[0], DATABASES[0]]}, "platform_monitoring.databases.name"),
    ],
)
def test_what_cannot_work_is_refused(fields: Manifest, key: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(watched(**fields))
    assert [finding.key for finding in refused.value.findings] == [key]
