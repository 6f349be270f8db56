"""The component that backs up, as it would be sent: what alerts look for, what opens what, who reaches it."""

import json
import re
from functools import cache
from typing import Any

import pytest
import yaml
from backup import plan

from ai_platform import backup_objects, names
from ai_platform.flows import flows
from ai_platform.namespaces import namespaces
from ai_platform.network_policies import network_policies
from ai_platform.reading import read
from bedplate import backup as _backup  # noqa: F401  makes the package above importable
from bedplate import paths
from bedplate.errors import BadInput
from tests.platform_samples import host, inventory
from tests.rendered import SECRET, Recorder, find, pod_specs, record
from tests.unit.test_platform_flows import JOB, OUTSIDE, STRANGER, pod, reaches

Manifest = dict[str, Any]
TIER = [{"name": "warm", "class": "ssd", "count": 2, "raid": 1, "mount": "/srv/warm"}]
HOSTS = {"gpu1": host("h100-sxm5-80gb"), "sto1": host(storage_tiers=TIER), "ctl1": host()}
GROUPS = {"gpu_nodes": ["gpu1"], "storage_nodes": ["sto1"], "control_plane": ["ctl1"]}
STORE = {"endpoint": "https://s3.example.com:8333", "bucket": "models"}
DATA = {
    "object_store": {"tier": "warm", "volume": "1TB"},
    "postgresql": {"tier": "warm", "volume": "50GiB"},
    "valkey": {"tier": "warm", "volume": "10GiB"},
    "mlflow": {},
}
MILVUS = {"mode": "standalone", "tier": "warm"}
ITEMS = [
    {"name": "dify", "kind": "postgresql", "address": "db.example.com:5432"},
    {"name": "archive", "kind": "bucket", "bucket": "archive"},
]
EXPECTED = ("secrets", "dify", "archive", "bucket-documents")  # the last one is that of a consumer
BACKUPS = {"server": "backup.example.com:8300", "tier": "warm", "volume": "50GiB", "items": ITEMS}
BACKUPS |= {"authority": "-----BEGIN CERTIFICATE-----", "schedule": "30 1 * * *", "limit_kib": 5000}
RULES = paths.ROOT / "bedplate/monitoring/rules/data.yml"


def backed_up(**fields: Any) -> Any:
    return inventory(HOSTS, GROUPS, object_store=STORE, backups=BACKUPS | fields)


@cache
def recorded() -> Recorder:
    return record(backed_up())


def crons() -> dict[str, Manifest]:
    return {o["metadata"]["name"]: o for o in recorded().objects if o["kind"] == "CronJob"}


def pod_of(name: str) -> Manifest:
    spec: Manifest = crons()[name]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def test_nothing_is_backed_up_where_nobody_asked() -> None:
    sent = record(inventory()).objects
    assert not [o for o in sent if names.BACKUP in (o["metadata"]["name"], o["metadata"].get("namespace"))]


def test_every_item_has_a_night_and_a_drill() -> None:
    assert set(crons()) == {
        *(f"{prefix}{item}" for item in EXPECTED for prefix in ("", "restore-")),
        "verify",
    }
    assert {name: cron["spec"]["schedule"] for name, cron in crons().items() if "dify" in name} == {
        "dify": "30 1 * * *",
        "restore-dify": "0 4 * * 0",
    }


def test_alerts_look_where_the_jobs_are() -> None:
    """The rules select by namespace and name: each job is watched by one of them, as what it is."""
    (group,) = [yaml.safe_load(RULES.read_text())]
    rules = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    for alert, drills in (("BackupOld", False), ("RestoreDrillOld", True)):
        (space,) = re.findall(r'namespace="([^"]+)"', rules[alert])
        ((sign, pattern),) = re.findall(r'cronjob(!~|=~)"([^"]+)"', rules[alert])
        watched = {
            name
            for name, cron in crons().items()
            if cron["metadata"]["namespace"] == space and bool(re.fullmatch(pattern, name)) is (sign == "=~")
        }
        assert watched == {name for name in crons() if name.startswith("restore-") is drills}


