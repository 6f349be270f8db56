"""Objects of the knowledge-base sync: for each entry of the inventory a CronJob that brings documents of the
object store into a collection of Milvus."""

import json
from typing import Any

from ai_platform import consumers, data_parts, milvus_config, names, pods, scripts
from ai_platform import monitoring_parts as common
from ai_platform.data_parts import GENERATION, environment, opaque
from ai_platform.data_settings import GIB
from ai_platform.manifest import Manifest
from ai_platform.milvus_config import KNOWLEDGE, PASSWORDS
from ai_platform.milvus_settings import Knowledge
from ai_platform.monitoring_parts import OWNER, Part
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings
from bedplate import paths

KEY = "gateway-knowledge-key"
LOGIN = "knowledge-login"
LONGEST = 6 * 3600  # seconds of one run; the next one goes on where it was
KEPT_JOBS = 3 * 24 * 3600
SIGNING = "sigv4.py"


def who() -> consumers.Consumer:
    """The sync among the consumers."""
    return consumers.consumer("knowledge")


def documents() -> tuple[str, str]:
    """The bucket that is read, and the one that reports go to."""
    read, own = (grant.bucket for grant in who().grants)
    return read, own


def secret(secrets: Secrets, part: Part) -> Manifest:
    """Its log-ins to the gateway and to Milvus."""
    data = {"EMBEDDING_KEY": secrets.value(KEY), "MILVUS_PASSWORD": secrets.value(PASSWORDS[KNOWLEDGE])}
    return opaque(LOGIN, part, data)


def generation(secrets: Secrets) -> str:
    """Changes with every rotation."""
    own = ".".join(secrets.generation(name) for name in (KEY, PASSWORDS[KNOWLEDGE]))
    return f"{consumers.generation(who(), secrets)}.{own}"


def program(part: Part) -> Manifest:
    """The sync, and the module that signs its requests to the object store."""
    folder = scripts.FILES / "knowledge"
    data = {f"knowledge.{file.name}": file.read_text() for file in sorted(folder.glob("*.py"))}
    data[SIGNING] = (paths.MODULE_UTILS / "model_store" / SIGNING).read_text()
    return scripts.config_map(part.app, part.namespace, data, part.labels)


def orders(settings: Settings, wanted: Knowledge) -> dict[str, Any]:
    """What one run does, as the program reads it."""
    store, (bucket, own) = consumers.store(settings), documents()
    gateway = f"http://gateway.{names.GATEWAY}.svc:{settings.ports['model_gateway']}/v1"
    return {
        "source": {
            "endpoint": store.endpoint,
            "region": store.region,
            "bucket": bucket,
            "prefix": wanted.prefix,
        },
        "report": {"bucket": own, "key": f"reports/{wanted.name}.json"},
        "embedding": {"url": gateway, "model": wanted.embedding, "dimensions": wanted.dimensions},
        "milvus": {"uri": milvus_config.address(settings), "user": KNOWLEDGE, "database": KNOWLEDGE},
        "collection": wanted.collection,
        "chunk": wanted.chunk,
        "overlap": wanted.overlap,
    }


def cron_job(settings: Settings, part: Part, wanted: Knowledge, files: Manifest, noted: str) -> Manifest:
    """Never two at a time; one that was killed goes on where it was."""
    labels = names.labels(part.app, wanted.name, OWNER)
    made = data_parts.container(
        part, settings, {}, {"program": pods.SCRIPTS_PATH, "tmp!": data_parts.TEMPORARY}, {}
    )
    made["command"] = ["python3", "-m", "knowledge"]
    keys = consumers.secret_name(consumers.STORE, who())
    hidden = {name: (keys, name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    hidden |= {name: (LOGIN, name) for name in ("EMBEDDING_KEY", "MILVUS_PASSWORD")}
    plain = {
        "ORDERS": json.dumps(orders(settings, wanted), sort_keys=True),
        "PYTHONPATH": pods.SCRIPTS_PATH,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": data_parts.TEMPORARY,
    }
    made["env"] = environment(plain, hidden)
    spec = common.pod(part, made, [_program_volume(files), data_parts.scratch(size=2 * GIB)])
    spec |= {"restartPolicy": "Never", "priorityClassName": names.BACKGROUND}
    del spec["topologySpreadConstraints"]
    template = {"metadata": {"labels": labels, "annotations": {GENERATION: noted}}, "spec": spec}
    job = {
        "backoffLimit": 2,
        "activeDeadlineSeconds": LONGEST,
        "ttlSecondsAfterFinished": KEPT_JOBS,
        "template": template,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": names.metadata(f"knowledge-{wanted.name}", part.namespace, labels=labels),
        "spec": {
            "schedule": wanted.schedule,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 300,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": job},
        },
    }


def _program_volume(files: Manifest) -> Manifest:
    """Modules lie where they lie here."""
    places = {SIGNING: f"model_store/{SIGNING}"}
    items = [
        {"key": key, "path": places.get(key, key.replace("knowledge.", "knowledge/", 1))}
        for key in files["data"]
    ]
    return {"name": "program", "configMap": {"name": files["metadata"]["name"], "items": items}}
