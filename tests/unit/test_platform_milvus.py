"""Milvus, Chroma and the knowledge-base sync as they would be sent: what is highly available, who reaches
whom, what an upgrade leaves alone, what is refused."""

import json
from functools import cache
from typing import Any

import pytest
import yaml

from ai_platform import milvus_config, names
from ai_platform.flows import flows
from ai_platform.milvus_config import DIFY, KNOWLEDGE, READER
from ai_platform.milvus_parts import CHROMA, COORDINATOR, DATA, ETCD, MILVUS, QUERY, SETUP, STREAMING
from ai_platform.namespaces import namespaces
from ai_platform.network_policies import network_policies
from ai_platform.reading import read
from bedplate.errors import BadInput
from tests.rendered import SECRET, find, pod_specs, record
from tests.unit.test_platform_data import bumped, immutable
from tests.unit.test_platform_flows import OUTSIDE, STRANGER, Pod, pod, reaches
from tests.vector_samples import ALONE, CLUSTER, SYNC, vectors

Manifest = dict[str, Any]
TWICE = (MILVUS, COORDINATOR, DATA, STREAMING)


@cache
def objects(kind: str) -> tuple[Manifest, ...]:
    milvus = {"alone": ALONE, "cluster": CLUSTER}[kind]
    more = {"chroma": {"tier": "warm"}} if kind == "alone" else {}
    return tuple(record(vectors(milvus=milvus, knowledge=[SYNC], **more)).objects)


def container(found: tuple[Manifest, ...], name: str) -> Manifest:
    [spec] = [spec for who, _, spec in pod_specs(found) if who.partition("/")[2] == name]
    [only] = spec["containers"]
    return only


def configuration(**milvus: Any) -> Manifest:
    return yaml.safe_load(milvus_config.configuration(read(vectors(milvus=ALONE | milvus))))


# ---- shapes


def test_a_cluster_has_everything_more_than_once_and_a_drain_takes_one() -> None:
    found = objects("cluster")
    for app in TWICE:
        assert find(found, "Deployment", app)["spec"]["replicas"] == 2
    assert find(found, "Deployment", QUERY)["spec"]["replicas"] == 3
    etcd = find(found, "StatefulSet", ETCD, names.MILVUS)["spec"]
    assert etcd["replicas"] == 3
    [apart] = etcd["template"]["spec"]["topologySpreadConstraints"]
    assert apart["whenUnsatisfiable"] == "DoNotSchedule"
    for app in (*TWICE, QUERY, ETCD):
        assert find(found, "PodDisruptionBudget", f"{app}-data")["spec"]["maxUnavailable"] == 1
    made = yaml.safe_load(milvus_config.configuration(read(vectors(milvus=CLUSTER))))
    assert made["mixCoord"] == made["rootCoord"] == {"enableActiveStandby": True}


def test_the_standalone_keeps_its_log_on_a_volume_that_stays() -> None:
    spec = find(objects("alone"), "StatefulSet", MILVUS)["spec"]
    [claim] = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "tier-warm"
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    assert container(objects("alone"), MILVUS)["command"] == ["milvus", "run", "standalone"]
    log = configuration()["woodpecker"]["storage"]["rootPath"]
    [mount] = [m for m in container(objects("alone"), MILVUS)["volumeMounts"] if m["name"] == "data"]
    assert log.startswith(mount["mountPath"])


@pytest.mark.parametrize(
    ("milvus", "queue"),
    [
        (
            ALONE,
            {
                "mq": {"type": "woodpecker"},
                "woodpecker": {"storage": {"type": "local", "rootPath": "/var/lib/milvus/woodpecker"}},
            },
        ),
        (CLUSTER, {"mq": {"type": "woodpecker"}, "woodpecker": {"storage": {"type": "minio"}}}),
        (
            CLUSTER | {"kafka": "k1:9092,k2:9092"},
            {"mq": {"type": "kafka"}, "kafka": {"brokerList": "k1:9092,k2:9092"}},
        ),
    ],
)
def test_where_the_log_lies_is_said_outright(milvus: Manifest, queue: Manifest) -> None:
    made = yaml.safe_load(milvus_config.configuration(read(vectors(milvus=milvus))))
    assert {key: made.get(key) for key in queue} == queue


