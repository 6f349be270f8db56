"""Names and labels. What is selected by a label is labelled by the same function."""

from ai_platform.manifest import Manifest

SYSTEM = "kube-system"
GPU = "gpu-system"
STORAGE = "storage-system"
SERVING = "serving"
FABRIC = "serving-fabric"
BATCH = "batch"
GATEWAY = "gateway"
MONITORING = "monitoring"
HOSTS = "monitoring-hosts"
LOGS = "logs"
DATA = "data"
DIFY = "dify"
SANDBOX = "code-sandbox"
KNOWLEDGE = "knowledge"
MILVUS = "milvus"
CHROMA = "chroma"
MLFLOW = "mlflow"
BACKUP = "backup"

INTERACTIVE = "interactive"
BACKGROUND = "batch"
PRIORITIES = {INTERACTIVE: 100_000, BACKGROUND: 1_000}

GPU_RESOURCE = "nvidia.com/gpu"
RDMA_RESOURCE = "rdma/hca"
GPU_PRODUCT = "nvidia.com/gpu.product"
OWNER = "bedplate.io/owner"
REASON = "bedplate.io/reason"
START_SECONDS = "bedplate.io/start-seconds"
RUNTIME_CLASS = "nvidia"


def selector(app: str, instance: str = "") -> dict[str, str]:
    """Labels that select the pods of an app, or of one instance of it."""
    labels = {"app.kubernetes.io/name": app}
    return labels | {"app.kubernetes.io/instance": instance} if instance else labels


def labels(app: str, instance: str = "", owner: str = "") -> dict[str, str]:
    """Labels of an object: its selector, that it is ours, and who answers for it."""
    ours = {"app.kubernetes.io/part-of": "bedplate", "app.kubernetes.io/managed-by": "pulumi"}
    return selector(app, instance) | ours | ({OWNER: owner} if owner else {})


def metadata(
    name: str,
    namespace: str = "",
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> Manifest:
    """The metadata of an object; what is empty is left out."""
    parts = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
    return {key: value for key, value in parts.items() if value}
