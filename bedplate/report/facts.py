"""What the inventory says about hosts, as typed records. Pure and tolerant: what is missing or of the wrong
type is left out (``bedplate check`` is what complains about it)."""

from dataclasses import dataclass, replace
from typing import Any

from bedplate.inventory import Inventory, Vars
from bedplate.report import units

RACK_UNITS = 42  # EIA-310: a full rack
STRUCTURAL_GROUPS = {"all", "ungrouped", "kubernetes"}


@dataclass(frozen=True)
class Disk:
    """One disk; ``size`` in bytes, ``system`` where the operating system lives."""

    serial: str
    kind: str
    size: int
    system: bool = False


@dataclass(frozen=True)
class Tier:
    """One storage tier with the disks that it takes; ``level`` is ``RAID 5``, or empty for a single disk."""

    name: str
    kind: str
    level: str
    disks: tuple[Disk, ...]
    mount: str
    encrypted: bool
    promise: tuple[tuple[str, Any], ...]

    @property
    def raw(self) -> int:
        """Bytes on all members."""
        return sum(disk.size for disk in self.disks)

    @property
    def usable(self) -> int:
        """Bytes that the array holds: every member counts as much as the smallest one."""
        members = len(self.disks)
        data = {"RAID 1": 1, "RAID 5": members - 1, "RAID 6": members - 2, "RAID 10": members / 2}
        return int(max(data.get(self.level, members), 0) * min((d.size for d in self.disks), default=0))


@dataclass(frozen=True)
class Network:
    """One network of the site; ``vlan`` is None where it travels untagged."""

    name: str
    vlan: int | None
    subnet: str
    gateway: str
    mtu: int | None
    zone: str


@dataclass(frozen=True)
class Nic:
    """One network card's port."""

    name: str
    speed: str
    kind: str
    mac: str = ""


@dataclass(frozen=True)
class Link:
    """What carries networks: one NIC, or a bond of several with its mode."""

    name: str
    nics: tuple[Nic, ...]
    networks: tuple[Network, ...]
    mode: str = ""


@dataclass(frozen=True)
class Host:
    """One host of the inventory. ``unit`` is its lowest rack unit, ``memory`` in bytes."""

    name: str
    groups: tuple[str, ...]
    rack: str
    unit: int
    height: int
    cpus: int
    memory: int
    gpu_model: str
    gpu_count: int
    disks: tuple[Disk, ...]
    tiers: tuple[Tier, ...]
    nics: tuple[Nic, ...]
    links: tuple[Link, ...]
    addresses: tuple[tuple[str, str], ...]

    @property
    def spare_disks(self) -> tuple[Disk, ...]:
        """Disks that no tier takes and no system lives on."""
        taken = {disk for tier in self.tiers for disk in tier.disks}
        return tuple(disk for disk in self.disks if disk not in taken and not disk.system)

    @property
    def spare_nics(self) -> tuple[Nic, ...]:
        """Ports that carry nothing."""
        used = {nic.name for link in self.links for nic in link.nics}
        return tuple(nic for nic in self.nics if nic.name not in used)


def hosts_of(inventory: Inventory) -> tuple[Host, ...]:
    """All hosts in inventory order."""
    groups: dict[str, list[str]] = {}
    for group, members in inventory.groups.items():
        if group not in STRUCTURAL_GROUPS:
            for member in members:
                groups.setdefault(member, []).append(group)
    return tuple(_host(name, tuple(groups.get(name, ())), v) for name, v in inventory.hosts.items())


def networks_of(variables: Vars) -> tuple[Network, ...]:
    """The site's networks in the order in which they are written."""
    return tuple(
        Network(
            name=str(item.get("name", "")),
            vlan=_whole(item.get("vlan")) or None,
            subnet=str(item.get("subnet", "")),
            gateway=str(item.get("gateway", "")),
            mtu=_whole(item.get("mtu")) or None,
            zone=str(item.get("zone", "")),
        )
        for item in dicts(variables.get("site_networks"))
    )


