"""The component that keeps logs, as it would be sent: who reads what of a host, who reaches the store, what
stays how long."""

from functools import cache
from typing import Any

import pytest
import yaml

from ai_platform import names
from ai_platform.flows import flows
from ai_platform.reading import read
from bedplate.errors import BadInput
from tests.platform_samples import host, inventory
from tests.rendered import Recorder, find, record

Manifest = dict[str, Any]
TIER = [{"name": "cold", "class": "hdd", "count": 4, "raid": 6, "mount": "/srv/cold"}]
HOSTS = {"gpu1": host("h100-sxm5-80gb"), "ctl1": host(), "gw1": host()}
HOSTS |= {f"sto{n}": host(storage_tiers=TIER) for n in (1, 2, 3)}
GROUPS = {"gpu_nodes": ["gpu1"], "storage_nodes": ["sto1", "sto2", "sto3"], "control_plane": ["ctl1"]}
GROUPS |= {"gateways": ["gw1"]}


def logged(hosts: dict[str, Any] | None = None, **fields: Any) -> Any:
    """An environment with logs; host gw1, where it is one, is outside Kubernetes."""
    more = {key[1:]: fields.pop(key) for key in list(fields) if key.startswith("_")}
    chosen = hosts or HOSTS
    groups = {group: [name for name in members if name in chosen] for group, members in GROUPS.items()}
    return inventory(hosts=chosen, groups=groups, logs={"tier": "cold"} | fields, **more)


@cache
def recorded(store: str) -> Recorder:
    return record(logged(store=store))


def template(store: str, kind: str, name: str) -> Manifest:
    found: Manifest = find(recorded(store).objects, kind, name)["spec"]["template"]
    return found


def configuration(store: str, name: str, key: str) -> Manifest:
    [found] = [
        o
        for o in recorded(store).objects
        if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith(f"{name}-") and key in o["data"]
    ]
    return dict(yaml.safe_load(found["data"][key]))


def place(objects: list[Manifest], kind: str, name: str) -> int:
    """In the order in which things are made; names end with a digest of what is in them, or do not."""
    [found] = [
        number
        for number, o in enumerate(objects)
        if o["kind"] == kind and o["metadata"]["name"].startswith(name)
    ]
    return found


@pytest.mark.parametrize(("keep", "waits"), [("s3", True), ("volume", False)])
def test_loki_waits_for_its_bucket_where_it_has_one(keep: str, waits: bool) -> None:
    data = {"object_store": {"tier": "cold", "volume": "1TB"}}
    data |= {name: {"tier": "cold", "volume": "20GiB"} for name in ("postgresql", "valkey")}
    objects = record(logged(store="loki", keep=keep, _data=data)).objects
    bucket = place(objects, "Job", "s3-setup")
    assert (bucket < place(objects, "StatefulSet", "loki")) is waits
    assert place(objects, "DaemonSet", "log-collector") < bucket, "collectors wait for no store"


def test_nothing_is_kept_where_nobody_asked() -> None:
    sent = record(inventory()).objects
    assert not [o for o in sent if o["metadata"].get("namespace") in (names.LOGS, names.HOSTS)]


@pytest.mark.parametrize("store", ["loki", "opensearch"])
def test_a_collector_reads_logs_and_writes_only_what_is_its_own(store: str) -> None:
    spec = template(store, "DaemonSet", "log-collector")["spec"]
    [container] = spec["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    mounts = {m["name"]: m.get("readOnly", False) for m in container["volumeMounts"]}
    assert mounts == {"config": True, "positions": False, "lines": True}
    paths = {v["name"]: v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v}
    assert paths == {"positions": "/var/lib/bedplate/log-collector", "lines": "/var/log"}


def test_what_loki_keeps_is_on_its_tier_for_as_long_as_the_class_says() -> None:
    spec = find(recorded("loki").objects, "StatefulSet", "loki")["spec"]
    assert spec["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "tier-cold"
    limits = configuration("loki", "loki", "loki.yml")["limits_config"]
    assert [rule["period"] for rule in limits["retention_stream"]] == ["4320h", "4320h"]
    finance = {name: values | {"site_retention": "finance"} for name, values in HOSTS.items()}
    kept = read(logged(finance)).logs
    assert kept is not None
    assert kept.days == {"application": 180, "audit": 2192}


def test_hosts_outside_are_heard_where_one_has_their_certificates() -> None:
    sent = template("loki", "DaemonSet", "log-intake")["spec"]
    [port] = [p for p in sent["containers"][0]["ports"] if "hostPort" in p]
    assert port["hostPort"] == 4318
    terms = sent["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert terms[0]["matchExpressions"][0]["values"] == ["ctl1"]
    tls = configuration("loki", "log-intake", "collector.yml")["receivers"]["otlp"]["protocols"]["http"][
        "tls"
    ]
    assert tls["client_ca_file"] == "/etc/bedplate/pki/trust.pem"
    certificate = "/etc/bedplate/pki/server/live/{}.pem"  # as role pki calls them
    assert (tls["cert_file"], tls["key_file"]) == (certificate.format("chain"), certificate.format("key"))
    inside = {name: values for name, values in HOSTS.items() if name != "gw1"}
    assert not [o for o in record(logged(inside)).objects if o["metadata"]["name"].startswith("log-intake")]


@pytest.mark.parametrize(("store", "asks"), [("loki", "grafana"), ("opensearch", "gateway")])
def test_only_collectors_put_and_only_one_asks(store: str, asks: str) -> None:
    port = {"loki": 3100, "opensearch": 9200}[store]
    found = flows(read(logged(store=store)))
    reach = {f.source.app for f in found if f.target.app == store and port in f.ports}
    assert reach - {"opensearch-retention"} == {"log-collector", "log-intake", asks}


def test_three_nodes_of_opensearch_are_on_three_hosts_and_know_their_retention() -> None:
    spec = find(recorded("opensearch").objects, "StatefulSet", "opensearch")["spec"]
    assert spec["replicas"] == 3
    [apart] = spec["template"]["spec"]["topologySpreadConstraints"]
    assert apart["whenUnsatisfiable"] == "DoNotSchedule"
    [job] = [
        o
        for o in recorded("opensearch").objects
        if o["kind"] == "Job" and "retention" in o["metadata"]["name"]
    ]
    [command] = [c["command"] for c in job["spec"]["template"]["spec"]["containers"]]
    assert command[-1] == "http://opensearch.logs.svc:9200"


def test_grafana_searches_loki() -> None:
    watch = {"tier": "cold"}
    found = record(logged(_monitoring=watch)).objects
    [config] = [o for o in found if o["kind"] == "ConfigMap" and "datasources.yml" in o["data"]]
    sources = {s["name"]: s for s in yaml.safe_load(config["data"]["datasources.yml"])["datasources"]}
    assert sources["Logs"]["url"] == "http://loki.logs.svc:3100"
    assert sources["Logs"]["jsonData"] == {"httpHeaderName1": "X-Scope-OrgID"}


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"tier": "hot"}, "platform_logs.tier"),
        ({"keep": "s3"}, "platform_logs.keep"),
        ({"nodes": 2}, "platform_logs.nodes"),
        ({"retention_days": {"audit": 30}}, "platform_logs.retention_days.audit"),
        ({"store": "elastic"}, "platform_logs.store"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(logged(**fields))
    assert [finding.key for finding in refused.value.findings] == [key]
