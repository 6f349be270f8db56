"""The two ends of a permitted direction, as flows name them and network policies select them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """Pods of ``app`` (and ``instance``) in ``namespace``; without an app, every pod of it. Without a
    namespace it is what lies outside the cluster's pods: host networks, the API server, services of the
    site; with ``excluded`` networks, only what has an address elsewhere."""

    namespace: str = ""
    app: str = ""
    instance: str = ""
    excluded: tuple[str, ...] = ()

    @property
    def outside(self) -> bool:
        """True for what no pod selector can name."""
        return not self.namespace


@dataclass(frozen=True)
class Flow:
    """One permitted direction; an empty ``ports`` permits all of them (NCCL and Gloo choose at random)."""

    source: Peer
    target: Peer
    ports: tuple[int, ...]
    why: str
    protocols: tuple[str, ...] = ("TCP",)


OUTSIDE = Peer()
