"""Objects of backups: for each item a CronJob that backs up and one that drills the restore, and one CronJob
that reads the repository. They run the program of the hosts (role backup): what is proved of it holds here.

No published image has Python, restic and PostgreSQL: the first two are copied beside the program before it
starts. Image volumes would do without copying, but runtimes mount those without the right to execute.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pulumi

from ai_platform import consumers, milvus_config, names, pods, scripts
from ai_platform.manifest import Manifest
from ai_platform.settings import BackupItem, Backups, ObjectStore, Settings
from ai_platform.storage_objects import class_name
from bedplate import paths
from bedplate.capacity.models import GIB
from bedplate.units import quantity

APP = "backup"
OWNER = "platform"
DRILL = "restore-"  # alerts tell drills from backups by it
VERIFY = "verify"
GUEST = "platform"  # what the server calls us
PROGRAM, TOOLS, CONFIG, STATE, SCRATCH, SECRETS = (
    "/opt/bedplate",
    "/opt/tools",
    "/etc/bedplate-backup",
    "/state",
    "/scratch",
    "/secrets",
)
AUTHORITY = "/etc/postgresql-authority"
ACCESS = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGSSLMODE")
PASSWORD, CREDENTIAL = "backup-password", "backup-credential"
REPOSITORY, KEPT = "backup-repository", "backup-kept"
USER = 65534  # nobody has a line in every image's passwd, for which initdb asks
PYTHON = "/usr/local"  # where Python's image has it, and looks for its library
IMAGES = {"postgresql": "postgres", "milvus": "knowledge"}  # what an item needs besides Python and restic
NO_PYTHON = ("postgresql",)  # whose image lacks it
PASSWORDS = {"postgresql": "PGPASSWORD", "milvus": "MILVUS_PASSWORD"}  # what their programs call it
TRIES = 3
SECONDS = {"run": 6 * 3600, "drill": 12 * 3600, "verify": 6 * 3600}
KEEP_JOBS = 3 * 24 * 3600  # seconds in which somebody may read what a job said; then it is gone
NIGHT = 4 * 3600  # a job that could not start by then waits for the next night
TOOLS_ROOM = GIB


def copied(item: BackupItem) -> list[tuple[str, str]]:
    """Images, and what of them is put beside our program."""
    restic = ("restic", "/usr/bin/restic")
    return [("python", PYTHON), restic] if item.kind in NO_PYTHON else [restic]


def labels(item: str) -> dict[str, str]:
    """Labels of what belongs to one item; flows select by them."""
    return names.labels(APP, item, OWNER)


def pieces() -> dict[str, Path]:
    """The program of the hosts: where each of its files lies below PROGRAM, and here."""
    shared = paths.MODULE_UTILS
    files = [*sorted((shared / "backup").glob("*.py")), shared / "model_store/sigv4.py"]
    found = {str(file.relative_to(shared)): file for file in files}
    return found | {"bedplate_backup.py": paths.ROLES / "backup/files/bedplate_backup.py"}


def program() -> Manifest:
    """These files as a ConfigMap, whose keys have no folders."""
    data = {_key(place): file.read_text() for place, file in pieces().items()}
    return scripts.config_map("backup-program", names.BACKUP, data, names.labels(APP))


def _key(place: str) -> str:
    return place.replace("/", ".")


def config(settings: Settings, backups: Backups, item: BackupItem) -> dict[str, object]:
    """What the program reads."""
    found: dict[str, object] = {
        "host": settings.environment,
        "repository_file": f"{CONFIG}/repository",
        "password_file": f"{CONFIG}/password",
        "state": STATE,
        "scratch": SCRATCH,
        "limit_kib": backups.limit_kib,
        "items": [words(item, settings.object_store)],
    }
    return found | ({"ca": f"{CONFIG}/authority.pem"} if backups.authority else {})


def words(item: BackupItem, store: ObjectStore | None) -> dict[str, object]:
    """An item in the words of its kind."""
    if item.access:
        more: dict[str, object] = {"passwords": False}  # which only a superuser reads; the stack has them
    elif item.kind == "postgresql":
        host, _, port = item.address.rpartition(":")
        more = {"host": host, "port": int(port), "user": item.user}
    elif item.kind == "milvus":
        more = {"address": f"http://{item.address}", "user": milvus_config.BACKUP}
    elif item.kind == "bucket":
        assert store is not None  # refused before
        more = {"endpoint": store.endpoint, "bucket": item.bucket, "region": store.region}
    else:
        more = {"folder": SECRETS}
    return {"name": item.name, "kind": item.kind, **more}


def configuration(settings: Settings, backups: Backups, items: Sequence[BackupItem]) -> Manifest:
    """One file for each item."""
    data = {f"{i.name}.json": json.dumps(config(settings, backups, i), indent=1) for i in items}
    return scripts.config_map("backup-config", names.BACKUP, data, names.labels(APP))


def repository(backups: Backups, password: pulumi.Output[str], credential: pulumi.Output[str]) -> Manifest:
    """Where backups go and what encrypts them. The credential adds and reads; it removes nothing."""
    address = credential.apply(lambda c: f"rest:https://{GUEST}:{c}@{backups.server}/{GUEST}/")
    data: dict[str, object] = {"repository": address, "password": password}
    data |= {"authority.pem": backups.authority} if backups.authority else {}
    return _secret(REPOSITORY, data)


def kept(values: Mapping[str, pulumi.Output[str]]) -> Manifest:
    """The stack's secrets as files, but for what opens the backups themselves: whoever restores has that."""
    return _secret(KEPT, {k: v for k, v in sorted(values.items()) if k not in (PASSWORD, CREDENTIAL)})


