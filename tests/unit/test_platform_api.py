"""The API gateway as it would be sent: who may use what, refusals, and objects that its programs can read."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from ai_platform import api_objects, api_policy, names, vllm_objects
from ai_platform.flows import flows
from ai_platform.reading import read
from bedplate.api import asked
from bedplate.api import policy as gate
from bedplate.errors import BadInput
from bedplate.inventory import Inventory
from tests.data_samples import DATA
from tests.platform_samples import host, inventory, triton, vllm
from tests.rendered import SECRET, find, record

TIERS = [{"name": name, "class": "nvme", "count": 1} for name in ("hot", "warm", "cold")]
HOSTS = {f"gpu{n}": host("h100-sxm5-80gb", storage_tiers=TIERS) for n in range(1, 4)} | {"ctl1": host()}
EMBED = {
    "name": "embed",
    "backend": "python",
    "source": "triton/embed",
    "inputs": [{"name": "text", "type": "STRING", "dims": [1]}],
    "outputs": [{"name": "embedding", "type": "FP32", "dims": [1024]}],
}
SHARED = {
    "name": "assistant",
    "backends": [{"service": "chat", "weight": 90}, {"service": "next", "weight": 10, "canary": True}],
}
ISSUER = {"url": "https://sso.example", "audience": "bedplate", "keys": "https://sso.example/keys"}
ROLES = [
    {"name": "people", "models": ["assistant"], "groups": ["staff"], "limits": {"requests": 5}},
    {"name": "programs", "models": ["assistant", "search"]},
]
CONSUMERS = [
    {"name": "dify", "role": "programs", "secret": "gateway-dify-key"},
    {
        "name": "nightly",
        "role": "programs",
        "keys": [{"id": "one", "sha256": "a" * 64, "expires": "2027-01-31"}],
    },
]
API = {
    "replicas": 2,
    "outside": 30443,
    "issuer": ISSUER,
    "roles": ROLES,
    "consumers": CONSUMERS,
    "models": [SHARED],
}


def site(**api: Any) -> Inventory:
    served = [vllm(), vllm(name="next")]
    entry = {name: value for name, value in (API | api).items() if value is not None}
    return inventory(HOSTS, vllm=served, triton=[triton(EMBED)], data=DATA, api=entry)


@cache
def objects() -> tuple[dict[str, Any], ...]:
    return tuple(record(site()).objects)


def container(name: str) -> dict[str, Any]:
    spec = find(objects(), "Deployment", "gateway", names.GATEWAY)["spec"]["template"]["spec"]
    return next(one for one in spec["containers"] if one["name"] == name)


def test_what_the_gate_reads_is_what_was_written() -> None:
    document = json.loads(find(objects(), "ConfigMap", "gateway-policy")["data"]["policy.json"])
    keys = json.loads(find(objects(), "Secret", "gateway-keys")["stringData"]["keys.json"])
    found = gate.parse(document, keys)
    assert set(found.models) == {"assistant", "chat", "next", "search"}
    assert [(b.name, b.weight, b.canary) for b in found.models["assistant"].backends] == [
        ("vllm-chat", 90, False),
        ("vllm-next", 10, True),
    ]
    assert found.groups == {"staff": "people"} and found.roles["people"].limits.requests == 5
    assert found.keys[hashlib.sha256(SECRET.encode()).hexdigest()].consumer == "dify"
    assert found.keys["a" * 64].expires == "2027-01-31"


def test_no_object_of_the_gateway_holds_a_key() -> None:
    for one in objects():
        if one["metadata"].get("namespace") == names.GATEWAY and one["kind"] != "Secret":
            assert SECRET not in json.dumps(one)
    assert SECRET not in find(objects(), "Secret", "gateway-keys")["stringData"]["keys.json"]


def test_every_program_that_the_gate_imports_is_there() -> None:
    (programs,) = [o for o in objects() if o["metadata"]["name"].startswith("gateway-programs-")]
    for name, text in programs["data"].items():
        imported = {line.split()[1] for line in text.splitlines() if line.startswith("from bedplate.api.")}
        imported |= {
            f"bedplate.api.{word.strip()}"
            for line in text.splitlines()
            if line.startswith("from bedplate.api import")
            for word in line.partition("import")[2].split(",")
        }
        assert {f"{m.rpartition('.')[2]}.py" for m in imported} <= set(programs["data"]), name
        assert "from bedplate." not in text.replace("from bedplate.api", ""), name


def test_the_proxy_knows_every_pod_of_every_model() -> None:
    (config,) = [o for o in objects() if o["metadata"]["name"].startswith("gateway-proxy-")]
    clusters = {
        c["name"]: c for c in json.loads(config["data"]["envoy.json"])["static_resources"]["clusters"]
    }
    for service in ("chat", "next"):
        found = find(objects(), "Service", f"vllm-{service}-pods", names.SERVING)
        assert found["spec"]["clusterIP"] == "None"
        (one,) = clusters[f"vllm-{service}"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
        host = one["endpoint"]["address"]["socket_address"]["address"]
        assert host == f"vllm-{service}-pods.{names.SERVING}.svc.cluster.local"
    assert "triton-search" not in clusters, "the gate translates"


def test_a_service_answers_to_the_names_that_the_gateway_gives_it() -> None:
    settings = read(site())
    assert api_policy.also_known_as(settings, settings.vllm[1]) == ["assistant"]
    args = find(objects(), "Deployment", "vllm-next")["spec"]["template"]["spec"]["containers"][0]["args"]
    names_served = args[args.index("--served-model-name") + 1 :]
    assert names_served[:3] == ["next", settings.vllm[1].model.id, "assistant"]
    assert "assistant" not in vllm_objects.arguments(settings.vllm[1], 8000)


def test_two_replicas_one_may_be_away_and_answers_may_end() -> None:
    assert find(objects(), "Deployment", "gateway")["spec"]["replicas"] == 2
    assert find(objects(), "PodDisruptionBudget", "gateway-api")["spec"]["maxUnavailable"] == 1
    spec = find(objects(), "Deployment", "gateway")["spec"]["template"]["spec"]
    sleeps = [c["lifecycle"]["preStop"]["sleep"]["seconds"] for c in spec["containers"]]
    assert sleeps == [120, 130] and spec["terminationGracePeriodSeconds"] > max(sleeps)
    for one in ("gate", "proxy"):
        assert container(one)["securityContext"]["readOnlyRootFilesystem"]


def test_the_gateway_reaches_models_valkey_and_the_issuer_and_nobody_else() -> None:
    found = {
        (f.target.namespace or "outside", f.target.app, f.ports)
        for f in flows(read(site()))
        if f.source.namespace == names.GATEWAY
    }
    assert {("outside", "", (443,)), ("data", "valkey-cache", (6379,)), ("serving", "vllm", (8000,))} <= found
    assert {place for place, _, _ in found} <= {"outside", "data", "serving", "mlflow"}, "and people's pages"


def test_without_the_entry_there_is_nothing() -> None:
    bare = record(inventory(HOSTS, vllm=[vllm()], data=DATA)).objects
    assert not [o for o in bare if o["kind"] == "Deployment" and o["metadata"]["name"] == "gateway"]


def with_share(**more: Any) -> dict[str, Any]:
    return SHARED | {"backends": [{"service": "chat", "weight": 100} | more]}


WRONG: list[tuple[Mapping[str, Any], str, str]] = [
    ({"roles": [{"name": "people", "models": ["asistant"]}]}, "models", "nothing serves this model"),
    ({"issuer": None}, "groups", "nobody vouches for people's groups"),
    ({"roles": [*ROLES, ROLES[0]]}, "roles.name", "2 entries have it"),
    ({"roles": [*ROLES, {"name": "more", "models": [], "groups": ["staff"]}]}, "groups", "several roles"),
    ({"consumers": [{"name": "a", "role": "nobody", "secret": "gateway-a-key"}]}, "role", "no such role"),
    ({"consumers": [{"name": "a", "role": "programs"}]}, "consumers.a", "one of the two"),
    ({"consumers": [*CONSUMERS, CONSUMERS[1] | {"name": "other"}]}, "sha256", "2 entries have it"),
    ({"models": [with_share(weight=90)]}, "weight", "shares are of a hundred"),
    ({"models": [with_share(service="chatt")]}, "backends", "no such service"),
    ({"models": [with_share(canary=True)]}, "canary", "another has to be there"),
    ({"outside": 443}, "outside", "443"),
    (
        {"roles": [{"name": "people", "models": [], "limits": {"request": 5}}]},
        "limits.request",
        "no such setting",
    ),
    (
        {"consumers": [{"name": "a", "role": "programs", "keys": [{"id": "x", "sha256": "bp-plain"}]}]},
        "sha256",
        "",
    ),
    (
        {"consumers": [CONSUMERS[1] | {"keys": [{"id": "x", "sha256": "b" * 64, "expires": "2027-02-30"}]}]},
        "expires",
        "this is no day",
    ),
]


@pytest.mark.parametrize(("api", "key", "why"), WRONG)
def test_what_cannot_work_is_refused(api: Mapping[str, Any], key: str, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(site(**api))
    assert any(key in f.key and why in f.why for f in caught.value.findings), caught.value.findings


def test_the_gateway_s_limits_are_those_that_the_gate_knows() -> None:
    limits = api_policy.document(read(site()), read(site()).api)["roles"]["people"]["limits"]  # type: ignore[arg-type]
    assert gate.Limits(**limits).answer >= asked.DEFAULT_ANSWER
    assert api_objects.GRACE_SECONDS > api_objects.DRAIN_SECONDS
