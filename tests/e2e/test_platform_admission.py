"""What must be refused, each by the real admission with its message; what differs by one thing only is
let in."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from platforms import Object, Platform, changed, pod, proved

from bedplate.rehearse.client import ApiError

pytestmark = pytest.mark.rehearsal
TEST = "test_platform_admission.py"


def main(body: Object) -> Object:
    container: Object = body["spec"]["containers"][0]
    return container


def security(**fields: Any) -> Callable[[Object], Any]:
    return lambda body: main(body)["securityContext"].update(fields)


def pod_wide(**fields: Any) -> Callable[[Object], Any]:
    return lambda body: body["spec"].update(fields)


def image(text: str) -> Callable[[Object], Any]:
    return lambda body: main(body).update(image=text.format(registry="registry.ai.example.com"))


def init(text: str) -> Callable[[Object], Any]:
    def change(body: Object) -> None:
        body["spec"]["initContainers"] = [main(body) | {"name": "init", "image": text}]

    return change


def gpus(
    count: int = 1, *, owner: str | None = "research", priority: str = "batch"
) -> Callable[[Object], Any]:
    def change(body: Object) -> None:
        main(body)["resources"]["limits"]["nvidia.com/gpu"] = str(count)
        if priority:
            body["spec"]["priorityClassName"] = priority
        body["metadata"]["labels"] = {} if owner is None else {"bedplate.io/owner": owner}

    return change


def mig(body: Object) -> None:
    main(body)["resources"]["limits"]["nvidia.com/mig-1g.10gb"] = "1"
    body["metadata"]["labels"] = {}


def env(name: str, value: str) -> Callable[[Object], Any]:
    return lambda body: main(body).update(env=[{"name": name, "value": value}])


def volume(**source: Any) -> Callable[[Object], Any]:
    return lambda body: body["spec"].update(volumes=[{"name": "v"} | source])


PODS: list[tuple[str, Callable[[Object], Any], str]] = [
    ("privileged", security(privileged=True, allowPrivilegeEscalation=True), "privileged"),
    ("host path", volume(hostPath={"path": "/"}), "hostPath"),
    ("host path of the model store", volume(hostPath={"path": "/srv/hot/models"}), "hostPath"),
    ("NFS of its own", volume(nfs={"server": "files", "path": "/"}), "restricted volume types"),
    ("host network", pod_wide(hostNetwork=True), "host namespaces"),
    ("host processes", pod_wide(hostPID=True), "host namespaces"),
    ("host IPC", pod_wide(hostIPC=True), "host namespaces"),
    ("host port", lambda b: main(b).update(ports=[{"containerPort": 80, "hostPort": 80}]), "hostPort"),
    ("root", security(runAsUser=0), "runAsUser=0"),
    ("perhaps root", lambda b: b["spec"]["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
    ("privilege escalation", security(allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
    ("a capability more", security(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "SYS_ADMIN"),
    ("capabilities kept", security(capabilities={}), "unrestricted capabilities"),
    ("no seccomp", lambda b: b["spec"]["securityContext"].pop("seccompProfile"), "seccompProfile"),
    ("seccomp off", security(seccompProfile={"type": "Unconfined"}), "seccompProfile"),
    ("AppArmor off", security(appArmorProfile={"type": "Unconfined"}), "AppArmor"),
    ("an unsafe sysctl", lambda b: b["spec"]["securityContext"].update(
        sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "sysctl"),
    ("latest", image("{registry}/vllm/vllm-openai:latest"), "pinned by a tag other than latest"),
    ("no tag", image("{registry}/vllm/vllm-openai"), "pinned by a tag other than latest"),
    ("no tag but a port", image("{registry}:5000/vllm"), "come from registry.ai.example.com only"),
    ("latest with a digest", image("{registry}/a:latest@sha256:" + "0" * 64), "not pinned"),
    ("a foreign registry", image("docker.io/vllm/vllm-openai:v0.28.0"), "docker.io/vllm/vllm-openai:v0.28.0"),
    ("no registry", image("busybox:1.36"), "come from registry.ai.example.com only"),
    ("a registry that begins alike", image("{registry}.evil.io/x:1"), "not from there: registry"),
    ("a foreign init container", init("quay.io/x/y:1"), "quay.io/x/y:1"),
    ("GPUs without owner", gpus(owner=None), "bedplate.io/owner"),
    ("GPUs with an empty owner", gpus(owner=""), "bedplate.io/owner"),
    ("GPUs without priority", gpus(priority=""), "needs priorityClassName"),
    ("GPUs with the system's priority", gpus(priority="system-node-critical"), "needs priorityClassName"),
    ("a MIG slice without owner", mig, "bedplate.io/owner"),
    ("batch that calls itself interactive", gpus(priority="interactive"), "exceeded quota: no-interactive"),
    ("more GPUs than there are", gpus(65), "exceeded quota: quota"),
    ("larger than any host", lambda b: main(b)["resources"]["limits"].update(memory="9Ti"), "maximum memory"),
    ("a published password", env("MINIO_SECRET_KEY", "minioadmin"), "MINIO_SECRET_KEY"),
    ("another published password", env("POSTGRES_PASSWORD", "difyai123456"), "POSTGRES_PASSWORD"),
]  # fmt: skip


def path(body: Object) -> str:
    kind = {"Pod": "/api/v1", "Secret": "/api/v1", "ConfigMap": "/api/v1", "Service": "/api/v1"}
    base = kind.get(body["kind"]) or f"/apis/{body['apiVersion']}"
    return f"{base}/namespaces/{body['metadata']['namespace']}/{body['kind'].lower()}s?dryRun=All"


def refusal(platform: Platform, body: Object) -> str:
    """The message, or empty when it was let in."""
    try:
        platform.people["admin"].create(path(body), body)
    except ApiError as error:
        assert error.status in (403, 422), error
        return error.message
    return ""


def test_the_pod_that_the_others_differ_from_is_let_in(platform: Platform) -> None:
    assert refusal(platform, pod(platform.registry)) == ""
    assert refusal(platform, changed(pod(platform.registry), gpus(8))) == ""


@pytest.mark.parametrize(("change", "words"), [p[1:] for p in PODS], ids=[p[0] for p in PODS])
def test_refused(platform: Platform, change: Callable[[Object], Any], words: str) -> None:
    message = refusal(platform, changed(pod(platform.registry), change))
    assert words in message


def test_how_many_were_refused(platform: Platform) -> None:
    refused = sum(words in refusal(platform, changed(pod(platform.registry), c)) for _, c, words in PODS)
    claim = "Kinds of pod that must be refused and are, each by the real admission with its message"
    proved("admission.pods", claim, refused, TEST, goal=f">= {len(PODS)}")
    assert refused == len(PODS)


def secret(value: str) -> Object:
    data = {"key": base64.b64encode(value.encode()).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "batch"},
        "data": data,
    }


def test_secrets_that_everybody_knows_are_refused_without_being_repeated(platform: Platform) -> None:
    for known in ("minioadmin", "difyai123456", "admin"):
        message = refusal(platform, secret(known))
        assert "these keys hold a default that its upstream publishes: key" in message
        assert known not in message.replace("bedplate-admin", "")
    assert refusal(platform, secret("Kq3v-0Yc_1xFQm")) == ""


def test_config_maps_are_no_way_around(platform: Platform) -> None:
    meta = {"name": "c", "namespace": "batch"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"password": "Milvus"}}
    assert "default that its upstream publishes: password" in refusal(platform, body)


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_services_stay_inside_the_cluster(platform: Platform, kind: str) -> None:
    meta = {"name": "open", "namespace": "serving"}
    spec = {"type": kind, "selector": {"a": "b"}, "ports": [{"port": 80}]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    assert "exceeded quota" in refusal(platform, body)


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob"])
def test_controllers_are_refused_at_once_and_not_only_their_pods(platform: Platform, kind: str) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": changed(pod(""), image("docker.io/x:1"))["spec"]}
    specs = {
        "Deployment": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
        "Job": {"template": changed(template, pod_wide(restartPolicy="Never"))},
    }
    specs["CronJob"] = {"schedule": "0 1 * * *", "jobTemplate": {"spec": specs["Job"]}}
    version = "apps/v1" if kind == "Deployment" else "batch/v1"
    meta = {"name": "tried", "namespace": "batch"}
    body = {"apiVersion": version, "kind": kind, "metadata": meta, "spec": specs[kind]}
    assert "docker.io/x:1" in refusal(platform, body)


def test_namespaces_outside_the_platform_are_guarded_too(platform: Platform) -> None:
    """The cluster's own administrator in `default`: Pod Security is baseline there, our rules hold all
    the same."""
    body = changed(pod("", "default"), image("docker.io/x:1"))
    with pytest.raises(ApiError) as refused:
        platform.api.create(path(body), body)
    assert "come from registry.ai.example.com only" in refused.value.message
