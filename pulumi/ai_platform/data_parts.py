"""What pods of the data services have in common: sizes, volumes, how they are asked whether they are well."""

from collections.abc import Mapping, Sequence

from ai_platform import monitoring_parts as parts
from ai_platform import names, pods
from ai_platform.data_settings import GIB, DataServices, Kept
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.settings import Settings
from ai_platform.storage_objects import class_name
from bedplate.units import quantity

INSTANCE = "data"
GENERATION = "bedplate.io/secret-generation"  # how often what a pod holds was rotated
POSTGRES, VALKEY, WEED, PYTHON = 999, 1000, 1000, 1000  # users of the images
MASTERS = 3
TWO = 2
ACTIVE_DEADLINE = 1800  # seconds that a set-up job may take until it is given up; its own waits are shorter
TEMPORARY = "/tmp"  # noqa: S108 - where a volume is mounted


def data(settings: Settings) -> DataServices:
    """The data services; only asked where they are."""
    assert settings.data is not None
    return settings.data


def program_parts(settings: Settings) -> dict[str, Part]:
    """Every program by its app; nothing where there are no data services."""
    found = [_part("s3-setup", "python", 1, 100, 128 * MIB, user=PYTHON)] if settings.object_store else []
    if settings.data is None:
        return {part.app: part for part in found}
    wanted = settings.data
    found += [
        _kept("postgresql", "postgres", wanted.postgresql, 1000, POSTGRES),
        _part("postgresql-setup", "postgres", 1, 100, 128 * MIB, user=POSTGRES),
        _kept("valkey", "valkey", wanted.valkey, 250, VALKEY),
        _part("valkey-cache", "valkey", 1, 250, wanted.cache + wanted.cache // 2, user=VALKEY),
    ]
    if wanted.archive:
        found.append(_part("postgresql-archive", "postgres", 1, 200, 512 * MIB, user=POSTGRES))
    if wanted.store:
        several = wanted.store.replicas > 1
        found += [
            _part("s3-master", "seaweedfs", MASTERS if several else 1, 100, 256 * MIB, user=WEED),
            _kept("s3-volume", "seaweedfs", wanted.store, 500, WEED),
            _part("s3-filer", "seaweedfs", TWO if several else 1, 250, 512 * MIB, user=WEED),
            _part("s3", "seaweedfs", TWO if several else 1, 500, GIB, user=WEED),
        ]
    if wanted.mlflow:
        found.append(
            Part("mlflow", "mlflow", wanted.mlflow, 500, 2 * GIB, 4 * GIB, names.MLFLOW, PYTHON, INSTANCE)
        )
    return {part.app: part for part in found}


def _part(app: str, image: str, count: int, millicpu: int, memory: int, *, user: int) -> Part:
    return Part(app, image, count, millicpu, memory, 2 * memory, names.DATA, user, INSTANCE)


def _kept(app: str, image: str, kept: Kept, millicpu: int, user: int) -> Part:
    return Part(app, image, kept.replicas, millicpu, kept.memory, kept.memory, names.DATA, user, INSTANCE)


def container(
    part: Part, settings: Settings, ports: Mapping[str, int], mounts: Mapping[str, str], probe: Manifest
) -> Manifest:
    """The part's container without its command. Mounts as `monitoring_parts` has them; ``probe`` is asked
    whether it is ready, and a start may take ten minutes of it: after a crash there is a log to read."""
    made = parts.container(part, settings, [], ports or {"none": 1}, mounts)
    del made["args"]
    if not ports:
        for key in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
            del made[key]
        return made
    made["startupProbe"] = probe | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 60}
    made["readinessProbe"] = probe | {"periodSeconds": 10, "timeoutSeconds": 5}
    made["livenessProbe"] = probe | {"periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 6}
    return made


def stateful(part: Part, spec: Manifest, noted: str, claim: tuple[str, int] | None = None) -> Manifest:
    """Pods with names of their own, started together, replaced one by one, and when ``noted`` changes, which
    is of their secrets; ``claim`` is (tier, bytes) of each pod's volume, which stays whatever happens to the
    set."""
    wanted: Manifest = {
        "serviceName": pods_of(part),
        "replicas": part.pods,
        "podManagementPolicy": "Parallel",
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "selector": {"matchLabels": part.selector},
        "template": parts.template(part, spec, **{GENERATION: noted}),
    }
    if claim:
        if part.pods > 1:  # two on one host are no pair
            spec["topologySpreadConstraints"][0]["whenUnsatisfiable"] = "DoNotSchedule"
        wanted["volumeClaimTemplates"] = [
            {
                "metadata": {"name": "data", "labels": part.selector},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": class_name(claim[0]),
                    "resources": {"requests": {"storage": quantity(claim[1])}},
                },
            }
        ]
    metadata = names.metadata(part.app, part.namespace, labels=part.labels)
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": wanted}


def job(part: Part, spec: Manifest, noted: str) -> Manifest:
    """Work that is done once, and again whenever it changes; it is idempotent. Pulumi waits for its end."""
    del spec["topologySpreadConstraints"]  # there is one
    metadata = names.metadata(part.app, part.namespace, labels=part.labels)
    wanted = {
        "backoffLimit": 6,
        "activeDeadlineSeconds": ACTIVE_DEADLINE,
        "template": parts.template(part, spec | {"restartPolicy": "Never"}, **{GENERATION: noted}),
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": wanted}


def pods_of(part: Part) -> str:
    """The headless Service that gives each pod its name."""
    return f"{part.app}-pods"


def member(part: Part, ordinal: int) -> str:
    """Host name of one pod of a set."""
    return f"{part.app}-{ordinal}.{pods_of(part)}.{part.namespace}.svc"


def peers(part: Part, port: int) -> str:
    """All pods of a set, as scripts take them."""
    return " ".join(f"{member(part, ordinal)}:{port}" for ordinal in range(part.pods))


def headless(part: Part, ports: Mapping[str, int]) -> Manifest:
    """Names of a set's pods, known before they are ready: they look for each other to become so."""
    found = parts.service(part, ports, headless=True)
    found["metadata"] |= {"name": pods_of(part)}
    return found


def primary_service(part: Part, ports: Mapping[str, int], ordinal: int) -> Manifest:
    """The address of the one pod that is written to."""
    found = parts.service(part, ports)
    found["spec"]["selector"] = part.selector | {"apps.kubernetes.io/pod-index": str(ordinal)}
    return found


def environment(plain: Mapping[str, str], secret: Mapping[str, tuple[str, str]]) -> list[Manifest]:
    """Variables: plain ones, and those of a Secret as (Secret, key). The pod's own name comes first, because
    others refer to it."""
    own = [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    hidden = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": source, "key": key}}}
        for name, (source, key) in secret.items()
    ]
    return [*own, *hidden, *({"name": name, "value": value} for name, value in plain.items())]


def secret_volume(name: str, secret: str, mode: int = 0o440) -> Manifest:
    """Files of a Secret, for the pod's group only."""
    return {"name": name, "secret": {"secretName": secret, "defaultMode": mode}}


def opaque(name: str, part: Part, data: Mapping[str, object]) -> Manifest:
    """A Secret of the part's."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(name, part.namespace, labels=part.labels),
        "type": "Opaque",
        "stringData": dict(data),
    }


def shell(command: Sequence[str]) -> Manifest:
    """A probe that runs a program."""
    return {"exec": {"command": list(command)}}


def scratch(name: str = "tmp", size: int = 64 * MIB) -> Manifest:
    """Somewhere to write."""
    return pods.scratch_volume(name, size)
