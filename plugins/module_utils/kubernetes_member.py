"""How a host becomes a member of a cluster without ever losing one: a pure planner.

``kubeadm`` leaves a host half done when it is cut off, and its reset destroys a member's data. So two marks
stand on the host: ``begun`` is written before kubeadm starts on a host without any remnant, ``done`` when it
has ended well. Only what lies between the two may be reset. Standard library only, Python 3.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Step = Literal["reset", "begin", "run", "finish"]
# What kubeadm leaves on a host that is, or was, a member.
REMNANTS = (
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/pki/ca.key",
    "/var/lib/etcd/member",
    "/var/lib/kubelet/pki",
)


@dataclass(frozen=True)
class Host:
    """Marks of ours, and which of ``REMNANTS`` are there."""

    begun: bool = False
    done: bool = False
    remnants: Sequence[str] = ()


def plan(host: Host) -> tuple[list[Step], list[str]]:
    """Steps in their order (none: it is a member), and refusals; with one refusal nothing is done."""
    if host.done:
        return ([], []) if host.remnants else ([], [_lost()])
    if host.begun:
        return ["reset", "run", "finish"], []
    if host.remnants:
        return [], [_foreign(host.remnants)]
    return ["begin", "run", "finish"], []


def _foreign(remnants: Sequence[str]) -> str:
    return (
        f"the host has {', '.join(remnants)}: it is, or was, a member of a cluster that was not made here. "
        "Nothing of it is touched; if that is over, run kubeadm reset there"
    )


def _lost() -> str:
    return (
        "the host was a member and has lost what kubeadm made; nothing is made anew over it. Remove it from "
        "the cluster (kubectl delete node) and from etcd, run kubeadm reset there, remove the marks, and run "
        "this again"
    )