def dicts(value: object) -> list[Vars]:
    """The dictionaries of a list; nothing for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _host(name: str, groups: tuple[str, ...], variables: Vars) -> Host:
    rack = _dict(variables.get("hardware_rack"))
    gpus = _dict(variables.get("hardware_gpus"))
    disks = tuple(_disk(item) for item in dicts(variables.get("hardware_disks")))
    nics = tuple(_nic(item) for item in dicts(variables.get("hardware_nics")))
    return Host(
        name=name,
        groups=groups,
        rack=str(rack.get("rack", "")),
        unit=_whole(rack.get("unit")),
        height=max(_whole(rack.get("height")), 1),
        cpus=_whole(variables.get("hardware_cpus")),
        memory=units.parse_bytes(variables.get("hardware_memory", "")),
        gpu_model=str(gpus.get("model", "")),
        gpu_count=_whole(gpus.get("count")),
        disks=disks,
        tiers=_tiers(dicts(variables.get("storage_tiers")), disks),
        nics=nics,
        links=_links(dicts(variables.get("vlan_network_links")), nics, _joined(variables)),
        addresses=_addresses(_dict(variables.get("vlan_network_addresses")), networks_of(variables)),
    )


def _addresses(wanted: Vars, networks: tuple[Network, ...]) -> tuple[tuple[str, str], ...]:
    order = {network.name: index for index, network in enumerate(networks)}
    names = sorted(wanted, key=lambda name: order.get(name, len(order)))
    return tuple((str(name), str(wanted[name])) for name in names)


def _disk(item: Vars) -> Disk:
    return Disk(
        serial=str(item.get("serial", "")),
        kind=str(item.get("class", "")),
        size=units.parse_bytes(item.get("size", "")),
        system=item.get("use") == "system",
    )


def _nic(item: Vars) -> Nic:
    return Nic(
        name=str(item.get("name", "")),
        speed=units.speed(item.get("speed", "")),
        kind=str(item.get("kind", "")),
        mac=str(item.get("mac", "")),
    )


def _tiers(wanted: list[Vars], disks: tuple[Disk, ...]) -> tuple[Tier, ...]:
    named = {str(serial) for item in wanted for serial in item.get("disks") or []}
    tiers = []
    for item in wanted:
        serials = {str(serial) for serial in item.get("disks") or []}
        members = tuple(
            disk
            for disk in disks
            if (
                disk.serial in serials
                if serials
                else not disk.system and disk.serial not in named and disk.kind == item.get("class")
            )
        )
        level = item.get("raid")
        tiers.append(
            Tier(
                name=str(item.get("name", "")),
                kind=str(item.get("class") or (members[0].kind if members else "")),
                level="" if level is None or len(members) == 1 else f"RAID {level}",
                disks=members,
                mount=str(item.get("mount", "")),
                encrypted=bool(item.get("encrypt")),
                promise=tuple(_dict(item.get("promise")).items()),
            )
        )
    return tuple(tiers)


def _joined(variables: Vars) -> tuple[Network, ...]:
    """The networks on which the host has an address: only those are set up on it."""
    addresses = _dict(variables.get("vlan_network_addresses"))
    return tuple(network for network in networks_of(variables) if network.name in addresses)


def _links(wanted: list[Vars], nics: tuple[Nic, ...], networks: tuple[Network, ...]) -> tuple[Link, ...]:
    by_nic = {nic.name: nic for nic in nics}
    by_network = {network.name: network for network in networks}
    links = []
    for item in wanted:
        ports = tuple(by_nic[str(n)] for n in item.get("nics") or [] if str(n) in by_nic)
        carried = tuple(by_network[str(n)] for n in item.get("networks") or [] if str(n) in by_network)
        links.append(Link(str(item.get("name", "")), ports, carried, str(item.get("mode", ""))))
    return tuple(links)


def without_serials(host: Host) -> Host:
    """The host's build without what makes it one machine: hosts that are alike become equal."""
    blank = tuple(replace(disk, serial="") for disk in host.disks)
    tiers = tuple(replace(t, disks=tuple(replace(d, serial="") for d in t.disks)) for t in host.tiers)
    nics = tuple(replace(nic, mac="") for nic in host.nics)
    links = tuple(replace(link, nics=tuple(replace(nic, mac="") for nic in link.nics)) for link in host.links)
    return replace(host, disks=blank, tiers=tiers, nics=nics, links=links)


def _dict(value: object) -> Vars:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
