"""Records of RDMA ports: what is wished of them and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INFINIBAND, ROCE = "infiniband", "roce"


@dataclass(frozen=True)
class Roce:
    """Quality of service of RoCE; host and switches must agree, and a mismatch is silent.

    ``dscp`` and ``priority`` mark the traffic, ``cnp_…`` the congestion notifications. Priority 3 with DSCP
    26 is what
    NVIDIA's network operator sets; the notification's DSCP differs between guides (4, 48): agree with the
    switches.
    """

    dscp: int = 26
    priority: int = 3
    cnp_dscp: int = 48
    cnp_priority: int = 6
    pfc: bool = True
    ecn: bool = True

    @property
    def traffic_class(self) -> int:
        """The IP traffic class: DSCP, and the two bits that say that the transport understands ECN (106 for
        26)."""
        return self.dscp << 2 | (2 if self.ecn else 0)


@dataclass(frozen=True)
class Soft:
    """A soft-RoCE device for hosts without a card: its name and the interface below it."""

    name: str
    nic: str


@dataclass(frozen=True)
class Wish:
    """Ports by kind (interface names), soft devices, and quality of service."""

    ports: Mapping[str, str] = field(default_factory=dict)
    soft: tuple[Soft, ...] = ()
    roce: Roce = field(default_factory=Roce)


@dataclass(frozen=True)
class Link:
    """An RDMA device as the kernel shows it: interface below it (empty for InfiniBand), and its state."""

    device: str
    netdev: str
    active: bool


@dataclass(frozen=True)
class Host:
    """What is there: RDMA devices, kinds of interfaces (ether, vlan, bond), and settings by interface.

    ``settings`` maps an interface to its values by name; one that the card does not have is not in it.
    """

    links: tuple[Link, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One setting of one interface: what it is, what it must be, and the command that makes it so."""

    nic: str
    what: str
    now: str
    want: str
    command: tuple[str, ...]

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.nic}: {self.what} {self.now or 'none'} -> {self.want}"
