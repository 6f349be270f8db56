"""Kubernetes objects as the API takes them. Renderers return them as plain dicts; here they become
resources, so that what Pulumi sends, what the tests judge and what could be handed to another tool are
the same objects."""

import re
from typing import Any

import pulumi
from pulumi_kubernetes import (
    admissionregistration,
    apiextensions,
    apps,
    autoscaling,
    batch,
    core,
    networking,
    node,
    policy,
    rbac,
    scheduling,
    storage,
)

Manifest = dict[str, Any]

_MODULES = {
    "v1": core.v1,
    "apps/v1": apps.v1,
    "autoscaling/v2": autoscaling.v2,
    "batch/v1": batch.v1,
    "networking.k8s.io/v1": networking.v1,
    "node.k8s.io/v1": node.v1,
    "policy/v1": policy.v1,
    "rbac.authorization.k8s.io/v1": rbac.v1,
    "scheduling.k8s.io/v1": scheduling.v1,
    "storage.k8s.io/v1": storage.v1,
    "apiextensions.k8s.io/v1": apiextensions.v1,
    "admissionregistration.k8s.io/v1": admissionregistration.v1,
}


def create(manifest: Manifest, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """The resource of one object. Its Pulumi name says kind, namespace and name, which are unique together;
    objects are always named by us, so an object that was sent but not recorded is found again by the
    next run."""
    body = dict(manifest)
    module = _MODULES[body.pop("apiVersion")]
    kind = body.pop("kind")
    metadata = manifest["metadata"]
    place = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    resource: pulumi.CustomResource = getattr(module, kind)(
        f"{kind}:{place}{metadata['name']}", opts=opts, **{_snake(key): value for key, value in body.items()}
    )
    return resource


def _snake(key: str) -> str:
    """The SDK's name of an object's own field; what is inside a field keeps the API's names."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()


def create_all(manifests: list[Manifest], opts: pulumi.ResourceOptions) -> list[pulumi.CustomResource]:
    """The resources of several independent objects, in the same order."""
    return [create(manifest, opts) for manifest in manifests]
