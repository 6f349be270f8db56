"""What a program may do in the whole cluster, as few rights as it needs."""

from collections.abc import Sequence

from ai_platform import names
from ai_platform.manifest import Manifest

Rule = tuple[str, Sequence[str], Sequence[str]]  # API group, resources, verbs
_GROUP = "rbac.authorization.k8s.io"


def cluster_rights(
    account: str, namespace: str, rules: Sequence[Rule], labels: dict[str, str]
) -> list[Manifest]:
    """A cluster role named after the service account, and its binding to it."""
    name = f"bedplate-{account}"
    role: Manifest = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": names.metadata(name, labels=labels),
        "rules": [{"apiGroups": [g], "resources": list(r), "verbs": list(v)} for g, r, v in rules],
    }
    binding: Manifest = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": names.metadata(name, labels=labels),
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
    return [role, binding]
