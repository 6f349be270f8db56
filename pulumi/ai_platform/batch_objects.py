"""Objects of batch work: offline inference over files, on GPUs that nobody else wants just now.

The queue is Kubernetes' own: pods wait for GPUs by priority, the namespace's quota bounds them, a job can
be suspended. A pod that had to give way starts its file again, and that is not counted as a failure.
"""

from ai_platform import names, pods, sizing, vllm_objects
from ai_platform.manifest import Manifest
from ai_platform.settings import BatchJob, Settings
from ai_platform.storage_objects import SHARED_CLAIM
from bedplate.capacity.models import GIB

APP = "batch-inference"
INDEX = "{index}"
RUN_SECONDS = "bedplate.io/run-seconds"
EXPECTED_SECONDS = 3600  # how long the rehearsal lets a file take
HISTORY = 3


def arguments(job: BatchJob) -> list[str]:
    """`vllm run-batch`; with several pods each takes the file of its index."""
    requests = f"/shared/{job.requests}".replace(INDEX, "$(SHARD)")
    return [
        "-i",
        requests,
        "-o",
        f"{requests}.answers",
        f"--model={vllm_objects.model_path(job.model)}",
        "--served-model-name",
        job.model.id,
        f"--tensor-parallel-size={job.gpus}",
        f"--max-model-len={job.context}",
        f"--gpu-memory-utilization={sizing.BATCH_GPU_MEMORY}",
        *(a for a in job.model.arguments if not a.startswith(("--reasoning-parser", "--tool-call-parser"))),
    ]


def batch_object(job: BatchJob, settings: Settings) -> Manifest:
    """A Job, or a CronJob where there is a schedule."""
    labels = names.labels(APP, job.name, job.owner)
    # Pulumi does not wait for batch work: when it runs depends on what everybody else does.
    metadata = names.metadata(
        job.name, names.BATCH, labels=labels, annotations={"pulumi.com/skipAwait": "true"}
    )
    spec: Manifest = {
        "parallelism": job.parallel,
        "completions": job.parallel,
        "completionMode": "Indexed",
        "backoffLimit": 3,
        "podFailurePolicy": {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
        },
        "template": _template(job, settings, labels),
    }
    if not job.schedule:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": spec | {"suspend": job.suspended},
        }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata,
        "spec": {
            "schedule": job.schedule,
            "timeZone": "Etc/UTC",
            "suspend": job.suspended,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": HISTORY,
            "failedJobsHistoryLimit": HISTORY,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _template(job: BatchJob, settings: Settings, labels: dict[str, str]) -> Manifest:
    size = sizing.gpu_pod(job.nodes, job.gpus)
    begin = sizing.model_start(job.model, settings.pace, settings.images.size(vllm_objects.IMAGE))
    shard = {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}}
    environment = vllm_objects.offline_environment() | dict(job.model.environment)
    container: Manifest = {
        "name": "inference",
        "image": settings.images.reference(vllm_objects.IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": ["vllm", "run-batch"],
        "args": arguments(job),
        "env": [
            *({"name": name, "value": value} for name, value in environment.items()),
            {"name": "SHARD", "valueFrom": shard},
        ],
        "resources": pods.resources(size),
        "securityContext": pods.container_security(),
        "volumeMounts": [
            pods.models_mount(),
            {"name": "shared", "mountPath": "/shared"},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the mount, not a file in it
            {"name": "home", "mountPath": vllm_objects.HOME},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - as above
        ],
    }
    return {
        "metadata": {
            "labels": labels | {pods.SHARE: "part"},
            "annotations": pods.start_annotations(begin) | {RUN_SECONDS: str(EXPECTED_SECONDS)},
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": APP,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "runtimeClassName": names.RUNTIME_CLASS,
            "priorityClassName": names.BACKGROUND,
            "securityContext": pods.pod_security(vllm_objects.USER, vllm_objects.GROUP),
            "tolerations": pods.gpu_toleration(),
            "affinity": {"nodeAffinity": pods.on_group(job.nodes), "podAffinity": pods.beside_others()},
            "containers": [container],
            "volumes": [
                pods.models_volume(),
                {"name": "shared", "persistentVolumeClaim": {"claimName": SHARED_CLAIM}},
                pods.memory_volume(size),
                pods.scratch_volume("home", size.scratch - 2 * GIB),
                pods.scratch_volume("tmp", GIB),
            ],
        },
    }
