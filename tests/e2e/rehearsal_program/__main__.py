"""GPU deployments as configured: what the rehearsal's own tests schedule."""

import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
namespace = k8s.core.v1.Namespace("demo", metadata={"name": "demo"})
k8s.core.v1.Secret(
    "key",
    metadata={"name": "key", "namespace": namespace.metadata.name},
    string_data={"key": config.require_secret("key")},
)
for name, replicas, gpus in config.require_object("deployments"):
    labels = {"app": name}
    k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": namespace.metadata.name},
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"bedplate.io/start-seconds": "60"}},
                "spec": {
                    "containers": [
                        {
                            "name": "model",
                            "image": "registry.example.internal/model:1.0",
                            "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
                        }
                    ]
                },
            },
        },
    )
