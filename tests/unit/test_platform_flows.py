"""Network policies as a cluster reads them: who reaches whom, judged by the rules of the NetworkPolicy
API."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from ai_platform import names
from ai_platform.flows import flows
from ai_platform.namespaces import namespaces
from ai_platform.network_policies import network_policies
from ai_platform.reading import read
from tests.platform_samples import host, inventory, onnx, triton, vllm

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    namespace: str
    labels: tuple[tuple[str, str], ...]


def pod(namespace: str, app: str, instance: str = "x") -> Pod:
    return Pod(namespace, tuple(names.labels(app, instance).items()))


GATEWAY = pod(names.GATEWAY, "gateway")
PROMETHEUS = pod(names.MONITORING, "prometheus")
CHAT = pod(names.SERVING, "vllm", "chat")
R1, R1_OTHER = pod(names.SERVING, "vllm", "r1"), pod(names.SERVING, "vllm", "r1")
TRITON = pod(names.SERVING, "triton", "search")
JOB = pod(names.BATCH, "batch-inference")
STRANGER = pod("default", "anything")
DNS = Pod("kube-system", (("k8s-app", "kube-dns"),))
OUTSIDE = None  # an address that is no pod's
PLUGIN, DISCOVERY = pod(names.GPU, "device-plugin", ""), pod(names.GPU, "node-feature-discovery", "worker")

SERVED = {
    "vllm": [vllm(), vllm(name="r1", model="deepseek-r1", hosts=2, gpus=8)],
    "triton": [triton(onnx())],
}


@cache
def served() -> list[Manifest]:
    return policies(**SERVED)


def policies(**platform: Any) -> list[Manifest]:
    settings = read(inventory(**platform))
    return network_policies([space.name for space in namespaces(settings)], flows(settings))


def selects(selector: Manifest, target: Pod) -> bool:
    return set(selector.get("matchLabels", {}).items()) <= set(target.labels)


def peer_matches(peer: Manifest, other: Pod) -> bool:
    if "ipBlock" in peer:
        return False  # pods have addresses of the site's own networks, which such blocks leave out
    wanted = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    return other.namespace == wanted and selects(peer.get("podSelector", {}), other)


def one_side(all_policies: list[Manifest], side: str, here: Pod, other: Pod | None, port: int) -> bool:
    """The NetworkPolicy API: with any policy of this direction selecting the pod, some rule has to allow."""
    mine = [
        p["spec"]
        for p in all_policies
        if p["metadata"]["namespace"] == here.namespace
        and side in p["spec"]["policyTypes"]
        and selects(p["spec"]["podSelector"], here)
    ]
    if not mine:
        return True
    key = "from" if side == "Ingress" else "to"
    for rule in (rule for spec in mine for rule in spec.get(side.lower(), [])):
        peers = rule.get(key)
        peer_ok = peers is None or (other is not None and any(peer_matches(p, other) for p in peers))
        port_ok = "ports" not in rule or port in [p["port"] for p in rule["ports"]]
        if peer_ok and port_ok:
            return True
    return False


def reaches(all_policies: list[Manifest], source: Pod, target: Pod | None, port: int) -> bool:
    out = one_side(all_policies, "Egress", source, target, port)
    return out and (target is None or one_side(all_policies, "Ingress", target, source, port))


ALLOWED = [
    ("gateway to vLLM", GATEWAY, CHAT, 8000),
    ("gateway to the leader of a group", GATEWAY, R1, 8000),
    ("gateway to Triton HTTP", GATEWAY, TRITON, 8000),
    ("gateway to Triton gRPC", GATEWAY, TRITON, 8001),
    ("Prometheus to vLLM", PROMETHEUS, CHAT, 8000),
    ("Prometheus to Triton's metrics", PROMETHEUS, TRITON, 8002),
    ("rank to rank, NCCL's choice", R1, R1_OTHER, 41234),
    ("rank to rank, master port", R1, R1_OTHER, 29501),
    ("anyone to DNS", CHAT, DNS, 53),
    ("feature discovery to the API server", DISCOVERY, OUTSIDE, 6443),
]
DENIED = [
    ("a stranger to vLLM", STRANGER, CHAT, 8000),
    ("a stranger to Triton", STRANGER, TRITON, 8000),
    ("batch to vLLM, which knows no limits per client", JOB, CHAT, 8000),
    ("vLLM to another vLLM", CHAT, R1, 8000),
    ("vLLM to a group's master port", CHAT, R1, 29501),
    ("gateway to a group's master port", GATEWAY, R1, 29501),
    ("gateway to Triton's metrics", GATEWAY, TRITON, 8002),
    ("Prometheus to Triton's requests", PROMETHEUS, TRITON, 8000),
    ("Triton to vLLM", TRITON, CHAT, 8000),
    ("vLLM to the internet", CHAT, OUTSIDE, 443),
    ("vLLM to the API server", CHAT, OUTSIDE, 6443),
    ("Triton to the internet", TRITON, OUTSIDE, 443),
    ("batch to the internet", JOB, OUTSIDE, 443),
    ("batch to the API server", JOB, OUTSIDE, 6443),
    ("device plugin to anything", PLUGIN, OUTSIDE, 6443),
    ("feature discovery to other ports", DISCOVERY, OUTSIDE, 22),
    ("gateway to batch", GATEWAY, JOB, 8000),
    ("vLLM back to the gateway", CHAT, GATEWAY, 9080),
    ("vLLM to something else in kube-system", CHAT, Pod("kube-system", (("k8s-app", "other"),)), 53),
]


@pytest.mark.parametrize(("source", "target", "port"), [c[1:] for c in ALLOWED], ids=[c[0] for c in ALLOWED])
def test_allowed(source: Pod, target: Pod | None, port: int) -> None:
    assert reaches(served(), source, target, port)


@pytest.mark.parametrize(("source", "target", "port"), [c[1:] for c in DENIED], ids=[c[0] for c in DENIED])
def test_denied(source: Pod, target: Pod | None, port: int) -> None:
    assert not reaches(served(), source, target, port)


def test_every_namespace_denies_by_default() -> None:
    denying = {
        p["metadata"]["namespace"]
        for p in served()
        if p["spec"]["podSelector"] == {} and p["spec"]["policyTypes"] == ["Ingress", "Egress"]
    }
    assert denying == {space.name for space in namespaces(read(inventory(**SERVED)))}


def test_every_policy_says_why() -> None:
    assert all(p["metadata"]["annotations"][names.REASON] for p in served())


def test_names_are_unique() -> None:
    found = [(p["metadata"]["namespace"], p["metadata"]["name"]) for p in served()]
    assert len(found) == len(set(found))


def test_an_object_store_outside_opens_its_port_for_triton_only() -> None:
    store = {"endpoint": "https://s3.example.internal:9000", "bucket": "models"}
    opened = policies(**SERVED, object_store=store)
    assert reaches(opened, TRITON, OUTSIDE, 9000)
    assert not reaches(opened, TRITON, OUTSIDE, 443)
    assert not reaches(opened, CHAT, OUTSIDE, 9000)


def test_models_on_the_hosts_network_are_reached_at_the_hosts_addresses() -> None:
    hosts = {f"gpu{n}": host("h100-sxm5-80gb", kind="roce") for n in (1, 2)}
    opened = policies(hosts=hosts, vllm=[vllm(name="r1", model="deepseek-r1", hosts=2, gpus=8)])
    assert reaches(opened, GATEWAY, OUTSIDE, 8000)
    assert not reaches(served(), GATEWAY, OUTSIDE, 8000)
