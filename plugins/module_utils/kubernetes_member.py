"""How a host becomes a member of a cluster without ever losing one: a pure planner.

``kubeadm`` leaves a host half done when it is cut off, and its reset destroys a member's data. So two marks
stand on the host: ``begun`` is written before kubeadm starts on a host without any remnant, ``done`` when it
has ended well. Only what lies between the two may be reset. Standard library only, Python 3.9.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Optional

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


# Values of kubeadm's configuration that nobody may see, in whatever it or we say.
SECRETS = re.compile(r"(?:tlsBootstrapToken|certificateKey|token): *[\"']?([^\s\"'}]+)")
# What kubeadm says, and what it means here (its own words come after it).
MEANINGS = (
    (
        r"Unauthorized|token ID .* (?:was not found|is expired|not found)|bootstrap token .* expired",
        "the cluster does not take the credentials: they were over before the host had joined. They are made "
        "anew in every run; run it again, and raise the seconds that they live if it takes that long",
    ),
    (
        r"certificate signed by unknown authority|certificate is not trusted",
        "the API that answers has another authority than the cluster that was asked for credentials: the "
        "endpoint leads to another cluster",
    ),
    (
        r"certificate-key|certificate key|could not decode .*kubeadm-certs|[Ss]ecret .*kubeadm-certs",
        "the cluster's keys for another member were gone: kubeadm keeps them for two hours. Run it again",
    ),
    (
        r"connection refused|i/o timeout|no route to host|deadline exceeded",
        "the API was not reached; look at where it is found (kubernetes_control_plane_endpoint), and at the "
        "firewall",
    ),
)


@dataclass(frozen=True)
class Host:
    """Marks of ours, and which of ``REMNANTS`` are there. ``known``: whether the cluster has it as a node,
    None where nobody asked; ``same``: whether it trusts the authority of that cluster."""

    begun: bool = False
    done: bool = False
    remnants: Sequence[str] = ()
    known: Optional[bool] = None  # noqa: UP045  evaluated by Python 3.9
    same: bool = True


def plan(host: Host) -> tuple[list[Step], list[str]]:
    """Steps in their order (none: it is a member), and refusals; with one refusal nothing is done."""
    if host.done:
        refusals = [] if host.remnants else [_lost()]
        return [], refusals or ([] if host.known in (None, True) else [_elsewhere(host.same)])
    if host.begun:
        return ["reset", "run", "finish"], []
    if host.remnants:
        return [], [_foreign(host.remnants)]
    return ["begin", "run", "finish"], []


def meaning(said: str) -> str:
    """What kubeadm's last words mean; empty where they speak for themselves."""
    return next((text for pattern, text in MEANINGS if re.search(pattern, said)), "")


def _elsewhere(same: bool) -> str:
    if same:
        return (
            "the host was a node of this cluster, and somebody has deleted it there. What it has is not "
            "trusted again: playbooks/remove_node.yml for it, then this again"
        )
    return (
        "the host is a node of another cluster, whose authority it trusts. Take it out of that one first, "
        "with the inventory of that one: playbooks/remove_node.yml"
    )


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
