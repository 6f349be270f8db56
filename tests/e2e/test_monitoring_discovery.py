"""What a real Prometheus finds in production's cluster with the rendered configuration and the rights of its
service account: every target that the inventory expects, with the labels that rules count on. Nothing answers
there, so only discovery is judged."""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from platforms import Platform

from bedplate import evidence
from bedplate.monitoring import expected, scrape
from bedplate.ports import free_port
from bedplate.rehearse.client import Object
from bedplate.tools import locate
from tests import monitoring_run as run

pytestmark = [pytest.mark.rehearsal, pytest.mark.long]
COMMAND = "pytest -m long tests/e2e/test_monitoring_discovery.py"
ACCOUNT = f"{scrape.NAMESPACE}/{scrape.PROMETHEUS}"
Labels = dict[str, str]
# verb, API group, resource, whether Prometheus may; the resource's subresource after a slash.
RIGHTS = [
    *((verb, "", resource, True) for verb in ("get", "list", "watch") for resource in ("nodes", "pods")),
    ("get", "", "nodes/metrics", True),
    *(
        ("list", "", resource, False)
        for resource in ("secrets", "configmaps", "services", "endpoints", "events")
    ),
    ("get", "", "nodes/proxy", False),
    ("create", "", "pods", False),
    ("create", "", "pods/exec", False),
    ("delete", "", "pods", False),
    ("patch", "", "nodes", False),
    ("list", "apps", "deployments", False),
    ("list", "rbac.authorization.k8s.io", "clusterroles", False),
    ("create", "", "serviceaccounts/token", False),
]


def proved(name: str, claim: str, value: evidence.Value, **more: str) -> None:
    evidence.record("lab", f"monitoring.{name}", claim, value, proved_on="rehearsal", command=COMMAND, **more)


def as_account(platform: Platform, folder: Path) -> Path:
    """A kubeconfig with a token of Prometheus' service account and nothing else."""
    namespace, _, name = ACCOUNT.partition("/")
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token = platform.api.create(path, asked)["status"]["token"]
    config = json.loads(platform.session.control_plane.kubeconfig.read_text())
    [user] = config["users"]
    user["user"] = {"token": token}
    file = folder / "prometheus.kubeconfig"
    file.write_text(json.dumps(config))
    return file


def here(config: dict[str, Any], kubeconfig: Path) -> dict[str, Any]:
    """The rendered configuration, asked of this API server from outside; nothing else of it is changed."""
    for job in config["scrape_configs"]:
        for discovery in job.get("kubernetes_sd_configs", []):
            discovery["kubeconfig_file"] = str(kubeconfig)
        for key in ("authorization", "tls_config"):  # files that lie in a pod
            job.pop(key, None)
    return config


@pytest.fixture(scope="module")
def found(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Labels]]]:
    """Job to labels of its targets, when all are there that are waited for."""
    work = tmp_path_factory.mktemp("discovery")
    inventory, web = platform.session.inventory, f"127.0.0.1:{free_port()}"
    program = run.prometheus(
        work / "prometheus", here(scrape.config(inventory), as_account(platform, work)), web
    )
    program.command[0] = str(locate.require("monitoring")["prometheus"])
    program.start()
    try:
        wanted = len(inventory.members("gpu_nodes"))
        run.wait(
            lambda: len(targets(web).get("dcgm", [])) >= wanted, 120, "Prometheus finds no dcgm-exporter"
        )
        yield targets(web)
    finally:
        program.end()


def targets(web: str) -> dict[str, list[Labels]]:
    with urllib.request.urlopen(f"http://{web}/api/v1/targets?state=active", timeout=30) as answer:
        active = json.load(answer)["data"]["activeTargets"]
    jobs: dict[str, list[Labels]] = {}
    for target in active:
        jobs.setdefault(target["scrapePool"], []).append(target["labels"])
    return jobs


def numbers(platform: Platform, what: str) -> dict[str, int]:
    """What the inventory expects: service to replicas."""
    return {
        record.labels["service"]: int(record.expr.removeprefix("vector(").removesuffix(")"))
        for record in expected.group(platform.session.inventory).records
        if record.name == f"bedplate:expected_{what}"
    }


def may(platform: Platform, verb: str, group: str, resource: str) -> bool:
    """What the API server says of one right of Prometheus' account, in every namespace."""
    name, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": subresource}
    review: Object = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{ACCOUNT.replace('/', ':')}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }
    answer = platform.api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_every_model_is_found_as_often_as_it_is_expected(
    found: dict[str, list[Labels]], platform: Platform
) -> None:
    for server in ("vllm", "triton"):
        seen = Counter(labels["service"] for labels in found[server])
        assert dict(seen) == numbers(platform, f"{server}_replicas")
        assert all(labels["node"] and labels["pod"] and labels["namespace"] for labels in found[server])


def test_every_host_has_its_exporters(found: dict[str, list[Labels]], platform: Platform) -> None:
    inventory = platform.session.inventory
    for job, group in (("dcgm", "gpu_nodes"), ("kubelet", "kubernetes"), ("node", "all")):
        assert sorted(labels["node"] for labels in found[job]) == sorted(inventory.groups[group])
    assert not [labels for labels in found["dcgm"] if "pod" in labels or "namespace" in labels]


def test_what_comes_later_is_found_by_its_label(found: dict[str, list[Labels]], platform: Platform) -> None:
    """Loki and the collectors of logs are named nowhere in the scrape configuration."""
    seen = Counter(labels["job"] for labels in found["pods"])
    assert seen["loki"] == 1
    nodes = len(platform.session.inventory.groups["kubernetes"])
    assert seen["log-collector"] >= nodes
    total = sum(map(len, found.values()))
    claim = "Targets that a real Prometheus finds of production by inventory and API, as its own account"
    proved("discovery.targets", claim, total, unit="targets")


def test_nothing_is_scraped_twice(found: dict[str, list[Labels]]) -> None:
    doubled = {
        job: [instance for instance, times in Counter(t["instance"] for t in labels).items() if times > 1]
        for job, labels in found.items()
    }
    assert {job: names for job, names in doubled.items() if names} == {}


def test_prometheus_may_do_this_and_nothing_more(platform: Platform) -> None:
    wrong = [
        (verb, resource)
        for verb, group, resource, wanted in RIGHTS
        if may(platform, verb, group, resource) is not wanted
    ]
    claim = f"Of {len(RIGHTS)} rights of Prometheus' account, those that are not as they should be"
    proved("discovery.rights", claim, len(wrong), unit="rights", goal="== 0")
    assert wrong == []
