"""Scaling by what waits, never by how busy GPUs are: a GPU that serves is always busy."""

from dataclasses import dataclass

from ai_platform.manifest import Manifest

QUIET_SECONDS = 600  # before scaling down: loading a model again takes minutes


@dataclass(frozen=True)
class Signal:
    """A metric of each pod, as the metrics adapter names it, and how much of it one replica should carry."""

    metric: str
    per_pod: str


VLLM_WAITING = Signal("vllm_num_requests_waiting", "5")
TRITON_PENDING = Signal("nv_inference_pending_request_count", "10")


def autoscaler(metadata: Manifest, signal: Signal, least: int, most: int) -> Manifest:
    """Quickly up by one pod a minute, slowly down."""
    target = {"type": "AverageValue", "averageValue": signal.per_pod}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"]},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Pods", "pods": {"metric": {"name": signal.metric}, "target": target}}],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 30,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": QUIET_SECONDS,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": QUIET_SECONDS}],
                },
            },
        },
    }
