"""How a host leaves a cluster: what is done, and what is refused."""

import json
from typing import Any

import pytest
from kubernetes_removal import Cluster, plan, read, words

THREE = {"a": "1f", "b": "2", "c": "3"}


def told(node: str, members: dict[str, str], healthy: list[str]) -> str:
    """As the shell of the role puts it together."""
    listed = [
        {"name": name, "ID": int(number, 16), "clientURLs": [f"https://{name}:2379"]}
        for name, number in members.items()
    ]
    health = [{"endpoint": f"https://{name}:2379", "health": name in healthy} for name in members]
    return f"{node}\n---\n{json.dumps({'members': listed})}\n{json.dumps(health)}\n"


def test_what_a_member_said_is_read() -> None:
    assert read(told("node/a", THREE, ["a", "c"])) == Cluster(True, THREE, ("a", "c"))
    assert read(told("", THREE, [])).node is False


@pytest.mark.parametrize("text", ["", "node/a\n---\nError: deadline", "node/a\n---\n"])
def test_silence_is_no_answer(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        read(text)


@pytest.mark.parametrize(
    ("host", "cluster", "gone", "steps"),
    [
        ("w", Cluster(True, THREE, ("a", "b", "c")), False, ["drain", "reset", "delete"]),
        ("w", Cluster(False, THREE, ("a", "b", "c")), False, ["reset"]),
        ("w", Cluster(True, THREE, ("a",)), True, ["delete"]),
        ("c", Cluster(True, THREE, ("a", "b", "c")), False, ["drain", "reset", "delete"]),
        ("c", Cluster(True, THREE, ("a", "b")), True, ["forget", "delete"]),
        ("c", Cluster(False, THREE, ("a", "b")), True, ["forget"]),
        ("b", Cluster(True, {"a": "1", "b": "2"}, ("a", "b")), False, ["drain", "reset", "delete"]),
    ],
)
def test_steps(host: str, cluster: Cluster, gone: bool, steps: list[str]) -> None:
    others = [name for name in THREE if name != host]
    assert plan(host, others, cluster, gone, words(host)) == (steps, [])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"others": []}, "only member of the control plane"),
        ({"cluster": Cluster(True, THREE, ("c",))}, "0 of the 2 members of etcd that are left"),
        ({"cluster": Cluster(True, THREE, ("a", "c"))}, "1 of the 2 members of etcd that are left"),
        ({"cluster": Cluster(True, {"c": "3"}, ("c",))}, "0 of the 0 members of etcd that are left"),
        ({"confirm": ""}, 'etcd goes from 3 members to 2. If that is wanted: -e confirm="remove c"'),
        ({"confirm": "remove b"}, '-e confirm="remove c"'),
    ],
)
def test_refusals(change: dict[str, Any], says: str) -> None:
    wish: dict[str, Any] = {
        "host": "c",
        "others": ["a", "b"],
        "cluster": Cluster(True, THREE, ("a", "b", "c")),
        "gone": False,
        "confirm": "remove c",
    }
    steps, refusals = plan(**wish | change)
    assert not steps and says in refusals[0]
