"""Components against Pulumi's mocks: what is sent, in which order, and that nothing secret is sent in
clear."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from ai_platform import daemons, names
from ai_platform.manifest import OWNED, create
from ai_platform.program import build, inventory_path
from ai_platform.reading import read
from ai_platform.secrets import Secrets
from bedplate import paths, stack_secrets
from bedplate.errors import BadInput
from bedplate.service_certificate import certificates
from tests.platform_samples import FILES, batch, host, inventory, onnx, triton, vllm
from tests.rendered import SECRET, Recorder, find, pod_specs, record

EVERYTHING: dict[str, Any] = {
    "vllm": [vllm(max_replicas=3), vllm(name="r1", model="deepseek-r1", hosts=2, gpus=8, replicas=2)],
    "triton": [triton(onnx(), gpus=1, max_replicas=4)],
    "batch": [batch(), batch(name="nightly", schedule="0 1 * * *")],
    "shared_files": FILES,
}


@cache
def everything() -> Recorder:
    return record(inventory(**EVERYTHING))


def test_no_secret_is_sent_in_clear() -> None:
    recorded = everything()
    for sent in recorded.sent:
        assert SECRET not in str(_outside_envelopes(sent)), sent["kind"]
    assert sum(SECRET in str(o) for o in recorded.objects) == 2  # one Secret of vLLM's, one of Triton's
    assert {o["metadata"]["name"] for o in recorded.objects if SECRET in str(o)} == {
        "vllm-api-key",
        "triton-admin-key",
    }


def _outside_envelopes(value: Any) -> Any:
    """What is left of a message when everything that is marked secret is taken out."""
    if isinstance(value, dict):
        if "4dabf18193072939515e22adb298388d" in value:
            return "secret"
        return {key: _outside_envelopes(item) for key, item in value.items()}
    return [_outside_envelopes(item) for item in value] if isinstance(value, list) else value


def test_a_missing_secret_is_refused_with_its_remedy() -> None:
    pulumi.runtime.set_mocks(Recorder())

    @pulumi.runtime.test
    def run() -> None:
        build(read(inventory(**EVERYTHING)), Secrets("sample", {}))

    with pytest.raises(BadInput) as refused:
        run()
    (finding,) = refused.value.findings
    assert finding.key in ("bedplate:vllm-api-key", "bedplate:triton-admin-key")
    assert finding.file == "pulumi/Pulumi.sample.yaml"
    assert "bedplate secrets -i inventories/sample" in finding.remedy


def test_a_model_over_hosts_is_placed_before_what_takes_part_of_a_host() -> None:
    recorded = everything()
    order = [f"{o['kind']}/{o['metadata']['name']}" for o in recorded.objects]
    groups = [order.index(f"StatefulSet/vllm-r1-{n}") for n in (0, 1)]
    assert groups == sorted(groups)
    for part in ("Deployment/vllm-chat", "Deployment/triton-search", "Job/evaluation"):
        assert max(groups) < order.index(part)


def test_everything_has_a_name_of_ours_and_is_sent_once() -> None:
    objects = everything().objects
    keys = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    assert len(keys) == len(set(keys))


def test_an_environment_that_serves_nothing_still_has_guardrails() -> None:
    objects = record(inventory()).objects
    assert not [o for o in objects if o["kind"] in ("Deployment", "StatefulSet") and "vllm" in str(o)]
    assert find(objects, "Namespace", names.SERVING)
    assert (
        find(objects, "ResourceQuota", "quota", names.BATCH)["spec"]["hard"]["requests.nvidia.com/gpu"]
        == "64"
    )


def test_quotas_hold_exactly_what_is_meant_to_run() -> None:
    hard = find(everything().objects, "ResourceQuota", "quota", names.SERVING)["spec"]["hard"]
    assert hard["requests.nvidia.com/gpu"] == str(3 * 1 + 2 * 2 * 8 + 4 * 1)


def test_batch_gives_way() -> None:
    objects = everything().objects
    for name, _, spec in pod_specs(objects):
        if name in ("Job/evaluation", "CronJob/nightly"):
            assert spec["priorityClassName"] == names.BACKGROUND
    classes = {o["metadata"]["name"]: o for o in objects if o["kind"] == "PriorityClass"}
    assert classes[names.BACKGROUND]["value"] < classes[names.INTERACTIVE]["value"]
    assert classes[names.BACKGROUND]["preemptionPolicy"] == "Never"
    (rule,) = find(objects, "Job", "evaluation")["spec"]["podFailurePolicy"]["rules"]
    assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


def test_mig_layouts_reach_the_program_that_cuts_gpus() -> None:
    objects = record(inventory(mig={"gpu_nodes": "h100-mixed"})).objects
    text = find(objects, "ConfigMap", "mig-layouts")["data"]["config.yaml"]
    assert "1g.10gb: 2" in text
    manager = find(objects, "DaemonSet", "mig-manager")["spec"]["template"]["spec"]
    (term,) = manager["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"][0]["values"] == [f"gpu{n}" for n in range(1, 9)]
    plugin = find(objects, "DaemonSet", "device-plugin")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "MIG_STRATEGY", "value": "mixed"} in plugin["env"]


def test_objects_are_sent_as_they_are() -> None:
    recorded: list[dict[str, Any]] = []

    class Keep(pulumi.runtime.Mocks):
        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            recorded.append(args.inputs)
            return args.name, args.inputs

        def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
            return {}

    pulumi.runtime.set_mocks(Keep())

    @pulumi.runtime.test
    def run() -> None:
        create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "x", "labels": {"keep_this": "andThis"}},
                "volumeBindingMode": "Immediate",
                "provisioner": "p",
            },
            pulumi.ResourceOptions(),
        )

    run()
    assert recorded == [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "x", "labels": {"keep_this": "andThis"}, "annotations": OWNED},
            "volumeBindingMode": "Immediate",
            "provisioner": "p",
        }
    ]


def test_stack_and_inventory_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEDPLATE_INVENTORY", raising=False)
    assert inventory_path("lab") == paths.INVENTORIES / "lab"
    monkeypatch.setenv("BEDPLATE_INVENTORY", str(paths.INVENTORIES / "lab"))
    with pytest.raises(BadInput, match="different names"):
        inventory_path("production")


CATALOGUE = {"a-key": {"bytes": 32}, "b-key": {"bytes": 16}}


@pytest.mark.parametrize(
    ("config", "rotate", "changes"),
    [
        ({}, [], [("a-key", "make", 0), ("b-key", "make", 0)]),
        ({"bedplate:a-key": {"secret": True}}, [], [("b-key", "make", 0)]),
        ({"bedplate:a-key": {}, "bedplate:b-key": {}}, [], []),
        ({"bedplate:a-key": {}, "bedplate:b-key": {}}, ["b-key"], [("b-key", "rotate", 1)]),
        (
            {"bedplate:a-key": {}, "bedplate:b-key": {}, "bedplate:b-key-generation": {"value": "4"}},
            ["b-key"],
            [("b-key", "rotate", 5)],
        ),
    ],
)
def test_secrets_are_made_once_and_rotated_by_name(config: Any, rotate: Any, changes: Any) -> None:
    found = stack_secrets.plan(CATALOGUE, config, rotate)
    assert [(c.name, c.action, c.generation) for c in found] == changes


def test_an_unknown_secret_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        stack_secrets.plan(CATALOGUE, {}, ["a-kye"])
    assert "`a-key`" in refused.value.findings[0].remedy


def test_a_secret_that_roles_use_too_is_that_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "state", lambda environment: tmp_path / environment)
    catalogue = {"new": {"bytes": 32, "file": "a/new"}, "there": {"bytes": 32, "file": "a/there"}}
    (tmp_path / "lab/a").mkdir(parents=True)
    (tmp_path / "lab/a/there").write_text("known\n")
    said: list[str | None] = []

    def run(arguments: list[str], text: str | None) -> str:
        said.append(text)
        return "{}"

    stack_secrets.ensure(run, "lab", catalogue, [])
    made = (tmp_path / "lab/a/new").read_text().strip()
    assert said == [None, made, "known"]
    assert (len(made) >= 43, (tmp_path / "lab/a/new").stat().st_mode & 0o777) == (True, 0o600)
    with pytest.raises(BadInput, match="others use it too"):
        stack_secrets.plan(catalogue, {}, ["there"])


def test_a_certificate_is_published_without_its_key_and_two_are_trusted_while_it_is_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "state", lambda environment: tmp_path / environment)
    catalogue = {"a-tls": {"names": ["a.svc"], "certificate": "platform/a.crt"}}
    file, kept = tmp_path / "lab/platform/a.crt", dict[str, str]()

    def run(arguments: list[str], text: str | None) -> str:
        key = next((word for word in arguments if word.startswith("bedplate:")), "")
        if text is not None:
            kept[key] = text
        return kept[key] if arguments[1] == "get" else json.dumps({name: {} for name in kept})

    def step(*rotate: str) -> tuple[list[str], list[str]]:
        done = stack_secrets.ensure(run, "lab", catalogue, rotate)
        assert "PRIVATE" not in file.read_text() and "PRIVATE" in kept["bedplate:a-tls"]
        return [change.action for change in done], certificates(file.read_text())

    made, first = step()
    rotated, both = step("a-tls")
    trimmed, second = step()
    assert (made, rotated, trimmed) == (["make"], ["rotate"], ["publish"])
    assert (len(first), both) == (1, second + first) and second == certificates(kept["bedplate:a-tls"])
    assert step() == ([], second)
    file.unlink()
    assert step() == (["publish"], second), "another controller gets it from the stack"


def test_values_go_to_pulumi_on_standard_input_only() -> None:
    calls: list[tuple[list[str], str | None]] = []

    def run(arguments: list[str], text: str | None) -> str:
        calls.append((arguments, text))
        return "{}"

    stack_secrets.ensure(run, "lab", CATALOGUE, [])
    values = [text for _, text in calls if text]
    assert [len(v) >= n for v, n in zip(values, (43, 22), strict=True)] == [True, True]
    assert values[0] != values[1]
    assert not any(value in argument for value in values for arguments, _ in calls for argument in arguments)


def test_pulumi_finds_the_virtual_environment_of_the_set_up() -> None:
    runtime = yaml.safe_load((paths.PULUMI / "Pulumi.yaml").read_text())["runtime"]
    assert (paths.PULUMI / runtime["options"]["virtualenv"]).resolve() == paths.ROOT / ".venv"


def test_a_rollout_over_more_hosts_may_take_longer() -> None:
    few, many = ({f"gpu{n}": host("h100-sxm5-80gb") for n in range(count)} for count in (2, 500))
    told = [daemons.rollout_seconds(read(inventory(hosts))) for hosts in (few, many)]
    assert told == [602, 1100]
