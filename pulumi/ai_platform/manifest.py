"""Kubernetes objects as the API takes them. Renderers return them as plain dicts; here they become
resources, so that what Pulumi sends, what the tests judge and what could be handed to another tool are
the same objects."""

from functools import cache
from importlib.metadata import version
from typing import Any

import pulumi

Manifest = dict[str, Any]

# What this program names is its own. Every resource has a field manager of a random name, so an object that
# was sent but not recorded (the server died in between) belongs to nobody when the next run finds it; without
# force, fields that the server has filled in since would be a conflict for ever.
OWNED = {"pulumi.com/patchForce": "true"}

# Hidden in the state wherever they come back from the cluster, as the SDK's own Secret has it.
_SECRET_FIELDS = ["data", "stringData"]


class Object(pulumi.CustomResource):
    """Any Kubernetes object, by the provider's own type token. The SDK's class of the same token would send
    the same, after importing the types of every object of its API group: half a second of each run."""

    def __init__(self, name: str, manifest: Manifest, opts: pulumi.ResourceOptions) -> None:
        group, kind = manifest["apiVersion"], manifest["kind"]
        own = pulumi.ResourceOptions(
            version=_sdk(), additional_secret_outputs=_SECRET_FIELDS if kind == "Secret" else None
        )
        token = f"kubernetes:{group if '/' in group else f'core/{group}'}:{kind}"
        super().__init__(token, name, manifest, pulumi.ResourceOptions.merge(own, opts))


def create(manifest: Manifest, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """The resource of one object. Its Pulumi name says kind, namespace and name, which are unique together;
    objects are always named by us, so an object that was sent but not recorded is found again by the
    next run."""
    metadata = manifest["metadata"]
    place = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    owned = metadata | {"annotations": metadata.get("annotations", {}) | OWNED}
    return Object(f"{manifest['kind']}:{place}{metadata['name']}", manifest | {"metadata": owned}, opts)


def patience(seconds: int) -> pulumi.CustomTimeouts:
    """How long Pulumi waits for an object to become what it should be."""
    limit = f"{seconds}s"
    return pulumi.CustomTimeouts(create=limit, update=limit, delete=limit)


def create_all(manifests: list[Manifest], opts: pulumi.ResourceOptions) -> list[pulumi.CustomResource]:
    """The resources of several independent objects, in the same order."""
    return [create(manifest, opts) for manifest in manifests]


@cache
def _sdk() -> str:
    """The version of the installed SDK, which is the provider's."""
    return version("pulumi-kubernetes")
