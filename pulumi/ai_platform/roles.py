"""What people may do: admin, analyst, read-only. Nobody's role reaches the guardrails themselves (quotas,
policies, roles): those change only through this program."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ai_platform import names
from ai_platform.manifest import Manifest
from ai_platform.settings import Access

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete")

Rule = tuple[str, tuple[str, ...], tuple[str, ...]]  # API group, resources, verbs

_SEEN: tuple[Rule, ...] = (
    (
        "",
        (
            "pods",
            "services",
            "endpoints",
            "persistentvolumeclaims",
            "configmaps",
            "events",
            "resourcequotas",
            "limitranges",
        ),
        READ,
    ),
    ("apps", ("deployments", "statefulsets", "daemonsets", "replicasets"), READ),
    ("batch", ("jobs", "cronjobs"), READ),
    ("autoscaling", ("horizontalpodautoscalers",), READ),
    ("policy", ("poddisruptionbudgets",), READ),
    ("networking.k8s.io", ("networkpolicies",), READ),
)
_CLUSTER_SEEN: tuple[Rule, ...] = (
    ("", ("nodes", "namespaces", "persistentvolumes"), READ),
    ("storage.k8s.io", ("storageclasses",), READ),
    ("scheduling.k8s.io", ("priorityclasses",), READ),
    ("node.k8s.io", ("runtimeclasses",), READ),
)


@dataclass(frozen=True)
class Role:
    """A role: what it may do in ``namespaces`` and, with ``cluster`` rules, to objects of no namespace."""

    name: str
    groups: tuple[str, ...]
    rules: tuple[Rule, ...]
    namespaces: tuple[str, ...]
    cluster: tuple[Rule, ...] = _CLUSTER_SEEN


def roles(access: Access, tenants: Iterable[str]) -> list[Role]:
    """The roles of an environment; an analyst is a reader everywhere and works in the batch namespace."""
    everywhere = tuple(tenants)
    return [
        Role("admin", access.admin, _ADMIN, everywhere, (*_CLUSTER_SEEN, *_DRAIN)),
        Role("analyst", access.analyst, _SEEN, everywhere),
        Role("analyst-work", access.analyst, _ANALYST, (names.BATCH,), ()),
        Role("read-only", access.read_only, _SEEN, everywhere),
    ]


_ADMIN: tuple[Rule, ...] = (
    *_SEEN,
    ("", ("pods", "services", "configmaps", "secrets", "persistentvolumeclaims"), (*READ, *WRITE)),
    ("", ("pods/log",), ("get",)),
    ("", ("pods/exec", "pods/portforward"), ("create",)),
    ("", ("pods/eviction",), ("create",)),
    ("apps", ("deployments", "statefulsets"), WRITE),
    ("apps", ("deployments/scale", "statefulsets/scale"), ("get", "update", "patch")),
    ("batch", ("jobs", "cronjobs"), WRITE),
    ("autoscaling", ("horizontalpodautoscalers",), WRITE),
)
_DRAIN: tuple[Rule, ...] = (("", ("nodes",), ("patch",)),)
_ANALYST: tuple[Rule, ...] = (
    ("", ("configmaps",), WRITE),
    ("", ("pods",), ("delete",)),
    ("", ("pods/log",), ("get",)),
    ("batch", ("jobs", "cronjobs"), WRITE),
)


def render(role: Role) -> list[Manifest]:
    """A ClusterRole bound in every namespace of the role, and one for what has no namespace."""
    name = f"bedplate-{role.name}"
    rendered = [_cluster_role(name, role.rules)]
    rendered += [_binding(name, role.groups, namespace) for namespace in role.namespaces]
    if role.cluster:
        rendered += [_cluster_role(f"{name}-cluster", role.cluster), _binding(f"{name}-cluster", role.groups)]
    return rendered


def _cluster_role(name: str, rules: Sequence[Rule]) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": names.metadata(name, labels=names.labels("guardrails")),
        "rules": [
            {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
            for group, resources, verbs in rules
        ],
    }


def _binding(role: str, groups: Sequence[str], namespace: str = "") -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": names.metadata(role, namespace, labels=names.labels("guardrails")),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group} for group in groups
        ],
    }