def test_nothing_is_as_everybody_knows_it() -> None:
    made = configuration(quota="3GiB")
    assert made["common"]["security"] == {"authorizationEnabled": True, "superUsers": "root"}
    assert made["minio"]["bucketName"] == "milvus"
    assert made["etcd"]["rootPath"] != "by-dev"
    assert made["quotaAndLimits"]["limitWriting"]["diskProtection"] == {"enabled": True, "diskQuota": 3072}
    assert "accessKeyID" not in made["minio"] and "secretAccessKey" not in made["minio"]
    env = {one["name"]: one for one in container(objects("alone"), MILVUS)["env"]}
    for name, secret in (
        ("MINIO_SECRET_ACCESS_KEY", "s3-milvus"),
        ("COMMON_SECURITY_DEFAULTROOTPASSWORD", "milvus-first"),
    ):
        assert env[name]["valueFrom"]["secretKeyRef"]["name"] == secret
    assert not [o for o in objects("alone") if o["kind"] == "ConfigMap" and SECRET in json.dumps(o)]


def test_programs_of_milvus_are_of_the_group_of_its_files_and_nobody() -> None:
    for kind in ("alone", "cluster"):
        for _, metadata, spec in pod_specs(objects(kind)):
            if metadata["labels"]["app.kubernetes.io/name"] in (MILVUS, QUERY):
                security = spec["securityContext"]
                assert (security["runAsNonRoot"], security["runAsUser"], security["runAsGroup"]) == (
                    True,
                    1000,
                    0,
                )


def test_alive_is_a_port_and_ready_is_an_answer() -> None:
    made = container(objects("alone"), MILVUS)
    assert made["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert (
        made["livenessProbe"]["tcpSocket"] == {"port": "metrics"} and "httpGet" not in made["livenessProbe"]
    )


# ---- users


def test_users_have_the_rights_that_they_need_and_passwords_come_from_secrets() -> None:
    found = objects("alone")
    [grants] = [json.loads(o["data"]["grants.json"]) for o in found if "grants.json" in o.get("data", {})]
    assert set(grants["users"]) == {DIFY, KNOWLEDGE, READER}
    writes = {"Insert", "Upsert", "Delete", "DropCollection", "CreateCollection", "CreateIndex"}
    reader = grants["users"][READER]
    assert not writes & {*reader["database_rights"], *reader["collection_rights"]}
    assert "DropCollection" not in grants["users"][KNOWLEDGE]["database_rights"]
    assert "DropCollection" in grants["users"][DIFY]["database_rights"]
    asked = {one["name"] for one in container(found, SETUP)["env"]}
    assert {
        f"PASSWORD_{user.upper()}" for user in (*grants["users"], *grants["administrators"], "root")
    } <= asked


# ---- flows


def policies(kind: str) -> list[Manifest]:
    settings = read(vectors(milvus={"alone": ALONE, "cluster": CLUSTER}[kind], knowledge=[SYNC]))
    return network_policies([space.name for space in namespaces(settings)], flows(settings))


@pytest.mark.parametrize(
    ("source", "target", "port", "wanted"),
    [
        (pod(names.KNOWLEDGE, "knowledge-sync"), pod(names.MILVUS, MILVUS), 19530, True),
        (pod(names.KNOWLEDGE, "knowledge-sync"), pod(names.MILVUS, ETCD), 2379, False),
        (pod(names.KNOWLEDGE, "knowledge-sync"), pod(names.DATA, "s3"), 8333, True),
        (pod(names.KNOWLEDGE, "knowledge-sync"), pod(names.DATA, "postgresql"), 5432, False),
        (pod(names.KNOWLEDGE, "knowledge-sync"), OUTSIDE, 443, False),
        (pod(names.MILVUS, SETUP), pod(names.MILVUS, MILVUS), 19530, True),
        (pod(names.MILVUS, SETUP), pod(names.MILVUS, ETCD), 2379, False),
        (pod(names.MILVUS, QUERY), pod(names.MILVUS, ETCD), 2379, True),
        (pod(names.MILVUS, QUERY), pod(names.MILVUS, DATA), 21124, True),
        (pod(names.MILVUS, QUERY), pod(names.DATA, "s3"), 8333, True),
        (pod(names.MILVUS, QUERY), OUTSIDE, 443, False),
        (STRANGER, pod(names.MILVUS, MILVUS), 19530, False),
        (STRANGER, pod(names.MILVUS, ETCD), 2379, False),
        (pod(names.SERVING, "vllm"), pod(names.MILVUS, MILVUS), 9091, False),
    ],
)
def test_who_reaches_whom(source: Pod, target: Pod, port: int, wanted: bool) -> None:
    assert reaches(policies("cluster"), source, target, port) is wanted


