"""What users of a cluster lean on, each with real pods on two virtual machines: names, services, policies,
volumes, probes, rollouts, jobs, quotas, admission, GPUs by resource. A short list in the sense of upstream's
conformance tests, which need images that no package registry carries.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import cluster as lab
import pytest
from cluster import MASTER, WORKER, Cluster, Made

pytestmark = [pytest.mark.twin, pytest.mark.long]
SPACE = "behaviours"
PATIENCE = 300.0  # seconds; emulated processors
record = partial(lab.record, "tests/e2e/test_kubernetes_behaviours.py")
GPU = "nvidia.com~1gpu"  # as a JSON pointer names it
VOLUME = "/srv/behaviours"


@pytest.fixture(scope="module")
def cluster(kubernetes: Made) -> Iterator[Cluster]:
    """The cluster, with an empty namespace that enforces Pod Security's restricted profile."""
    made = kubernetes.cluster
    made.kubectl(f"delete namespace {SPACE} --ignore-not-found --timeout=300s")
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    made.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": enforced}},
    )
    lab.eventually(lambda: "default" in names(made, "serviceaccounts"), PATIENCE)
    yield made
    made.kubectl(f"delete namespace {SPACE} --wait=false")


@pytest.fixture(autouse=True)
def _recorded(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[None]:
    """Each behaviour is a record, whether it passed or not."""
    failed = request.session.testsfailed
    yield
    name = f"behaviour.{request.node.name.removeprefix('test_')}"
    claim = request.node.function.__doc__.split(".")[0]
    record(cluster, name, claim, int(request.session.testsfailed == failed), goal="== 1")


def within(*objects: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects in the tests' namespace."""
    return [body | {"metadata": body["metadata"] | {"namespace": SPACE}} for body in objects]


def get(cluster: Cluster, what: str) -> list[dict[str, Any]]:
    return cluster.get(f"{what} --namespace={SPACE}")


def names(cluster: Cluster, what: str) -> list[str]:
    return [item["metadata"]["name"] for item in get(cluster, what)]


def one(cluster: Cluster, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        cluster.kubectl(f"get {kind} {name} --namespace={SPACE} --output=json").out
    )
    return found


def probe(cluster: Cluster, pod: str, *command: str) -> tuple[int, str]:
    """Exit code and output of the probe in a pod."""
    done = cluster.kubectl(f"exec --namespace={SPACE} {pod} -- /probe {' '.join(command)}", check=False)
    return done.code, done.out.strip()


def service(name: str, **more: Any) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]} | more
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def template(name: str, *command: str, **more: Any) -> dict[str, Any]:
    """A pod's template with what ``more`` says of its container."""
    body = lab.pod(name, *command)
    body["spec"]["containers"][0] |= more
    return {"metadata": {"labels": {"app": name}}, "spec": body["spec"]}


