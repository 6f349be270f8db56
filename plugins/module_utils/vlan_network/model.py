"""The words that the planner speaks."""

from __future__ import annotations

from dataclasses import dataclass, field

NETWORKD, NETPLAN = "networkd", "netplan"
NIC, BOND, VLAN = "nic", "bond", "vlan"
PREFIX = "05-bedplate"  # the first file that matches a device wins: installers begin at 10
FOLDERS = {NETWORKD: "/etc/systemd/network", NETPLAN: "/etc/netplan"}


@dataclass(frozen=True)
class Refusal:
    """Something that keeps the network from being configured: ``what`` it is about, why, and what to do."""

    what: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. {self.remedy}"


@dataclass(frozen=True)
class Route:
    """A route of the main table; ``to`` is a network in CIDR notation (0.0.0.0/0, ::/0: everything else)."""

    to: str
    via: str
    metric: int


@dataclass(frozen=True)
class Device:
    """One device as it shall be. ``parent`` of a VLAN is the device below it, of a NIC the bond that it
    belongs to.
    """

    name: str
    kind: str
    mtu: int
    mac: str = ""
    parent: str = ""
    members: tuple[str, ...] = ()
    vlan: int = 0
    mode: str = ""
    addresses: tuple[str, ...] = ()  # with prefix length
    routes: tuple[Route, ...] = ()
    networks: tuple[str, ...] = ()  # names of the networks whose addresses it carries
    dns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Desired:
    """All devices of a host that are ours: NICs, then bonds, then VLANs."""

    backend: str
    devices: tuple[Device, ...]

    def device(self, name: str) -> Device | None:
        """The device called ``name``, or None where it is not ours."""
        return next((device for device in self.devices if device.name == name), None)

    def above(self, name: str) -> tuple[Device, ...]:
        """Devices that stand directly on ``name``: its VLANs, or the bond that it is a member of."""
        return tuple(d for d in self.devices if (d.parent == name and d.kind == VLAN) or name in d.members)


@dataclass(frozen=True)
class Live:
    """One device as it is. ``kind`` is the kernel's word for a virtual device, ``nic`` for hardware; ``mac``
    is the permanent address; ``max_mtu`` 0 where the kernel names none; ``bond`` holds the options of a bond.
    """

    name: str
    kind: str
    mac: str = ""
    mtu: int = 1500
    max_mtu: int = 0
    parent: str = ""
    master: str = ""
    vlan: int = 0
    bond: dict[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    up: bool = True
    carrier: bool = True


@dataclass(frozen=True)
class LiveRoute:
    """One route of the main table as it is."""

    to: str
    via: str
    device: str
    metric: int = 0


@dataclass(frozen=True)
class Owner:
    """Another program that configures a device: its ``file`` mentions ``device`` (name or MAC address)."""

    program: str
    file: str
    device: str
    remedy: str


@dataclass(frozen=True)
class WayIn:
    """The connection that brought us here: ``local`` is our address, ``client`` the controller's as the host
    sees it.
    """

    interface: str
    local: str
    client: str


@dataclass(frozen=True)
class Observed:
    """The host as it is. ``files`` holds the back end's folder, path to content; ``claims`` says for each of
    those files which devices it configures (names, MAC addresses, shell patterns); ``networkd`` whether that
    service runs.
    """

    devices: dict[str, Live]
    routes: tuple[LiveRoute, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    claims: dict[str, tuple[str, ...]] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()
    way_in: WayIn | None = None
    networkd: bool = True


@dataclass(frozen=True)
class Write:
    """One file: what it holds (None: not there) and what it shall hold (None: removed)."""

    path: str
    before: str | None
    after: str | None
    mode: str


@dataclass(frozen=True)
class Action:
    """One step on the host: ``commands`` as they are run, ``says`` in words for people. ``boot``: also when
    the old configuration is put back while the host boots, before any device is configured.
    """

    says: str
    commands: tuple[tuple[str, ...], ...]
    boot: bool = False


@dataclass(frozen=True)
class Plan:
    """What to do, in order: write the files, then the actions. ``undo`` are the actions that follow once the
    old files are back. ``cuts`` says why the controller may lose its connection; empty when it cannot.
    """

    refusals: tuple[Refusal, ...] = ()
    writes: tuple[Write, ...] = ()
    actions: tuple[Action, ...] = ()
    undo: tuple[Action, ...] = ()
    touched: tuple[str, ...] = ()
    cuts: str = ""

    @property
    def empty(self) -> bool:
        """Nothing to do: what idempotent means."""
        return not (self.refusals or self.writes or self.actions)
