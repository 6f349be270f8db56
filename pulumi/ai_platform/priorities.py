"""Who gives way to whom, and how many pods of one app may be away at once."""

from ai_platform import names
from ai_platform.manifest import Manifest

_ABOUT = {
    names.INTERACTIVE: "Somebody waits for the answer. May take the place of batch work.",
    names.BACKGROUND: "Nobody waits. Runs while GPUs are free and gives way to interactive work.",
}


def priority_classes() -> list[Manifest]:
    """Interactive above batch; batch never pushes anyone away."""
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": names.metadata(name, labels=names.labels("guardrails")),
            "value": value,
            "globalDefault": False,
            "preemptionPolicy": "PreemptLowerPriority" if name == names.INTERACTIVE else "Never",
            "description": _ABOUT[name],
        }
        for name, value in names.PRIORITIES.items()
    ]


def disruption_budget(app: str, instance: str, namespace: str, owner: str) -> Manifest:
    """One pod of an instance may be away for a drain at a time; a pod that is broken does not stop it."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(f"{app}-{instance}", namespace, labels=names.labels(app, instance, owner)),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector(app, instance)},
        },
    }
