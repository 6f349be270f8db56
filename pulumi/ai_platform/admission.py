"""Rules of admission that Kubernetes itself enforces: ValidatingAdmissionPolicies, each with a binding."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from ai_platform import names
from ai_platform.manifest import Manifest
from ai_platform.settings import Settings

_POD = (
    "object.kind == 'Pod' ? object.spec : "
    "object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template.spec : object.spec.template.spec"
)
_POD_METADATA = (
    "object.kind == 'Pod' ? object.metadata : "
    "object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template.metadata : "
    "object.spec.template.metadata"
)
_CONTAINERS = (
    "variables.pod.containers"
    " + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])"
    " + (has(variables.pod.ephemeralContainers) ? variables.pod.ephemeralContainers : [])"
)
_ASKS_FOR_GPU = (
    "variables.containers.exists(c, has(c.resources) && has(c.resources.limits)"
    " && c.resources.limits.exists(name, name == 'nvidia.com/gpu' || name.startsWith('nvidia.com/mig-')))"
)
_LABELS = "has(variables.metadata.labels) ? variables.metadata.labels : {}"

PODS = (("", "v1", ("pods", "pods/ephemeralcontainers")),)
WORKLOADS = (
    ("apps", "v1", ("deployments", "statefulsets", "daemonsets", "replicasets")),
    ("batch", "v1", ("jobs", "cronjobs")),
)
SECRETS = (("", "v1", ("secrets", "configmaps")),)


@dataclass(frozen=True)
class Rule:
    """One CEL expression that must hold, and the message for whoever breaks it (a CEL expression too)."""

    expression: str
    message: str


@dataclass(frozen=True)
class Policy:
    """Rules about some kinds of object. ``variables`` are evaluated in order, later ones may use earlier
    ones."""

    name: str
    resources: Sequence[tuple[str, str, tuple[str, ...]]]
    rules: tuple[Rule, ...]
    variables: tuple[tuple[str, str], ...] = ()


_POD_VARIABLES = (("pod", _POD), ("containers", _CONTAINERS))


def policies(settings: Settings) -> list[Policy]:
    """The rules of this environment."""
    return [
        images(settings.images.registry),
        gpu_pods(),
        published_secrets(settings.published_secrets),
        published_environment(settings.published_secrets),
    ]


def images(registry: str) -> Policy:
    """Images come from the environment's registry and are pinned by tag, digest, or both."""
    name = "c.image.substring(c.image.lastIndexOf('/') + 1)"
    foreign = f"variables.containers.filter(c, !c.image.startsWith('{registry}/')).map(c, c.image)"
    loose = (
        f"variables.containers.filter(c, !c.image.contains('@sha256:') && "
        f"(!{name}.contains(':') || {name}.endsWith(':latest'))).map(c, c.image)"
    )
    latest = f"variables.containers.filter(c, {name}.split('@')[0].endsWith(':latest')).map(c, c.image)"
    return Policy(
        "images",
        (*PODS, *WORKLOADS),
        (
            Rule(
                "size(variables.foreign) == 0",
                f"'images come from {registry} only; not from there: ' + variables.foreign.join(', ')",
            ),
            Rule(
                "size(variables.loose) == 0 && size(variables.latest) == 0",
                "'images are pinned by a tag other than latest, or by digest; not pinned: '"
                " + (variables.loose + variables.latest).join(', ')",
            ),
        ),
        (*_POD_VARIABLES, ("foreign", foreign), ("loose", loose), ("latest", latest)),
    )


def gpu_pods() -> Policy:
    """GPUs are scarce: whoever takes one says who answers for it and whether it may be taken back."""
    known = ", ".join(f"'{name}'" for name in names.PRIORITIES)
    return Policy(
        "gpu-pods",
        (*PODS, *WORKLOADS),
        (
            Rule(
                f"!variables.gpu || ('{names.OWNER}' in variables.labels"
                f" && variables.labels['{names.OWNER}'] != '')",
                f"'a pod that asks for GPUs needs the label {names.OWNER}: who answers for it?'",
            ),
            Rule(
                "!variables.gpu || (has(variables.pod.priorityClassName)"
                f" && variables.pod.priorityClassName in [{known}])",
                f"'a pod that asks for GPUs needs priorityClassName, one of: {', '.join(names.PRIORITIES)}'",
            ),
        ),
        (
            *_POD_VARIABLES,
            ("metadata", _POD_METADATA),
            ("labels", _LABELS),
            ("gpu", _ASKS_FOR_GPU),
        ),
    )


def published_secrets(published: Sequence[str]) -> Policy:
    """No Secret or ConfigMap holds a password that its upstream publishes. Messages name keys, never
    values."""
    plain = "[" + ", ".join(_quote(value) for value in published) + "]"
    coded = "[" + ", ".join(_quote(base64.b64encode(value.encode()).decode()) for value in published) + "]"
    coded_object = "object.kind == 'Secret' && has(object.data)"
    plain_object = "object.kind == 'ConfigMap' && has(object.data)"
    keys = (
        f"({coded_object} ? object.data.map(k, string(object.data[k]) in variables.coded, k) : []) + "
        f"({plain_object} ? object.data.map(k, object.data[k] in variables.plain, k) : [])"
    )
    return Policy(
        "published-secrets",
        SECRETS,
        (
            Rule(
                "size(variables.keys) == 0",
                "'these keys hold a default that its upstream publishes: ' + variables.keys.join(', ')",
            ),
        ),
        (("plain", plain), ("coded", coded), ("keys", keys)),
    )


def published_environment(published: Sequence[str]) -> Policy:
    """Nor does an environment variable whose name says that it is a secret."""
    plain = "[" + ", ".join(_quote(value) for value in published) + "]"
    sensitive = "e.name.lowerAscii().matches('(password|passwd|secret|token|api_?key|access_?key)')"
    found = (
        "variables.containers.map(c, has(c.env) ? c.env.filter(e, has(e.value) && "
        f"e.value in variables.plain && {sensitive}).map(e, e.name) : [])"
        ".filter(names, size(names) > 0).map(names, names.join(', '))"
    )
    return Policy(
        "published-environment",
        (*PODS, *WORKLOADS),
        (
            Rule(
                "size(variables.found) == 0",
                "'these variables hold a default that its upstream publishes: ' + variables.found.join(', ')",
            ),
        ),
        (*_POD_VARIABLES, ("plain", plain), ("found", found)),
    )


def render(policy: Policy) -> list[Manifest]:
    """The policy and its binding. Only the control plane's own namespace is out of reach."""
    meta = names.metadata(f"bedplate-{policy.name}", labels=names.labels("guardrails"))
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": meta,
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "resourceRules": [
                        {
                            "apiGroups": [group],
                            "apiVersions": [version],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": list(kinds),
                        }
                        for group, version, kinds in policy.resources
                    ]
                },
                "variables": [{"name": name, "expression": text} for name, text in policy.variables],
                "validations": [
                    {
                        "expression": rule.expression,
                        "messageExpression": rule.message,
                        "reason": "Forbidden",
                    }
                    for rule in policy.rules
                ],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": meta,
            "spec": {
                "policyName": meta["name"],
                "validationActions": ["Deny", "Audit"],
                "matchResources": {"namespaceSelector": {"matchExpressions": [_BEYOND_SYSTEM]}},
            },
        },
    ]


_BEYOND_SYSTEM = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [names.SYSTEM]}


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
