"""The data services as they would be sent: everybody reaches his own, and nothing with data is replaced."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
from cryptography import x509

from ai_platform import consumers, data_parts, names, pods
from ai_platform import object_store_objects as store
from ai_platform import postgresql_objects as postgresql
from ai_platform import valkey_objects as valkey
from ai_platform.consumers import CONSUMERS
from ai_platform.data_services import DataServices, DataServicesArgs
from ai_platform.flows import flows
from ai_platform.namespaces import namespaces
from ai_platform.network_policies import network_policies
from ai_platform.reading import read
from ai_platform.secrets import Secrets
from bedplate import service_certificate, stack_secrets
from bedplate.errors import BadInput
from bedplate.inventory import Inventory
from tests.data_samples import GROUPS, HOSTS, stored
from tests.platform_samples import common, inventory
from tests.rendered import SECRET, Recorder, find, pod_specs, record
from tests.unit.test_platform_flows import OUTSIDE, STRANGER, Pod, pod, reaches

Manifest = dict[str, Any]
KEEPS = ("postgresql", "postgresql-archive", "valkey", "s3-volume")


@cache
def objects() -> tuple[Manifest, ...]:
    return tuple(sent(stored()))


def sent(known: Inventory, generations: Mapping[str, str] | None = None) -> list[Manifest]:
    """What the component sends, alone."""
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder, project="bedplate", stack=known.environment)

    @pulumi.runtime.test
    def run() -> None:
        values = {name: pulumi.Output.secret(SECRET) for name in known.shared["catalogue_secrets"]}
        secrets = Secrets(known.environment, values, generations or {})
        DataServices("data", DataServicesArgs(read(known), secrets, []))

    run()
    return recorder.objects


def sets(found: tuple[Manifest, ...]) -> dict[str, Manifest]:
    return {o["metadata"]["name"]: o["spec"] for o in found if o["kind"] == "StatefulSet"}


# ---- shapes


@pytest.mark.parametrize("app", KEEPS)
def test_what_keeps_data_keeps_its_volume(app: str) -> None:
    spec = sets(objects())[app]
    [claim] = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "tier-warm"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@pytest.mark.parametrize("app", ["postgresql", "valkey", "s3-volume"])
def test_two_are_on_two_hosts_and_a_drain_takes_one(app: str) -> None:
    [apart] = sets(objects())[app]["template"]["spec"]["topologySpreadConstraints"]
    assert (apart["topologyKey"], apart["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "DoNotSchedule")
    assert find(objects(), "PodDisruptionBudget", f"{app}-data")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(("service", "primary"), [("postgresql", 0), ("postgresql", 1), ("valkey", 1)])
def test_the_address_is_the_one_pod_that_is_written_to(service: str, primary: int) -> None:
    entry = {"tier": "warm", "replicas": 2, "primary": primary}
    found = sent(stored(**{service: entry}))
    selector = find(found, "Service", service)["spec"]["selector"]
    assert selector["apps.kubernetes.io/pod-index"] == str(primary)
    env = find(found, "StatefulSet", service)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "PRIMARY", "value": str(primary)} in env


def test_one_of_each_keeps_everything_once_and_two_twice() -> None:
    alone = sent(stored(object_store={"tier": "warm"}))
    assert "-peers=none" in args(alone, "s3-master")
    assert "-defaultReplication=000" in args(alone, "s3-master")
    assert "-defaultReplication=001" in args(objects(), "s3-master")
    assert sets(objects())["s3-master"]["replicas"] == 3
    assert not [
        o for o in alone if o["kind"] == "PodDisruptionBudget" and o["metadata"]["name"].startswith("s3")
    ]


def args(found: Any, app: str) -> list[str]:
    given: list[str] = sets(found)[app]["template"]["spec"]["containers"][0]["args"]
    return given


@pytest.mark.parametrize(("gib", "mb"), [(10, 1024), (500, 2560), (30_000, 30_000)])
def test_a_disk_has_room_for_volumes_of_every_bucket(gib: int, mb: int) -> None:
    assert store.volume_mb(gib * 2**30) == mb
    most = 7 * (len(consumers.buckets()) + 1)
    assert gib < 100 or gib * 1024 // mb > most


def test_nothing_where_nobody_asked_and_a_store_of_the_site_is_only_tried() -> None:
    site = {"endpoint": "https://s3.example.com", "bucket": "models", "access_keys": {"setup": "AKIA1"}}
    entry = dict(stored().shared["platform_data"])
    del entry["object_store"]
    found = sent(inventory(hosts=HOSTS, groups=GROUPS, data=entry, object_store=site))
    assert not [name for name in sets(tuple(found)) if name.startswith("s3")]
    env = find(found, "Job", "s3-setup")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "AWS_ACCESS_KEY_ID", "value": "AKIA1"} in env
    assert not sent(inventory())


# ---- upgrades


def immutable(spec: Manifest) -> Manifest:
    """What the API server refuses to change, so that Pulumi would replace the set."""
    return {key: spec[key] for key in ("serviceName", "podManagementPolicy", "selector")} | {
        "volumeClaimTemplates": spec.get("volumeClaimTemplates")
    }


def bumped(known: Inventory) -> Inventory:
    """Every image of a later version."""
    shared = known.shared
    later = {n: e | {"tag": f"{e['tag']}-later"} for n, e in shared["catalogue_images"].items()}
    hosts = {name: values | {"catalogue_images": later} for name, values in known.hosts.items()}
    return replace(known, hosts=hosts)


def test_another_version_replaces_nothing_that_has_data() -> None:
    before, after = sets(objects()), sets(tuple(sent(bumped(stored()))))
    assert set(before) == set(after)
    for name, spec in before.items():
        assert immutable(spec) == immutable(after[name]), name
        [old, *_], [new, *_] = (s["template"]["spec"]["containers"] for s in (spec, after[name]))
        assert new["image"] == f"{old['image']}-later", name
        changed = json.dumps(after[name]).replace("-later", "")
        assert changed == json.dumps(spec), name


@pytest.mark.parametrize(
    "data",
    [
        {"postgresql": {"tier": "warm", "replicas": 3, "volume": "2GiB", "memory": "1GiB"}},
        {"valkey": {"tier": "warm", "replicas": 3, "primary": 2, "memory": "2GiB"}},
        {"object_store": {"tier": "warm", "replicas": 3, "volume": "20GiB", "memory": "9GiB"}},
        {"mlflow": {"replicas": 5}},
    ],
    ids=lambda data: next(iter(data)),
)
def test_more_pods_more_memory_or_another_primary_replace_nothing(data: Mapping[str, Any]) -> None:
    after = sets(tuple(sent(stored(**data))))
    for name, spec in sets(objects()).items():
        if name in after:
            assert immutable(spec) == immutable(after[name]), name


# ---- secrets


def test_every_secret_of_the_table_is_made_by_the_one_command() -> None:
    catalogue = common()["catalogue_secrets"]
    wanted = {consumers.s3_key(name) for name in store.identity_names()}
    wanted |= {postgresql.password_of(role) for role in (postgresql.ADMIN, *postgresql.roles())}
    wanted |= {consumers.valkey_password(u) for i in ("valkey", "valkey-cache") for u in valkey.users(i)}
    assert wanted <= set(catalogue), wanted - set(catalogue)


def test_a_consumer_s_secrets_lie_beside_its_pods_only() -> None:
    spaces = {space.name for space in namespaces(read(stored()))}
    found = {
        (o["metadata"]["namespace"], o["metadata"]["name"]): o["stringData"]
        for o in objects()
        if o["kind"] == "Secret"
    }
    for one in CONSUMERS:
        services = [consumers.STORE] * bool(one.grants) + [consumers.DATABASE] * bool(consumers.role(one))
        for service in [*services, *([one.valkey] if one.valkey else [])]:
            name = consumers.secret_name(service, one)
            there = [space for space, secret in found if secret == name]
            assert there == ([one.namespace] if one.namespace in spaces else []), name
    mine = found[names.MLFLOW, "postgresql-mlflow"]
    assert (mine["PGUSER"], mine["PGSSLMODE"], mine["PGHOST"]) == (
        "mlflow",
        "verify-full",
        "postgresql.data.svc",
    )


def test_no_password_is_in_sql_nor_in_the_file_of_users() -> None:
    words = {role: f"word-of-{role}" for role in (postgresql.ADMIN, *postgresql.roles())}
    words |= {user: f"word-of-{user}" for user in valkey.users("valkey")}
    for text in (postgresql.setup_sql(words), valkey.acl("valkey", words)):
        assert not [word for word in words.values() if word in text]
    assert postgresql.setup_sql(words) == postgresql.setup_sql(words), "the same passwords are another text"


def test_the_verifier_is_that_of_the_standard() -> None:
    """RFC 7677, section 3: its salt and password, and the signature that a server proves itself with."""
    text = postgresql.verifier("user", "pencil")
    match = re.fullmatch(r"SCRAM-SHA-256\$4096:([^$]+)\$([^:]+):(.+)", text)
    assert match
    salt, stored_key, server_key = (base64.b64decode(part) for part in match.groups())
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", salt, 4096)
    assert stored_key == hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    assert server_key == hmac.digest(salted, b"Server Key", "sha256")
    assert text != postgresql.verifier("other", "pencil")


@pytest.mark.parametrize(
    ("rotated", "restarted"),
    [
        ("postgres-mlflow-password", {"Deployment/mlflow", "Job/postgresql-setup"}),
        ("postgres-dify-password", {"Job/postgresql-setup"}),
        ("s3-mlflow-key", {"Deployment/mlflow", "s3"}),
        ("valkey-gateway-password", {"StatefulSet/valkey-cache"}),
        ("valkey-dify-password", {"StatefulSet/valkey"}),
        ("mlflow-admin-password", {"Deployment/mlflow"}),
        (
            "postgresql-tls",
            {"Deployment/mlflow", "StatefulSet/postgresql", "StatefulSet/postgresql-archive", "s3"},
        ),
    ],
)
def test_a_rotation_restarts_whoever_holds_it_and_nobody_else(rotated: str, restarted: set[str]) -> None:
    before = {name: meta.get("annotations", {}) for name, meta, _ in pod_specs(objects())}
    after = {name: meta.get("annotations", {}) for name, meta, _ in pod_specs(sent(stored(), {rotated: "1"}))}
    changed = {name for name in before if before[name] != after[name]}
    store_pods = {"StatefulSet/s3-master", "StatefulSet/s3-volume", "StatefulSet/s3-filer", "Deployment/s3"}
    wanted = {name for name in restarted if name != "s3"} | (store_pods if "s3" in restarted else set())
    assert changed - {"Job/s3-setup"} == wanted


def test_a_certificate_is_made_where_names_are_asked_for() -> None:
    [change] = stack_secrets.plan({"tls": {"names": ["a.svc"], "purpose": "x"}}, {}, [])
    assert change.names == ("a.svc",)
    pem = service_certificate.bundle(["a.svc", "*.b.svc"])
    parsed = x509.load_pem_x509_certificate(pem[pem.index("-----BEGIN CERT") :].encode())
    named = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == ["a.svc", "*.b.svc"]
    assert parsed.verify_directly_issued_by(parsed) is None


@pytest.mark.parametrize("name", ["Deployment/mlflow", "StatefulSet/s3-filer"])
def test_who_would_end_without_the_database_waits_for_it_without_a_limit(name: str) -> None:
    """Both end, or sleep ever longer, when PostgreSQL is away; kubelet would hold them back for minutes."""
    [spec] = [spec for found, _, spec in pod_specs(objects()) if found == name]
    wait = spec["initContainers"][0]
    assert wait["command"][1:] == [f"{pods.SCRIPTS_PATH}/wait.py", "postgresql.data.svc:5432"]
    [files] = [v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "before"]
    space = "mlflow" if "mlflow" in name else "data"
    programs = {Path(c["command"][1]).name for c in spec["initContainers"]}
    assert programs == set(find(objects(), "ConfigMap", files, space)["data"])
    assert "activeDeadlineSeconds" not in spec


# ---- who reaches whom


@cache
def policies() -> tuple[Manifest, ...]:
    settings = read(stored())
    return tuple(network_policies([space.name for space in namespaces(settings)], flows(settings)))


def data(app: str) -> Pod:
    return pod(names.DATA, app, "data")


MLFLOW, FILER, SETUP = pod(names.MLFLOW, "mlflow", "data"), data("s3-filer"), data("s3-setup")
TRITON, GATEWAY = pod(names.SERVING, "triton", "x"), pod(names.GATEWAY, "gateway", "x")


@pytest.mark.parametrize(
    ("source", "target", "port", "may"),
    [
        (MLFLOW, data("s3"), 8333, True),
        (MLFLOW, data("postgresql"), 5432, True),
        (MLFLOW, FILER, 8888, False),
        (MLFLOW, data("s3-volume"), 8080, False),
        (MLFLOW, data("valkey"), 6379, False),
        (MLFLOW, OUTSIDE, 443, False),
        (GATEWAY, MLFLOW, 5000, True),
        (GATEWAY, data("valkey-cache"), 6379, True),
        (GATEWAY, data("valkey"), 6379, False),
        (TRITON, data("s3"), 8333, True),
        (TRITON, data("postgresql"), 5432, False),
        (FILER, data("postgresql"), 5432, True),
        (data("s3"), FILER, 18888, True),
        (data("s3"), data("postgresql"), 5432, False),
        (SETUP, data("s3"), 8333, True),
        (SETUP, data("s3-master"), 9333, False),
        (data("postgresql"), data("postgresql"), 5432, True),
        (data("postgresql-archive"), data("postgresql"), 5432, True),
        (data("postgresql"), OUTSIDE, 443, False),
        (STRANGER, data("s3"), 8333, False),
        (STRANGER, data("s3-master"), 9333, False),
        (STRANGER, data("postgresql"), 5432, False),
    ],
)
def test_who_reaches_whom(source: Any, target: Any, port: int, may: bool) -> None:
    assert reaches(list(policies()), source, target, port) is may


def test_own_databases_are_watched_without_being_named() -> None:
    entry = stored().shared["platform_data"]
    watched = inventory(hosts=HOSTS, groups=GROUPS, data=entry, monitoring={"tier": "warm"})
    found = record(watched).objects
    for name, kind in (("postgresql", "postgres"), ("valkey", "valkey"), ("valkey-cache", "valkey")):
        assert find(found, "Deployment", f"{kind}-exporter-{name}")
    settings = read(watched)
    rules = network_policies([space.name for space in namespaces(settings)], flows(settings))
    exporter = pod(names.MONITORING, "postgres-exporter", "postgresql")
    assert reaches(rules, exporter, data("postgresql"), 5432)
    assert not reaches(rules, exporter, data("valkey"), 6379)
    assert reaches(rules, pod(names.MONITORING, "prometheus", "monitoring"), data("s3-volume"), 9327)


# ---- refusals


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"postgresql": {"tier": "fast"}}, "platform_data.postgresql.tier"),
        ({"postgresql": {"tier": "warm", "replicas": 4}}, "platform_data.postgresql.replicas"),
        ({"valkey": {"tier": "warm", "primary": 1}}, "platform_data.valkey.primary"),
        ({"object_store": None}, "platform_data.mlflow"),
        ({"postgresql": {"tier": "warm", "archive": {"tier": "x"}}}, "platform_data.postgresql.archive.tier"),
    ],
)
def test_what_cannot_work_is_refused(entry: Any, key: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(stored(**entry))
    (finding,) = refused.value.findings
    assert finding.key == key
    assert finding.remedy


def test_parts_have_sizes_and_quotas_hold_them() -> None:
    hard = find(record(stored()).objects, "ResourceQuota", "quota", names.DATA)["spec"]["hard"]
    wanted = [p for p in data_parts.program_parts(read(stored())).values() if p.namespace == names.DATA]
    assert int(hard["pods"]) >= sum(part.pods for part in wanted)
