"""Objects of Dify's own programs: API, worker, beat, web, and the job that changes tables."""

import hashlib
import json

from ai_platform import dify_environment as words
from ai_platform import dify_parts as parts
from ai_platform import monitoring_parts, names, pods
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part
from ai_platform.settings import Settings
from bedplate.capacity.models import GIB

GRACE_SECONDS = words.STREAM_SECONDS + 30  # an answer that is being streamed is finished
FORGET_SECONDS = 5  # until every proxy has dropped the endpoint
TASK_SECONDS = 600  # a document that is being indexed is finished
PING = "celery -A celery_entrypoint.celery inspect ping -d celery@$HOSTNAME -t 30"
SCHEDULE = "/tmp/beat"  # noqa: S108 - the pod's own
# Celery writes its schedule down every three minutes; one that has not for fifteen has stopped.
BEATS = (
    "import glob,os,sys,time;"
    f"found=[os.path.getmtime(f) for f in glob.glob('{SCHEDULE}*')];"
    "sys.exit(not found or time.time()-max(found)>900)"
)
TMP = "/tmp"  # noqa: S108 - the mount, not a file in it


def _files(part: Part, *, database: bool = True) -> tuple[list[Manifest], list[Manifest]]:
    """Mounts and volumes: somewhere to write, and who vouches for the database."""
    mounts, volumes = [parts.mount("tmp", TMP, writable=True)], [monitoring_parts.tmp(2 * GIB)]
    if database:
        mounts.append(parts.mount(parts.CERTIFICATES, words.CERTIFICATES))
        volumes.append(parts.certificates("dify"))
    return mounts, volumes


def api(settings: Settings, part: Part, generation: str) -> Manifest:
    """Every answer of Dify; streams are finished before a pod ends."""
    mounts, volumes = _files(part)
    made = parts.container(
        part,
        settings,
        words.api(settings, parts.dify(settings)),
        ports=[{"name": "http", "containerPort": settings.ports["dify_api"]}],
        volumeMounts=mounts,
        lifecycle={"preStop": {"sleep": {"seconds": FORGET_SECONDS}}},
        **parts.probes("http", "/health"),
    )
    spec = parts.pod(part, settings, made, volumes) | {"terminationGracePeriodSeconds": GRACE_SECONDS}
    return _deployment(part, spec, generation)


def worker(settings: Settings, part: Part, generation: str) -> Manifest:
    """Indexing and the like. A worker that does not answer its broker is started anew."""
    mounts, volumes = _files(part)
    made = parts.container(
        part,
        settings,
        words.worker(settings, parts.dify(settings)),
        volumeMounts=mounts,
        **parts.asked(["/bin/sh", "-c", PING], 120, 60),
    )
    spec = parts.pod(part, settings, made, volumes) | {"terminationGracePeriodSeconds": TASK_SECONDS}
    return _deployment(part, spec, generation)


def beat(settings: Settings, part: Part, generation: str) -> Manifest:
    """Exactly one: the old one is gone before the new one comes."""
    mounts, volumes = _files(part)
    made = parts.container(
        part,
        settings,
        words.beat(settings, parts.dify(settings)),
        # As the image's entry point does it, but for the schedule, which that writes beside the program.
        command=["celery", "-A", "app.celery", "beat", "--loglevel", "INFO", "-s", SCHEDULE],
        volumeMounts=mounts,
        **parts.asked([parts.PYTHON, "-c", BEATS], 60, 10),
    )
    found = _deployment(part, parts.pod(part, settings, made, volumes), generation)
    found["spec"] |= {"strategy": {"type": "Recreate"}}
    return found


def web(settings: Settings, part: Part, generation: str) -> Manifest:
    """The pages, which keep nothing."""
    mounts, volumes = _files(part, database=False)
    mounts.append(parts.mount("cache", "/app/web/.next/cache", writable=True))
    made = parts.container(
        part,
        settings,
        words.web(settings, parts.dify(settings)),
        ports=[{"name": "http", "containerPort": settings.ports["dify_web"]}],
        volumeMounts=mounts,
        **parts.probes("http", "/apps"),
    )
    volumes.append(pods.scratch_volume("cache", GIB))
    return _deployment(part, parts.pod(part, settings, made, volumes), generation)


def migrate(settings: Settings, part: Part, generation: str) -> Manifest:
    """Changes tables before any program of a new version starts; Pulumi waits for it. Its name says for which
    version and settings, so another version is another job. One at a time: Dify takes a lock."""
    mounts, volumes = _files(part)
    made = parts.container(part, settings, words.migrate(settings, parts.dify(settings)), volumeMounts=mounts)
    return job(part, parts.pod(part, settings, made, volumes), generation, tries=6)


def job(part: Part, spec: Manifest, generation: str, *, tries: int, awaited: bool = True) -> Manifest:
    """A job that is named after everything it does."""
    spec = {k: v for k, v in spec.items() if k != "topologySpreadConstraints"} | {"restartPolicy": "Never"}
    text = json.dumps([spec, generation], sort_keys=True)
    name = f"{part.app}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    waits = None if awaited else {"pulumi.com/skipAwait": "true"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": names.metadata(name, part.namespace, labels=part.labels, annotations=waits),
        "spec": {"backoffLimit": tries, "template": {"metadata": {"labels": part.labels}, "spec": spec}},
    }


def _deployment(part: Part, spec: Manifest, generation: str) -> Manifest:
    return monitoring_parts.deployment(part, spec, **{"bedplate.io/secret-generation": generation})
