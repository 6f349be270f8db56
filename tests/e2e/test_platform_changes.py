"""What happens to running pods when something changes, on production's platform: a rotated secret, a changed
model over hosts, a group of hosts that somebody deleted, a host that is lost."""

from collections import Counter

import pytest
from platforms import Object, Platform, eventually, proved

from ai_platform.reading import read
from bedplate import stack_secrets
from bedplate.rehearse import nodes
from bedplate.rehearse.program import Run

pytestmark = pytest.mark.rehearsal
TEST = "test_platform_changes.py"
KEY = "vllm-api-key"
PATIENCE = 120.0  # seconds; a controller takes a host for lost after most of a minute
SERVING = "/api/v1/namespaces/serving"
GROUP = "/apis/apps/v1/namespaces/serving/statefulsets/vllm-r1-0"


def serving(platform: Platform, app: str) -> dict[str, Object]:
    """Pods of one kind of server that are not about to end, by their identity."""
    found = platform.api.items(f"{SERVING}/pods?labelSelector=app.kubernetes.io%2Fname%3D{app}")
    return {b["metadata"]["uid"]: b for b in found if "deletionTimestamp" not in b["metadata"]}


def ranks(platform: Platform) -> dict[str, Object]:
    """Pods of the model that spans two hosts."""
    found = serving(platform, "vllm").items()
    return {uid: b for uid, b in found if b["metadata"]["name"].startswith("vllm-r1-0-")}


def identity(platform: Platform) -> str:
    return str(platform.api.get(GROUP)["metadata"]["uid"])


def all_run(pods: dict[str, Object]) -> bool:
    return bool(pods) and all(body["status"]["phase"] == "Running" for body in pods.values())


def settled(platform: Platform) -> bool:
    """Everything that is served runs in its least number: autoscalers have had their say."""
    settings = read(platform.session.inventory)
    models = sum(service.replicas * service.layout.pipeline for service in settings.vllm)
    found = {"vllm": models, "triton": sum(service.replicas for service in settings.triton)}
    return all(
        len(pods) == count and all_run(pods)
        for pods, count in ((serving(platform, app), count) for app, count in found.items())
    )


def on_two_whole_hosts(platform: Platform) -> bool:
    found = ranks(platform)
    return len({body["spec"]["nodeName"] for body in found.values()}) == len(found) == 2 and all_run(found)


def up(platform: Platform) -> Run:
    run = platform.session.program.up(watch=platform.session.watcher())
    assert run.ok, (run.errors, run.stopped)
    return run


def test_a_rotated_secret_restarts_the_pods_that_use_it_and_no_other(platform: Platform) -> None:
    program, known = platform.session.program, platform.session.inventory
    assert eventually(lambda: settled(platform), PATIENCE)
    before, others, group = serving(platform, "vllm"), serving(platform, "triton"), identity(platform)
    old = platform.api.get(f"{SERVING}/secrets/{KEY}")["data"]
    stack_secrets.ensure(
        lambda arguments, text: program.call(*arguments, text=text),
        known.environment,
        known.shared["catalogue_secrets"],
        rotate=[KEY],
    )
    up(platform)
    assert platform.api.get(f"{SERVING}/secrets/{KEY}")["data"] != old
    assert eventually(lambda: settled(platform) and on_two_whole_hosts(platform), PATIENCE)
    kept = set(before) & set(serving(platform, "vllm"))
    claim = "Pods that a rotated key restarts, of those that use it"
    proved("changes.rotated", claim, len(before) - len(kept), TEST, unit="pods", goal=f"== {len(before)}")
    assert kept == set(), "pods that still have the old key"
    assert set(serving(platform, "triton")) == set(others)
    assert identity(platform) != group, "ranks start again together: their group is made anew"
    assert program.preview().ok


@pytest.mark.long
def test_a_changed_model_over_hosts_starts_again_as_a_whole(platform: Platform) -> None:
    before, others, group = ranks(platform), serving(platform, "vllm"), identity(platform)
    file = platform.session.inventory.path / "group_vars/all/platform.yml"
    text = file.read_text()
    assert text.count("context: 65536") == 1
    file.write_text(text.replace("context: 65536", "context: 32768"))
    changed = up(platform)
    assert eventually(lambda: on_two_whole_hosts(platform), PATIENCE)
    after = ranks(platform)
    same = len(set(before) & set(after))
    claim = "Ranks of a changed model over two hosts that still run as they were"
    proved("changes.model", claim, same, TEST, goal="== 0")
    assert not same
    assert identity(platform) != group
    assert all("--max-model-len=32768" in b["spec"]["containers"][0]["args"] for b in after.values())
    assert set(others) - set(before) == set(serving(platform, "vllm")) - set(after), "others were left alone"
    assert changed.changed == 1
    assert platform.session.program.preview().ok


@pytest.mark.long
def test_a_group_of_hosts_that_was_deleted_comes_back(platform: Platform) -> None:
    program, before = platform.session.program, ranks(platform)
    platform.api.delete(GROUP)
    assert eventually(lambda: not ranks(platform), PATIENCE)
    found = program.refresh()
    assert (found.ok, found.changed) == (True, 1), "a refresh finds what is gone"
    again = up(platform)
    assert again.changes.get("create") == 1
    assert eventually(lambda: on_two_whole_hosts(platform), PATIENCE)
    assert not set(before) & set(ranks(platform))
    claim = "Until a deleted group of two whole hosts is made again and Ready (times of pods scaled)"
    proved("changes.group", claim, again.seconds, TEST, unit="s")


def placed(platform: Platform) -> Counter[str]:
    """Running pods that are no daemons, by workload."""
    pods = platform.session.verdict().pods
    return Counter(pod.workload.name for pod in pods if pod.node and not pod.daemon)


@pytest.mark.long
def test_the_loss_of_a_host_turns_out_as_the_verdict_says(platform: Platform) -> None:
    """A host of the model over two hosts is taken away, and comes back."""
    told, before = platform.session.verdict(), placed(platform)
    lost = next(loss for loss in told.losses if any(p.workload.name == "vllm-r1-0" for p in loss.moved))
    (body,) = [n for n in nodes.nodes(platform.session.inventory) if n["metadata"]["name"] == lost.node]
    wanted = before - Counter(pod.workload.name for pod in lost.waiting)
    platform.api.delete(f"/api/v1/nodes/{lost.node}")
    try:
        assert eventually(
            lambda: lost.node not in {pod.node for pod in platform.session.verdict().pods}, PATIENCE
        )
        eventually(lambda: placed(platform) == wanted, PATIENCE)
        missing = sum((wanted - placed(platform)).values())
        claim = f"Pods of {len(lost.moved)} on a lost host that ended otherwise than the verdict had said"
        proved("changes.loss", claim, missing, TEST, goal="== 0")
        assert placed(platform) == wanted
    finally:
        platform.api.create("/api/v1/nodes", body)
