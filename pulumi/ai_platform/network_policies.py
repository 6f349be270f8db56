"""NetworkPolicies from flows: deny everything, then one policy per pod selector and direction."""

from collections.abc import Container, Iterable, Sequence
from ipaddress import ip_network

from ai_platform import names
from ai_platform.manifest import Manifest
from ai_platform.peers import Flow, Peer

DNS_PORT = 53
BOTH = ("Ingress", "Egress")


def network_policies(
    namespaces: Iterable[str], flows: Sequence[Flow], nameless: Container[str] = ()
) -> list[Manifest]:
    """For every namespace a default deny, and DNS unless it is one of ``nameless``; for every end of a flow
    what lets it through."""
    wanted = list(namespaces)
    rendered = [_deny(name) for name in wanted] + [_dns(name) for name in wanted if name not in nameless]
    for peer in sorted({f.target for f in flows if f.target.namespace in wanted}, key=_name):
        rendered.append(_allow(peer, "Ingress", [f for f in flows if f.target == peer]))
    for peer in sorted({f.source for f in flows if f.source.namespace in wanted}, key=_name):
        rendered.append(_allow(peer, "Egress", [f for f in flows if f.source == peer]))
    return rendered


def _policy(name: str, namespace: str, spec: Manifest, why: str) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": names.metadata(
            name, namespace, labels=names.labels("guardrails"), annotations={names.REASON: why}
        ),
        "spec": spec,
    }


def _deny(namespace: str) -> Manifest:
    spec: Manifest = {"podSelector": {}, "policyTypes": list(BOTH)}
    return _policy("default-deny", namespace, spec, "what is not declared as a flow is denied")


def _dns(namespace: str) -> Manifest:
    servers = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": names.SYSTEM}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    ports = [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
    spec: Manifest = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [servers], "ports": ports}],
    }
    return _policy("allow-dns", namespace, spec, "every pod may resolve names")


def _allow(peer: Peer, direction: str, flows: Sequence[Flow]) -> Manifest:
    other, key = ("source", "from") if direction == "Ingress" else ("target", "to")
    rules = []
    for flow in flows:
        rule: Manifest = {}
        end = getattr(flow, other)
        if not end.outside:
            rule[key] = [_selector(end)]
        elif end.excluded:
            rule[key] = _elsewhere(end.excluded)
        if flow.ports:
            rule["ports"] = [
                {"protocol": name, "port": port} for name in flow.protocols for port in flow.ports
            ]
        rules.append(rule)
    spec = {
        "podSelector": {"matchLabels": names.selector(peer.app, peer.instance)} if peer.app else {},
        "policyTypes": [direction],
        direction.lower(): rules,
    }
    name = f"{_name(peer)}-{direction.lower()}"
    why = "; ".join(dict.fromkeys(f.why for f in flows))
    return _policy(name, peer.namespace, spec, why)


def _selector(peer: Peer) -> Manifest:
    selector: Manifest = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peer.namespace}}
    }
    if peer.app:
        selector["podSelector"] = {"matchLabels": names.selector(peer.app, peer.instance)}
    return selector


def _elsewhere(excluded: Sequence[str]) -> list[Manifest]:
    """Every address but those of these networks."""
    whole = {4: "0.0.0.0/0", 6: "::/0"}
    return [
        {"ipBlock": {"cidr": cidr, "except": [n for n in excluded if ip_network(n).version == version]}}
        for version, cidr in whole.items()
    ]


def _name(peer: Peer) -> str:
    return "-".join(part for part in (peer.app or "all", peer.instance) if part)