@pytest.mark.parametrize("name", ["dify", "restore-dify", "archive", "restore-secrets", "verify"])
def test_a_job_does_not_overlap_gives_up_and_goes(name: str) -> None:
    spec = crons()[name]["spec"]
    job = spec["jobTemplate"]["spec"]
    assert (spec["concurrencyPolicy"], spec["timeZone"]) == ("Forbid", "Etc/UTC")
    assert 0 < job["activeDeadlineSeconds"] < 24 * 3600
    assert job["ttlSecondsAfterFinished"] > 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_the_program_reads_its_configuration() -> None:
    """Each is one that the program of the hosts takes, and lies where the pod mounts it."""
    for name in ("secrets", "dify", "archive"):
        (container,) = pod_of(name)["containers"]
        (volume,) = [v for v in pod_of(name)["volumes"] if v["name"] == "config"]
        opened, chosen = volume["projected"]["sources"]
        text = find(recorded().objects, "ConfigMap", chosen["configMap"]["name"])["data"][f"{name}.json"]
        config = plan.parse(json.loads(text))
        assert [item.name for item in config.items] == [name]
        held = find(recorded().objects, "Secret", opened["secret"]["name"])["stringData"]
        for file in (config.repository_file, config.password_file, config.ca):
            assert str(file).rpartition("/")[2] in held
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {str(config.state), str(config.repository_file.parent)} <= mounts
        assert config.limit_kib == 5000


def test_every_file_of_the_program_is_where_python_looks_for_it() -> None:
    (volume,) = [v for v in pod_of("dify")["volumes"] if v["name"] == "program"]
    data = find(recorded().objects, "ConfigMap", volume["configMap"]["name"])["data"]
    placed = {entry["path"]: data[entry["key"]] for entry in volume["configMap"]["items"]}
    assert placed == {place: file.read_text() for place, file in backup_objects.pieces().items()}
    assert {"bedplate_backup.py", "backup/work.py", "model_store/sigv4.py"} <= set(placed)