# ---- upgrades


@pytest.mark.parametrize("kind", [ALONE, CLUSTER])
def test_another_version_replaces_nothing_that_has_data(kind: Manifest) -> None:
    wanted = vectors(milvus=kind, knowledge=[SYNC])
    before, after = (record(one).objects for one in (wanted, bumped(wanted)))
    names_of = {ETCD} | ({MILVUS} if kind is ALONE else set())
    for name in names_of:
        old, new = (find(found, "StatefulSet", name, names.MILVUS)["spec"] for found in (before, after))
        assert immutable(old) == immutable(new)
        images = [one["template"]["spec"]["containers"][0]["image"] for one in (old, new)]
        assert images[0] != images[1]


# ---- the sync


def test_the_sync_is_never_run_twice_at_once_and_knows_no_secret_in_words() -> None:
    found = find(objects("alone"), "CronJob", "knowledge-handbook")
    assert found["spec"]["concurrencyPolicy"] == "Forbid"
    [program] = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    plain = {one["name"]: one.get("value") for one in program["env"]}
    orders = json.loads(plain["ORDERS"])
    assert orders["collection"] == "handbook"
    assert orders["embedding"] == {
        "url": "http://gateway.gateway.svc:8080/v1",
        "model": "search",
        "dimensions": 1024,
    }
    assert [name for name, value in plain.items() if value is None] == [
        "POD_NAME",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "EMBEDDING_KEY",
        "MILVUS_PASSWORD",
    ]


def test_chroma_is_one_pod_with_a_volume_of_its_own() -> None:
    spec = find(objects("alone"), "StatefulSet", CHROMA)["spec"]
    assert (spec["replicas"], len(spec["volumeClaimTemplates"])) == (1, 1)


# ---- refusals

MANY = {"name": "archive", "rows": 500_000_000, "dimensions": 1024}


@pytest.mark.parametrize(
    ("platform", "key", "says"),
    [
        (
            {"milvus": ALONE | {"tier": "hot"}},
            "platform_milvus.tier",
            "no Kubernetes node has a storage tier",
        ),
        (
            {"milvus": ALONE | {"collections": [MANY]}},
            "platform_milvus.collections",
            "no index of archive fits",
        ),
        (
            {"milvus": ALONE | {"collections": [MANY | {"rows": 10, "replicas": 2}]}},
            "platform_milvus.collections.0.replicas",
            "query node",
        ),
        ({"milvus": CLUSTER, "chroma": {"tier": "warm"}}, "platform_chroma", "no log-in"),
        ({"knowledge": [SYNC]}, "platform_knowledge.0", "there is none"),
        (
            {"milvus": ALONE, "knowledge": [SYNC | {"embedding": "other"}]},
            "platform_knowledge.0.embedding",
            "no such service",
        ),
        (
            {"milvus": ALONE, "knowledge": [SYNC, SYNC]},
            "platform_knowledge.1.collection",
            "delete each other's",
        ),
        (
            {"milvus": ALONE, "knowledge": [SYNC | {"overlap": 1200}]},
            "platform_knowledge.0.overlap",
            "repeat all",
        ),
        ({"milvus": ALONE | {"mode": "double"}}, "platform_milvus.mode", "is not one of"),
        ({"milvus": ALONE | {"kafka": "no port"}}, "platform_milvus.kafka", "does not match"),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(platform: Manifest, key: str, says: str) -> None:
    with pytest.raises(BadInput) as refusal:
        read(vectors(**platform))
    assert [one for one in refusal.value.findings if one.key == key and says in one.why], (
        refusal.value.findings
    )