def deployment(name: str, replicas: int, pod: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": pod,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def wait_ready(cluster: Cluster, *pods: str) -> None:
    lab.eventually(lambda: set(pods) <= set(lab.ready(get(cluster, "pods"))), PATIENCE)


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> str:
    """A pod on the control plane's machine, so that what it asks for lies on the other one."""
    cluster.apply(*within(lab.on(MASTER, lab.pod("client", "wait"))))
    wait_ready(cluster, "client")
    return "client"


def test_names(cluster: Cluster, client: str) -> None:
    """Services, headless ones too, are found by their short and their full names."""
    cluster.apply(
        *within(
            lab.on(WORKER, lab.pod("named", "serve", "named")),
            service("named"),
            service("alone", selector={"app": "named"}, clusterIP="None"),
        )
    )
    wait_ready(cluster, "named")
    for name in ("named", f"named.{SPACE}", f"named.{SPACE}.svc.cluster.local"):
        lab.eventually(lambda name=name: probe(cluster, client, "get", f"http://{name}")[1] == "named", 120)
    assert probe(cluster, client, "get", "http://alone:8080") == (0, "named")
    assert probe(cluster, client, "get", "http://nobody")[0] != 0


def test_services_follow_readiness(cluster: Cluster, client: str) -> None:
    """A pod that is not ready gets no requests, and its sound sibling gets them all."""
    ready = {"httpGet": {"path": "/healthy", "port": 8080}, "periodSeconds": 2, "timeoutSeconds": 5}
    pods = []
    for name in ("left", "right"):
        body = lab.on(WORKER, lab.pod(name, "serve", name, part="pair"))
        body["spec"]["containers"][0]["readinessProbe"] = ready
        pods.append(body)
    cluster.apply(*within(*pods, service("pair", selector={"part": "pair"})))
    wait_ready(cluster, "left", "right")
    probe(cluster, "left", "get", "http://127.0.0.1:8080/break")
    lab.eventually(lambda: "left" not in lab.ready(get(cluster, "pods")), 120)
    lab.eventually(lambda: _answers(cluster, client, "http://pair") == {"right"}, 120)


def _answers(cluster: Cluster, client: str, url: str) -> set[str]:
    return {probe(cluster, client, "get", url)[1] for _ in range(6)}


def test_liveness(cluster: Cluster) -> None:
    """A container that fails its liveness probe is started again and is sound then."""
    alive = {"httpGet": {"path": "/healthy", "port": 8080}, "periodSeconds": 2, "failureThreshold": 2}
    body = lab.on(WORKER, lab.pod("mortal", "serve", "mortal"))
    body["spec"]["containers"][0]["livenessProbe"] = alive | {"timeoutSeconds": 5}
    cluster.apply(*within(body))
    wait_ready(cluster, "mortal")
    probe(cluster, "mortal", "get", "http://127.0.0.1:8080/break")

    def again() -> bool:
        status = one(cluster, "pod", "mortal")["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    lab.eventually(again, PATIENCE)


def test_denied_by_default(cluster: Cluster) -> None:
    """Under a policy that denies all a pod reaches nobody, not even the names of others."""
    mute = lab.on(WORKER, lab.pod("mute", "wait", silent="yes"))
    deny = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "silence"},
        "spec": {"podSelector": {"matchLabels": {"silent": "yes"}}, "policyTypes": ["Ingress", "Egress"]},
    }
    cluster.apply(*within(mute))
    wait_ready(cluster, "mute")
    address = one(cluster, "pod", "named")["status"]["podIP"]
    lab.eventually(lambda: probe(cluster, "mute", "get", f"http://{address}:8080")[1] == "named", 120)
    cluster.apply(*within(deny))
    lab.eventually(lambda: probe(cluster, "mute", "get", f"http://{address}:8080")[0] != 0, 120)
    assert probe(cluster, "mute", "get", "http://named")[0] != 0


def test_volumes(cluster: Cluster) -> None:
    """What a pod wrote on a local volume is read by its successor, which is put where the volume is."""
    cluster.run(f"mkdir -p {VOLUME}", WORKER)
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "behaviours"},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [WORKER]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "behaviours"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "behaviours",
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": VOLUME},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "behaviours",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.kubectl("delete persistentvolume behaviours --ignore-not-found")
    cluster.apply(storage, volume, *within(claim, _with_volume("writer")))
    wait_ready(cluster, "writer")
    assert probe(cluster, "writer", "write", "/data/word", "kept")[0] == 0
    cluster.kubectl(f"delete pod writer --namespace={SPACE}")
    cluster.apply(*within(_with_volume("reader")))
    wait_ready(cluster, "reader")
    assert probe(cluster, "reader", "read", "/data/word") == (0, "kept")
    assert one(cluster, "pod", "reader")["spec"]["nodeName"] == WORKER


