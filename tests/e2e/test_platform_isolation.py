"""Who may do what, asked of the real API server by people with their own certificates."""

import pytest
from platforms import Platform, pod, proved

from bedplate.rehearse.client import ApiError

pytestmark = pytest.mark.rehearsal
TEST = "test_platform_isolation.py"
EVERYBODY = ("admin", "analyst", "read_only")
ADMIN, WORKERS, NOBODY = ("admin",), ("admin", "analyst"), ()

# verb, API group, resource, namespace ("" for objects of no namespace), who may
TABLE = [
    ("list", "", "pods", "serving", EVERYBODY),
    ("list", "", "pods", "batch", EVERYBODY),
    ("get", "", "configmaps", "serving", EVERYBODY),
    ("list", "apps", "deployments", "serving", EVERYBODY),
    ("list", "batch", "jobs", "batch", EVERYBODY),
    ("list", "networking.k8s.io", "networkpolicies", "serving", EVERYBODY),
    ("list", "", "resourcequotas", "batch", EVERYBODY),
    ("list", "", "nodes", "", EVERYBODY),
    ("list", "storage.k8s.io", "storageclasses", "", EVERYBODY),
    ("create", "batch", "jobs", "batch", WORKERS),
    ("delete", "batch", "cronjobs", "batch", WORKERS),
    ("delete", "", "pods", "batch", WORKERS),
    ("get", "", "pods/log", "batch", WORKERS),
    ("create", "", "configmaps", "batch", WORKERS),
    ("get", "", "secrets", "serving", ADMIN),
    ("list", "", "secrets", "batch", ADMIN),
    ("get", "", "pods/log", "serving", ADMIN),
    ("create", "", "pods/exec", "serving", ADMIN),
    ("create", "", "pods/exec", "batch", ADMIN),
    ("create", "", "pods/eviction", "serving", ADMIN),
    ("patch", "", "nodes", "", ADMIN),
    ("create", "apps", "deployments", "serving", ADMIN),
    ("patch", "apps", "deployments/scale", "serving", ADMIN),
    ("create", "batch", "jobs", "serving", ADMIN),
    ("delete", "", "pods", "serving", ADMIN),
    # Guardrails belong to the program, not to people.
    ("delete", "", "resourcequotas", "batch", NOBODY),
    ("patch", "", "limitranges", "batch", NOBODY),
    ("delete", "networking.k8s.io", "networkpolicies", "serving", NOBODY),
    ("create", "networking.k8s.io", "networkpolicies", "serving", NOBODY),
    ("patch", "", "namespaces", "", NOBODY),
    ("create", "", "namespaces", "", NOBODY),
    ("create", "rbac.authorization.k8s.io", "rolebindings", "batch", NOBODY),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", NOBODY),
    ("delete", "admissionregistration.k8s.io", "validatingadmissionpolicies", "", NOBODY),
    ("delete", "", "nodes", "", NOBODY),
    ("create", "", "persistentvolumes", "", NOBODY),
    ("create", "", "serviceaccounts/token", "gpu-system", NOBODY),
    ("impersonate", "", "users", "", NOBODY),
    # Namespaces that are nobody's.
    ("list", "", "pods", "gpu-system", NOBODY),
    ("get", "", "secrets", "kube-system", NOBODY),
    ("create", "", "pods", "gpu-system", NOBODY),
    ("create", "", "pods", "default", NOBODY),
    ("create", "batch", "jobs", "storage-system", NOBODY),
]


def may(platform: Platform, who: str, verb: str, group: str, *, resource: str, namespace: str) -> bool:
    """The API server's own answer to the person."""
    name, _, sub = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": sub, "namespace": namespace}
    review = platform.people[who].create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    return bool(review["status"]["allowed"])


def test_the_table_of_roles_is_what_the_api_server_says(platform: Platform) -> None:
    assert platform.up.ok, platform.up.errors
    wrong = []
    for verb, group, resource, namespace, allowed in TABLE:
        for who in (*EVERYBODY, "stranger"):
            answer = may(platform, who, verb, group, resource=resource, namespace=namespace)
            if answer is not (who in allowed):
                wrong.append(
                    f"{who} may {'' if answer else 'not '}{verb} {resource} in {namespace or 'cluster'}"
                )
    asked = len(TABLE) * 4
    claim = f"Answers of the API server that differ from the table of roles ({asked} asked)"
    proved("isolation.roles", claim, len(wrong), TEST, goal="== 0")
    assert not wrong, "\n".join(wrong)


SECRETS = "/api/v1/namespaces/serving/secrets"


@pytest.mark.parametrize("who", ["analyst", "read_only", "stranger"])
def test_secrets_are_not_shown(platform: Platform, who: str) -> None:
    with pytest.raises(ApiError) as refused:
        platform.people[who].get(SECRETS)
    assert refused.value.status == 403


def test_an_admin_reads_secrets(platform: Platform) -> None:
    found = {o["metadata"]["name"] for o in platform.people["admin"].items(SECRETS)}
    assert {"vllm-api-key", "triton-admin-key"} <= found


def test_an_analyst_cannot_take_a_service_account_of_serving(platform: Platform) -> None:
    tried = pod(platform.registry, "serving", serviceAccountName="vllm")
    with pytest.raises(ApiError) as refused:
        platform.people["analyst"].create("/api/v1/namespaces/serving/pods?dryRun=All", tried)
    assert refused.value.status == 403


def test_without_credentials_there_is_no_answer(platform: Platform) -> None:
    """Not even a list of namespaces for somebody who is in no group of ours."""
    with pytest.raises(ApiError) as refused:
        platform.people["stranger"].get("/api/v1/namespaces")
    assert refused.value.status == 403
