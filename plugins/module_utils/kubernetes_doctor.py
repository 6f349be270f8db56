"""What is wrong with a cluster, in words and with a remedy: pure functions over what its own programs say.

Standard library only, Python 3.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

Object = Mapping[str, Any]
UTC = timezone.utc  # noqa: UP017  Python 3.9
CERTIFICATE_DAYS = 30  # kubeadm's last a year; a month is time to plan in
SNAPSHOT_HOURS = 26  # nightly ones, and two hours to be late
WAITS = timedelta(minutes=10)  # a pod may take so long to come up


def nodes(found: Sequence[Object], wanted: Sequence[str], version: str) -> list[str]:
    """Nodes that are missing, unknown to the inventory, not ready, under pressure, or of another version."""
    names = [node["metadata"]["name"] for node in found]
    said = [
        f"{name} is in the inventory and no node: playbooks/kubernetes.yml"
        for name in wanted
        if name not in names
    ]
    said += [
        f"{name} is a node and not in the inventory: add it, or playbooks/remove_node.yml -e node={name}"
        for name in names
        if name not in wanted
    ]
    for node in found:
        said += _node(node, version)
    return said


def _node(node: Object, version: str) -> list[str]:
    name, status = node["metadata"]["name"], node["status"]
    said = []
    for condition in status.get("conditions", []):
        kind, value = condition["type"], condition["status"]
        if kind == "Ready" and value != "True":
            said.append(f"{name} is not ready: {condition.get('message', '')}; journalctl -u kubelet there")
        elif kind.endswith("Pressure") and value == "True":
            said.append(
                f"{name} has {kind}: {condition.get('message', '')}; free some of it, pods are evicted"
            )
    have = status["nodeInfo"]["kubeletVersion"].lstrip("v")
    if have != version:
        said.append(
            f"{name} runs kubelet {have}, and version_kubernetes is {version}: "
            "playbooks/upgrade_kubernetes.yml"
        )
    if node.get("spec", {}).get("unschedulable"):
        said.append(f"{name} takes no pods: kubectl uncordon {name}, once it may")
    return said


def pods(found: Sequence[Object], now: datetime) -> list[str]:
    """Pods of the cluster's own that are not ready though they had time."""
    said = []
    for pod in found:
        ready = [c for c in pod["status"].get("conditions", []) if c["type"] == "Ready"]
        began = datetime.fromisoformat(pod["metadata"]["creationTimestamp"].replace("Z", "+00:00"))
        if pod["status"].get("phase") == "Succeeded" or now - began < WAITS:
            continue
        if not ready or ready[0]["status"] != "True":
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            said.append(f"pod {name} is not ready: kubectl -n {pod['metadata']['namespace']} describe pod")
    return said


def etcd(members: Sequence[Object], health: Sequence[Object], wanted: Sequence[str]) -> list[str]:
    """Members of etcd that are missing, too many, learners for ever, or silent."""
    names = [member.get("name", "") or "a member without a name" for member in members]
    said = [f"{name} is no member of etcd" for name in wanted if name not in names]
    said += [
        f"etcd counts on {name}, which is no host of control_plane: playbooks/remove_node.yml -e gone=true"
        for name in names
        if name not in wanted
    ]
    said += [f"{m['name']} is still learning: journalctl there" for m in members if m.get("isLearner")]
    answers = [one for one in health if one["health"]]
    if len(answers) < len(members):
        said.append(
            f"{len(answers)} of {len(members)} members of etcd answer; {len(members) // 2 + 1} have to, "
            "or nothing is written"
        )
    return said


def certificates(listed: Object, now: datetime) -> list[str]:
    """Certificates of kubeadm's that end soon (``kubeadm certs check-expiration --output=json``)."""
    said = []
    for one in [*listed.get("certificates", []), *listed.get("certificateAuthorities", [])]:
        end = datetime.fromisoformat(one["expirationDate"].replace("Z", "+00:00"))
        days = (end - now).days
        if days < CERTIFICATE_DAYS:
            said.append(f"certificate {one['name']} ends in {days} days: playbooks/rotate_certificates.yml")
    return said


def snapshots(times: Sequence[float], now: datetime) -> list[str]:
    """Whether there is a snapshot of etcd of last night (seconds since 1970 of each)."""
    if not times:
        return ["there is no snapshot of etcd: systemctl start etcd-snapshot.service"]
    hours = (now.timestamp() - max(times)) / 3600
    if hours > SNAPSHOT_HOURS:
        return [f"the newest snapshot of etcd is {hours:.0f} hours old: journalctl -u etcd-snapshot"]
    return []