def _secret(name: str, data: Mapping[str, object]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(name, names.BACKUP, labels=names.labels(APP)),
        "type": "Opaque",
        "stringData": dict(data),
    }


def claim(backups: Backups, item: BackupItem) -> Manifest:
    """What an item keeps between two nights: its copy, so that only what changed is fetched, and which
    repository it began. Bound when its first pod is placed, for which nobody waits."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": names.metadata(
            f"backup-{item.name}",
            names.BACKUP,
            labels=labels(item.name),
            annotations={"pulumi.com/skipAwait": "true"},
        ),
        "spec": _room(backups),
    }


def _room(backups: Backups) -> Manifest:
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": class_name(backups.tier),
        "resources": {"requests": {"storage": quantity(backups.volume)}},
    }


def _from(secret: str, name: str) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}


class Jobs:
    """Renders the CronJobs of one environment."""

    def __init__(self, settings: Settings, backups: Backups, sources: Mapping[str, Manifest]) -> None:
        """``sources``: the ConfigMaps ``program`` and ``config`` that pods mount."""
        self._settings, self._backups = settings, backups
        self._names = {role: source["metadata"]["name"] for role, source in sources.items()}

    def run(self, item: BackupItem) -> Manifest:
        """Every night."""
        state: Manifest = {"persistentVolumeClaim": {"claimName": f"backup-{item.name}"}}
        return self._cron(item, "run", item.name, self._backups.schedule, state)

    def drill(self, item: BackupItem) -> Manifest:
        """Every week: restores into a volume that is there as long as the pod, compares, and is gone."""
        return self._cron(item, "drill", f"{DRILL}{item.name}", self._backups.drill, None)

    def verify(self) -> Manifest:
        """Every day a seventh of the repository's bytes is read; through which item is all the same."""
        hour = " ".join([self._backups.schedule.split()[0], "6", "*", "*", "*"])
        return self._cron(self._backups.items[0], "verify", VERIFY, hour, None)

    def _cron(
        self, item: BackupItem, action: str, name: str, schedule: str, state: Manifest | None
    ) -> Manifest:
        whose = labels(item.name)
        spec: Manifest = {
            "backoffLimit": TRIES,
            "activeDeadlineSeconds": SECONDS[action],
            "ttlSecondsAfterFinished": KEEP_JOBS,
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
            },
            "template": {"metadata": {"labels": whose}, "spec": self._pod(item, action, state)},
        }
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": names.metadata(name, names.BACKUP, labels=whose),
            "spec": {
                "schedule": schedule,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": NIGHT,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {"metadata": {"labels": whose}, "spec": spec},
            },
        }

    def _pod(self, item: BackupItem, action: str, state: Manifest | None) -> Manifest:
        # Without a claim of its own, what a pod remembers goes with its scratch place.
        scratch: Manifest = {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "metadata": {"labels": labels(item.name)},
                    "spec": _room(self._backups),
                }
            }
        }
        here = state or (scratch if action == "drill" else pods.scratch_volume("", GIB))
        return {
            "restartPolicy": "Never",
            "serviceAccountName": APP,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": pods.pod_security(USER, USER, files=USER),
            "tolerations": pods.everywhere(),
            "initContainers": [self._copy(*what) for what in copied(item)],
            "containers": [self._container(item, action)],
            "volumes": [*self._volumes(item), here | {"name": "state"}],
        }

    def _copy(self, image: str, source: str) -> Manifest:
        """Put a program beside ours."""
        return {
            "name": image,
            "image": self._settings.images.reference(image),
            "imagePullPolicy": "IfNotPresent",
            "command": ["cp", "-a", source, f"{TOOLS}/{image}"],
            "resources": pods.small("50m", "64Mi", "256Mi"),
            "securityContext": pods.container_security(),
            "volumeMounts": [{"name": "tools", "mountPath": TOOLS}],
        }

    def _container(self, item: BackupItem, action: str) -> Manifest:
        program = [
            "python3",
            "-B",
            f"{PROGRAM}/bedplate_backup.py",
            "--config",
            f"{CONFIG}/item.json",
            action,
        ]
        command = (
            ["sh", "-c", f'exec {" ".join(program)} --part "$(date +%u)/7"']
            if action == "verify"
            else program
        )
        plain = {"RESTIC_PROGRAM": f"{TOOLS}/restic", "HOME": "/tmp", "PGSSLMODE": "require"}  # noqa: S108
        found: Manifest = {
            "name": action,
            "image": self._settings.images.reference(IMAGES.get(item.kind, "python")),
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "env": [{"name": k, "value": v} for k, v in plain.items()],
            "resources": pods.small("500m", "512Mi", "4Gi"),
            "securityContext": pods.container_security(),
            "volumeMounts": self._mounts(item, action),
        }
        if item.access:
            found["env"] = [entry for entry in found["env"] if entry["name"] != "PGSSLMODE"]
            found["env"] += [_from(item.access, name) for name in ACCESS]
            found["env"].append({"name": "PGSSLROOTCERT", "value": f"{AUTHORITY}/{consumers.AUTHORITY}"})
        elif item.secret:
            password = {"secretKeyRef": {"name": KEPT, "key": item.secret}}
            found["env"].append({"name": PASSWORDS[item.kind], "valueFrom": password})
        if item.kind == "bucket" and self._settings.object_store:
            found["envFrom"] = [{"secretRef": {"name": self._settings.object_store.secret}}]
        return found

    def _mounts(self, item: BackupItem, action: str) -> list[Manifest]:
        def mount(name: str, path: str, **more: object) -> Manifest:
            return {"name": name, "mountPath": path, **more}

        found = [
            mount("program", PROGRAM, readOnly=True),
            mount("tools", TOOLS, readOnly=True),
            mount("config", CONFIG, readOnly=True),
            mount("state", STATE, subPath="state"),
            mount("tmp", "/tmp"),  # noqa: S108 - the mount, not a file in it
        ]
        if item.kind in NO_PYTHON:
            found.append(mount("tools", PYTHON, subPath="python", readOnly=True))
        if action == "drill":
            found.append(mount("state", SCRATCH, subPath="scratch"))
        if item.access:
            found.append(mount("authority", AUTHORITY, readOnly=True))
        return found + ([mount("kept", SECRETS, readOnly=True)] if item.kind == "secrets" else [])

    def _volumes(self, item: BackupItem) -> list[Manifest]:
        parts = [{"key": _key(place), "path": place} for place in pieces()]
        opened = {"secret": {"name": REPOSITORY}}
        chosen = {
            "configMap": {
                "name": self._names["config"],
                "items": [{"key": f"{item.name}.json", "path": "item.json"}],
            }
        }
        found: list[Manifest] = [
            {"name": "program", "configMap": {"name": self._names["program"], "items": parts}},
            {"name": "config", "projected": {"sources": [opened, chosen], "defaultMode": 0o400}},
            pods.scratch_volume("tools", TOOLS_ROOM),
            pods.scratch_volume("tmp", GIB),
        ]
        if item.access:
            believed = {
                "secretName": item.access,
                "items": [{"key": consumers.AUTHORITY, "path": consumers.AUTHORITY}],
            }
            found.append({"name": "authority", "secret": believed})
        if item.kind == "secrets":
            found.append({"name": "kept", "secret": {"secretName": KEPT, "defaultMode": 0o400}})
        return found
