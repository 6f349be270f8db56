"""What is wrong with a cluster is found, and nothing else."""

from datetime import datetime, timedelta
from typing import Any

import kubernetes_doctor as doctor
import pytest

NOW = datetime(2026, 11, 23, 12, tzinfo=doctor.UTC)
OLD = "2026-11-23T08:00:00Z"


def node(
    name: str = "a", *, version: str = "v1.37.0", off: bool = False, **conditions: str
) -> dict[str, Any]:
    kinds = {"Ready": "True", "DiskPressure": "False"} | conditions
    return {
        "metadata": {"name": name},
        "spec": {"unschedulable": True} if off else {},
        "status": {
            "nodeInfo": {"kubeletVersion": version},
            "conditions": [{"type": k, "status": v, "message": "why"} for k, v in kinds.items()],
        },
    }


def pod(ready: str | None, phase: str = "Running", made: str = OLD) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "kube-system", "creationTimestamp": made},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}] if ready else []},
    }


def member(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


def ends(name: str, days: float) -> dict[str, Any]:
    return {"name": name, "expirationDate": (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")}


WELL = [{"health": True}, {"health": True}, {"health": True}]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (doctor.nodes([node()], ["a"], "1.37.0"), None),
        (doctor.nodes([node()], ["a", "b"], "1.37.0"), "b is in the inventory and no node"),
        (doctor.nodes([node("x")], [], "1.37.0"), "remove_node.yml -e node=x"),
        (doctor.nodes([node(Ready="Unknown")], ["a"], "1.37.0"), "a is not ready: why"),
        (doctor.nodes([node(DiskPressure="True")], ["a"], "1.37.0"), "a has DiskPressure"),
        (doctor.nodes([node(version="v1.36.2")], ["a"], "1.37.0"), "a runs kubelet 1.36.2"),
        (doctor.nodes([node(off=True)], ["a"], "1.37.0"), "kubectl uncordon a"),
        (doctor.pods([pod("True")], NOW), None),
        (doctor.pods([pod("False")], NOW), "pod kube-system/p is not ready"),
        (doctor.pods([pod(None)], NOW), "pod kube-system/p is not ready"),
        (doctor.pods([pod("False", "Succeeded")], NOW), None),
        (doctor.pods([pod("False", made="2026-11-23T11:55:00Z")], NOW), None),
        (doctor.etcd([member("a"), member("b"), member("c")], WELL, ["a", "b", "c"]), None),
        (doctor.etcd([member("a")], WELL[:1], ["a", "b"]), "b is no member of etcd"),
        (doctor.etcd([member("a"), member("z")], WELL[:2], ["a"]), "etcd counts on z"),
        (doctor.etcd([member("a", isLearner=True)], WELL[:1], ["a"]), "a is still learning"),
        (
            doctor.etcd(
                [member("a"), member("b"), member("c")], [*WELL[:2], {"health": False}], ["a", "b", "c"]
            ),
            "2 of 3 members of etcd answer; 2 have to",
        ),
        (doctor.certificates({"certificates": [ends("apiserver", 200)]}, NOW), None),
        (doctor.certificates({"certificates": [ends("apiserver", 29.5)]}, NOW), "apiserver ends in 29 days"),
        (doctor.certificates({"certificateAuthorities": [ends("ca", 3)]}, NOW), "ca ends in 3 days"),
        (doctor.snapshots([NOW.timestamp() - 3600, 0], NOW), None),
        (doctor.snapshots([], NOW), "there is no snapshot of etcd"),
        (doctor.snapshots([NOW.timestamp() - 27 * 3600], NOW), "27 hours old"),
    ],
)
def test_findings(found: list[str], says: str | None) -> None:
    assert len(found) == (says is not None), found
    assert says is None or says in found[0]