def _with_volume(name: str) -> dict[str, Any]:
    body = lab.pod(name, "wait")
    body["spec"]["securityContext"] |= {"fsGroup": 2000}
    body["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "kept"}}]
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return body


def test_settings(cluster: Cluster) -> None:
    """A pod reads its ConfigMap and its Secret as files."""
    kept = {"apiVersion": "v1", "metadata": {"name": "settings"}}
    cluster.apply(
        *within(
            kept | {"kind": "ConfigMap", "data": {"plain": "open"}},
            kept | {"kind": "Secret", "stringData": {"hidden": "closed"}},
        )
    )
    body = lab.pod("informed", "wait")
    sources = [{"configMap": {"name": "settings"}}, {"secret": {"name": "settings"}}]
    body["spec"]["volumes"] = [{"name": "all", "projected": {"sources": sources}}]
    body["spec"]["containers"][0]["volumeMounts"] = [{"name": "all", "mountPath": "/settings"}]
    cluster.apply(*within(body))
    wait_ready(cluster, "informed")
    assert probe(cluster, "informed", "read", "/settings/plain") == (0, "open")
    assert probe(cluster, "informed", "read", "/settings/hidden") == (0, "closed")


def test_rollout(cluster: Cluster) -> None:
    """A new version replaces two pods one by one, with never fewer than two available; a broken one stops."""
    ready = {"httpGet": {"path": "/healthy", "port": 8080}, "periodSeconds": 2, "timeoutSeconds": 5}
    cluster.apply(*within(deployment("rolled", 2, template("rolled", "serve", "one", readinessProbe=ready))))
    _rolled(cluster, "one")
    cluster.apply(*within(deployment("rolled", 2, template("rolled", "serve", "two", readinessProbe=ready))))
    fewest = _rolled(cluster, "two")
    assert fewest == 2
    broken = template("rolled", "serve", "three", readinessProbe=ready, image="registry.example.internal/no")
    cluster.apply(*within(deployment("rolled", 2, broken)))
    lab.eventually(lambda: len(get(cluster, "pods --selector=app=rolled")) == 3, PATIENCE)
    assert one(cluster, "deployment", "rolled")["status"]["availableReplicas"] == 2
    cluster.kubectl(f"rollout undo deployment/rolled --namespace={SPACE}")
    _rolled(cluster, "two")


def _rolled(cluster: Cluster, text: str) -> int:
    """Wait for both pods with ``text``; the fewest that were available meanwhile, once two were."""
    fewest: list[int] = []

    def done() -> bool:
        status = one(cluster, "deployment", "rolled")["status"]
        fewest.append(status.get("availableReplicas", 0))
        pods = get(cluster, "pods --selector=app=rolled")
        said = [pod["spec"]["containers"][0]["command"][2] for pod in pods]
        return said == [text, text] and len(lab.ready(pods)) == 2

    lab.eventually(done, PATIENCE)
    return min(fewest)


def test_jobs(cluster: Cluster) -> None:
    """A job that works is complete, one that fails ends after its retries."""
    for name, code in (("works", "0"), ("fails", "3")):
        pod = template(name, "end", code)
        pod["spec"]["restartPolicy"] = "Never"
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
        cluster.apply(*within(body | {"spec": {"backoffLimit": 0, "template": pod}}))

    def ended() -> bool:
        return _conditions(cluster, "works") >= {"Complete"} and _conditions(cluster, "fails") >= {"Failed"}

    lab.eventually(ended, PATIENCE)


def _conditions(cluster: Cluster, job: str) -> set[str]:
    found = one(cluster, "job", job)["status"].get("conditions", [])
    return {item["type"] for item in found if item["status"] == "True"}


def test_admission(cluster: Cluster) -> None:
    """A privileged pod and one beyond the quota are refused, each with its reason."""
    body = lab.pod("mighty", "wait")
    body["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "claims"},
        "spec": {"hard": {"count/configmaps": "1"}},
    }
    cluster.apply(*within(quota))
    lab.eventually(lambda: "hard" in one(cluster, "resourcequota", "claims")["status"], PATIENCE)
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "too-much"}}
    assert "violates PodSecurity" in _refusal(cluster, body)
    assert "exceeded quota: claims" in _refusal(cluster, kept)
    cluster.kubectl(f"delete resourcequota claims --namespace={SPACE}")


def _refusal(cluster: Cluster, body: dict[str, Any]) -> str:
    document = json.dumps(within(body)[0])
    create = "kubectl --kubeconfig=/etc/kubernetes/admin.conf create --validate=false --filename=-"
    done = cluster.run(f"{create} 2>&1 <<'END'\n{document}\nEND", check=False)
    assert done.code != 0
    return done.out


def test_gpus_by_resource(cluster: Cluster) -> None:
    """Pods that ask for GPUs go where GPUs are; one that finds none waits and says why.

    The resource is advertised on the node by the API, a stand-in for the device plugin: it shows placement,
    not that a container sees a device.
    """
    patch = f'[{{"op":"add","path":"/status/capacity/{GPU}","value":"2"}}]'
    cluster.kubectl(f"patch node {WORKER} --subresource=status --type=json --patch='{patch}'")
    lab.eventually(lambda: _gpus(cluster) == "2", PATIENCE)
    asking = []
    for name, count in (("first", "1"), ("second", "1"), ("late", "1")):
        body = lab.pod(name, "wait")
        body["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": count}}
        asking.append(body)
    cluster.apply(*within(*asking[:2]))
    wait_ready(cluster, "first", "second")
    cluster.apply(*within(asking[2]))

    def refused() -> bool:
        conditions = one(cluster, "pod", "late")["status"].get("conditions", [])
        return any("Insufficient nvidia.com/gpu" in item.get("message", "") for item in conditions)

    lab.eventually(refused, PATIENCE)
    assert {one(cluster, "pod", name)["spec"]["nodeName"] for name in ("first", "second")} == {WORKER}
    cluster.kubectl(f"delete pod first --namespace={SPACE}")
    wait_ready(cluster, "late")


def _gpus(cluster: Cluster) -> str:
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")}
    return str(nodes[WORKER]["status"]["allocatable"].get("nvidia.com/gpu", "0"))