def test_a_drill_has_a_volume_that_goes_with_it() -> None:
    night, drill = ({v["name"]: v for v in pod_of(n)["volumes"]}["state"] for n in ("dify", "restore-dify"))
    assert night["persistentVolumeClaim"]["claimName"] == "backup-dify"
    asked = drill["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (asked["storageClassName"], asked["resources"]["requests"]["storage"]) == ("tier-warm", "50Gi")


def test_only_a_database_has_postgresql_and_its_password() -> None:
    images = {name: pod_of(name)["containers"][0]["image"] for name in ("secrets", "dify", "archive")}
    assert {name for name, image in images.items() if "postgres" in image} == {"dify"}
    assert [c["name"] for c in pod_of("dify")["initContainers"]] == ["python", "restic"]
    asked = [e["name"] for e in pod_of("dify")["containers"][0]["env"] if "valueFrom" in e]
    assert asked == ["PGPASSWORD"]
    assert not [e for e in pod_of("archive")["containers"][0]["env"] if "valueFrom" in e]


def test_what_opens_the_backups_is_not_in_them() -> None:
    kept = find(recorded().objects, "Secret", backup_objects.KEPT)["stringData"]
    assert "grafana-admin-password" in kept
    assert not {backup_objects.PASSWORD, backup_objects.CREDENTIAL} & set(kept)
    repository = find(recorded().objects, "Secret", backup_objects.REPOSITORY)["stringData"]
    assert repository["repository"] == f"rest:https://platform:{SECRET}@backup.example.com:8300/platform/"
    for o in recorded().objects:
        assert o["kind"] == "Secret" or SECRET not in str(o), o["metadata"]["name"]


def test_nobody_needs_a_token_or_a_right() -> None:
    for name, _, spec in pod_specs(list(crons().values())):
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name


def test_what_the_platform_keeps_is_backed_up_without_being_named() -> None:
    objects = record(inventory(HOSTS, GROUPS, data=DATA, backups=BACKUPS | {"items": []})).objects
    jobs = {o["metadata"]["name"] for o in objects if o["kind"] == "CronJob"}
    assert {"postgresql", "restore-postgresql", "bucket-mlflow", "bucket-documents"} <= jobs
    assert not [name for name in jobs if "models" in name or "milvus" in name]  # there is no Milvus
    own = find(objects, "CronJob", "postgresql", names.BACKUP)
    (container,) = own["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry for entry in container["env"]}
    access = find(objects, "Secret", "postgresql-backup", names.BACKUP)["stringData"]
    for name in ("PGHOST", "PGUSER", "PGPASSWORD", "PGSSLMODE"):
        asked = env[name]["valueFrom"]["secretKeyRef"]
        assert (asked["name"], asked["key"] in access) == ("postgresql-backup", True)
    assert access["PGSSLMODE"] == "verify-full"
    assert env["PGSSLROOTCERT"]["value"] in [f"{m['mountPath']}/ca.crt" for m in container["volumeMounts"]]
    bucket = find(objects, "CronJob", "bucket-mlflow", names.BACKUP)
    (container,) = bucket["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "s3-backup"}}]
    assert find(objects, "Secret", "s3-backup", names.BACKUP)


@cache
def with_milvus() -> Recorder:
    return record(inventory(HOSTS, GROUPS, data=DATA, milvus=MILVUS, backups=BACKUPS | {"items": []}))


def test_milvus_is_asked_by_its_own_client_and_its_bucket_is_not_copied() -> None:
    objects = with_milvus().objects
    jobs = {o["metadata"]["name"] for o in objects if o["kind"] == "CronJob"}
    assert {name for name in jobs if "milvus" in name} == {"milvus", "restore-milvus"}
    for name in ("milvus", "restore-milvus"):
        job = find(objects, "CronJob", name, names.BACKUP)
        spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert "knowledge" in container["image"]
        assert [one["name"] for one in spec["initContainers"]] == ["restic"]
        assert "/usr/local" not in [mount["mountPath"] for mount in container["volumeMounts"]]
        (hidden,) = [entry for entry in container["env"] if "valueFrom" in entry]
        asked = hidden["valueFrom"]["secretKeyRef"]
        assert hidden["name"] == "MILVUS_PASSWORD"
        assert asked["key"] in find(objects, "Secret", asked["name"], names.BACKUP)["stringData"]
    (held,) = [o for o in objects if o["kind"] == "ConfigMap" and "milvus.json" in o.get("data", {})]
    (item,) = plan.parse(json.loads(held["data"]["milvus.json"])).items
    assert item.words == {"address": "http://milvus.milvus.svc:19530", "user": "backup"}


@cache
def own_policies() -> tuple[Manifest, ...]:
    settings = read(inventory(HOSTS, GROUPS, data=DATA, milvus=MILVUS, backups=BACKUPS | {"items": []}))
    return tuple(network_policies([space.name for space in namespaces(settings)], flows(settings)))


@pytest.mark.parametrize(
    ("item", "app", "port", "may"),
    [
        ("postgresql", "postgresql", 5432, True),
        ("postgresql", "s3", 8333, False),
        ("bucket-mlflow", "s3", 8333, True),
        ("bucket-mlflow", "postgresql", 5432, False),
        ("secrets", "postgresql", 5432, False),
        ("milvus", "milvus", 19530, True),
        ("milvus", "milvus-etcd", 2379, False),
        ("milvus", "s3", 8333, False),
        ("secrets", "milvus", 19530, False),
    ],
)
def test_an_item_reaches_its_own_service_only(item: str, app: str, port: int, may: bool) -> None:
    space = names.MILVUS if app.startswith("milvus") else names.DATA
    ends = pod(names.BACKUP, "backup", item), pod(space, app)
    assert reaches(list(own_policies()), *ends, port) is may


@cache
def policies() -> tuple[Manifest, ...]:
    settings = read(backed_up())
    return tuple(network_policies([space.name for space in namespaces(settings)], flows(settings)))


DIFY, ARCHIVE, SECRETS = (pod(names.BACKUP, "backup", item) for item in ("dify", "archive", "secrets"))


@pytest.mark.parametrize(
    ("source", "target", "port", "may"),
    [
        (DIFY, OUTSIDE, 8300, True),
        (DIFY, OUTSIDE, 5432, True),
        (DIFY, OUTSIDE, 8333, False),
        (ARCHIVE, OUTSIDE, 8333, True),
        (ARCHIVE, OUTSIDE, 5432, False),
        (SECRETS, OUTSIDE, 8300, True),
        (SECRETS, OUTSIDE, 443, False),
        (JOB, DIFY, 8300, False),
        (STRANGER, SECRETS, 443, False),
    ],
)
def test_who_reaches_whom(source: Any, target: Any, port: int, may: bool) -> None:
    assert reaches(list(policies()), source, target, port) is may


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"tier": "lukewarm"}, "platform_backups.tier"),
        ({"server": "backup.example.com"}, "platform_backups.server"),
        ({"schedule": "nightly"}, "platform_backups.schedule"),
        ({"items": [{"name": "x", "kind": "postgresql"}]}, "platform_backups.items.x"),
        ({"items": [{"name": "x", "kind": "bucket"}]}, "platform_backups.items.x"),
        ({"items": [ITEMS[0], ITEMS[0]]}, "platform_backups.items.name"),
        ({"items": [ITEMS[0] | {"name": "secrets"}]}, "platform_backups.items.name"),
    ],
)
def test_what_cannot_work_is_refused(fields: Manifest, key: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(backed_up(**fields))
    assert key in [finding.key for finding in refused.value.findings]


def test_a_bucket_without_an_object_store_is_refused() -> None:
    with pytest.raises(BadInput, match="no object store"):
        read(inventory(HOSTS, GROUPS, backups=BACKUPS))
