"""Which entry of a port's GID table perftest and NCCL have to use. It is never a fixed number: VLANs add
entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MAPPED = "0000:0000:0000:0000:0000:ffff:"


@dataclass(frozen=True)
class Gid:
    """One entry: index, address, kind (RoCE v1, RoCE v2, IB) and the interface that it belongs to."""

    index: int
    address: str
    kind: str
    netdev: str


def choose(table: Sequence[Gid], netdev: str) -> int | None:
    """Index of the IPv4 entry of RoCE v2 on an interface; failing that any of RoCE v2; None when there is
    none."""
    mine = [gid for gid in table if gid.netdev == netdev and gid.kind == "RoCE v2"]
    ipv4 = [gid for gid in mine if gid.address.startswith(_MAPPED)]
    return next((gid.index for gid in (*ipv4, *mine)), None)
