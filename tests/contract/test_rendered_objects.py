"""The objects of all three environments, held against Kubernetes' schemas and the house's rules."""

import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest

from ai_platform import names
from ai_platform.reading import read
from tests.platform_samples import common
from tests.rendered import ENVIRONMENTS, environment, find, inventory, pod_specs

Manifest = dict[str, Any]
VERSION = ".".join(common()["version_kubernetes"].split(".")[:2])
RESTRICTED = (names.SERVING, names.BATCH, names.GATEWAY, names.MONITORING, names.BACKUP, names.DIFY)


def containers(spec: Manifest) -> Iterator[Manifest]:
    yield from spec.get("initContainers", [])
    yield from spec["containers"]


def workloads(env: str) -> list[tuple[str, str, Manifest, Manifest]]:
    """(namespace, kind/name, pod metadata, pod spec)."""
    objects = environment(env)
    namespace = {f"{o['kind']}/{o['metadata']['name']}": o["metadata"].get("namespace", "") for o in objects}
    return [(namespace[name], name, meta, spec) for name, meta, spec in pod_specs(objects)]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_kubernetes_own_schemas_accept_every_object(env: str) -> None:
    for manifest in environment(env):
        kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_image_is_pinned_and_from_the_environments_registry(env: str) -> None:
    registry = inventory(env).shared["platform_registry"]
    for _, name, _, spec in workloads(env):
        for container in containers(spec):
            assert container["image"].startswith(f"{registry}/"), name
            assert re.search(r":(?!latest)[\w.-]+(@sha256:[0-9a-f]{64})?$", container["image"]), name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_pods_of_restricted_namespaces_are_restricted(env: str) -> None:
    for namespace, name, _, spec in workloads(env):
        if namespace not in RESTRICTED:
            continue
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not any("hostPath" in volume for volume in spec["volumes"]), name
        for container in containers(spec):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_exception_from_restricted_has_its_reason(env: str) -> None:
    for o in environment(env):
        if o["kind"] == "Namespace":
            level = o["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
            reason = o["metadata"].get("annotations", {}).get(names.REASON, "")
            assert level == "restricted" or len(reason) > 20, o["metadata"]["name"]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_pod_knows_more_than_it_needs(env: str) -> None:
    speaks_to_the_api = {"node-feature-discovery-worker", "node-feature-discovery-master", "local-volumes"}
    speaks_to_the_api |= {"prometheus", "kube-state-metrics"}
    for _, name, _, spec in workloads(env):
        expected = name.partition("/")[2] in speaks_to_the_api
        assert spec["automountServiceAccountToken"] is expected, name
        assert spec["enableServiceLinks"] is False, name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_gpu_pod_says_whose_it_is_and_whether_it_gives_way(env: str) -> None:
    seen = 0
    for namespace, name, meta, spec in workloads(env):
        asks = any(names.GPU_RESOURCE in c.get("resources", {}).get("limits", {}) for c in containers(spec))
        if not asks:
            continue
        seen += 1
        assert meta["labels"][names.OWNER], name
        expected = names.BACKGROUND if namespace == names.BATCH else names.INTERACTIVE
        assert spec["priorityClassName"] == expected, name
        assert spec["runtimeClassName"] == names.RUNTIME_CLASS, name
        assert any(t["key"] == names.GPU_RESOURCE for t in spec["tolerations"]), name
    assert seen >= 3


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_services_disruption_budgets_and_autoscalers_name_what_exists(env: str) -> None:
    objects = environment(env)
    templates = [meta["labels"] for _, meta, _ in pod_specs(objects)]
    chosen_by_kubernetes = {"apps.kubernetes.io/pod-index"}
    for o in objects:
        if o["kind"] in ("Service", "PodDisruptionBudget"):
            selector = o["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            wanted = {k: v for k, v in wanted.items() if k not in chosen_by_kubernetes}
            assert any(wanted.items() <= labels.items() for labels in templates), o["metadata"]["name"]
        if o["kind"] == "HorizontalPodAutoscaler":
            target = o["spec"]["scaleTargetRef"]
            assert "replicas" not in find(objects, target["kind"], target["name"])["spec"]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_volumes_and_claims_belong_together(env: str) -> None:
    objects = environment(env)
    claims = {
        (o["metadata"]["namespace"], o["metadata"]["name"]): o["spec"]
        for o in objects
        if o["kind"] == "PersistentVolumeClaim"
    }
    for o in objects:
        if o["kind"] == "PersistentVolume":
            reference = o["spec"]["claimRef"]
            claim = claims[(reference["namespace"], reference["name"])]
            assert claim["volumeName"] == o["metadata"]["name"]
            assert claim["accessModes"] == o["spec"]["accessModes"]
    for namespace, name, _, spec in workloads(env):
        for volume in spec.get("volumes", []):
            if "persistentVolumeClaim" in volume:
                assert (namespace, volume["persistentVolumeClaim"]["claimName"]) in claims, name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_config_maps_that_pods_mount_are_sent(env: str) -> None:
    objects = environment(env)
    for namespace, _, _, spec in workloads(env):
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                find(objects, "ConfigMap", volume["configMap"]["name"], namespace)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_is_served_at_its_least_fits_the_environment(env: str) -> None:
    settings = read(inventory(env))
    least = sum(s.replicas * s.layout.gpus for s in settings.vllm)
    least += sum(s.replicas * s.gpus for s in settings.triton)
    assert least <= settings.gpus
