"""What the twin of an inventory consists of: pure functions from inventory to machines.

The manifest (`Spec.as_dict`) says for every disk the real serial, class and size and the size it was built
with, so that what `bedplate discover` reads on the twin can be held against the inventory.
"""

import re
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from bedplate import paths
from bedplate.errors import BadInput, Finding
from bedplate.inventory import Inventory, Vars
from bedplate.units import parse_bytes

MIB = 1024**2
GIB = 1024**3
SYSTEM_DISK = 8 * GIB  # sparse; holds the image and, later, container images
DATA_DISK_SCALE = 8000
# With a stripe mkfs.xfs makes eight groups, and its log of 64 MiB must fit into one: not below 560 MiB. The
# rest is room for the headers of md and LUKS.
DATA_DISK_MIN = 640 * MIB
DATA_DISK_MAX = 1 * GIB
DISK_CLASSES = ("nvme", "ssd", "hdd")


@dataclass(frozen=True)
class Disk:
    """A disk: the inventory's ``real_bytes`` and the ``bytes`` it has in the twin."""

    serial: str
    kind: str
    real_bytes: int
    bytes: int
    system: bool = False


@dataclass(frozen=True)
class Nic:
    """A network card; ``native`` names the network (or link) its untagged frames belong to, ``speed`` is
    Mbit/s.
    """

    name: str
    mac: str
    speed: int
    native: str


@dataclass(frozen=True)
class Management:
    """The way in: ``address`` of the host on ``subnet``, over ``nic``, tagged when ``vlan`` is set."""

    nic: str
    address: str
    subnet: str
    gateway: str
    vlan: int | None
    mtu: int

    @property
    def interface(self) -> str:
        """Address with prefix length, as networkd wants it."""
        return f"{self.address}/{IPv4Network(self.subnet).prefixlen}"


@dataclass(frozen=True)
class Machine:
    """One virtual machine."""

    name: str
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    management: Management

    def disk(self, serial: str) -> Disk:
        """The disk with this serial. Raises BadInput for an unknown one."""
        for disk in self.disks:
            if disk.serial == serial:
                return disk
        raise BadInput(_unknown(self.name, "serial", serial, [d.serial for d in self.disks if not d.system]))

    def nic(self, name: str) -> Nic:
        """The NIC with this name. Raises BadInput for an unknown one."""
        for nic in self.nics:
            if nic.name == name:
                return nic
        raise BadInput(_unknown(self.name, "NIC", name, [n.name for n in self.nics]))


@dataclass(frozen=True)
class Spec:
    """The whole twin of one environment."""

    environment: str
    machines: tuple[Machine, ...]

    def machine(self, name: str) -> Machine:
        """The machine of host ``name``. Raises BadInput for an unknown one."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise BadInput(_unknown(self.environment, "host", name, [m.name for m in self.machines]))

    def as_dict(self) -> dict[str, Any]:
        """The manifest, as written to ``machines.json``."""
        return asdict(self)


def from_dict(data: dict[str, Any]) -> Spec:
    """The Spec that ``as_dict`` wrote."""
    machines = tuple(
        Machine(
            name=m["name"],
            disks=tuple(Disk(**d) for d in m["disks"]),
            nics=tuple(Nic(**n) for n in m["nics"]),
            management=Management(**m["management"]),
        )
        for m in data["machines"]
    )
    return Spec(data["environment"], machines)


def parse_speed(text: str) -> int:
    """``100Gbit`` in Mbit/s. Raises ValueError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MG])bit\s*", str(text))
    if not match:
        raise ValueError(f"{text!r} is not a speed such as 25Gbit")
    return round(float(match[1]) * (1000 if match[2] == "G" else 1))


def scaled(real_bytes: int, *, system: bool = False) -> int:
    """Size of a disk in the twin: one 8,000th, between 640 MiB and 1 GiB, whole MiB; system disks all 8 GiB.

    Monotone, so a larger disk is never the smaller one in the twin.
    """
    if system:
        return SYSTEM_DISK
    wanted = real_bytes // DATA_DISK_SCALE // MIB * MIB
    return min(max(wanted, DATA_DISK_MIN), DATA_DISK_MAX)


def build(inventory: Inventory) -> Spec:
    """The twin of ``inventory``. Raises BadInput with everything that keeps a machine from being built."""
    findings: list[Finding] = []
    machines: list[Machine] = []
    for name, values in inventory.hosts.items():
        try:
            machines.append(_machine(inventory.path, name, values))
        except BadInput as error:
            findings += error.findings
    if not inventory.hosts:
        findings.append(
            Finding(_relative(inventory.path / "hosts.yml"), "all", "{}", "there is no host", "add a host")
        )
    if findings:
        raise BadInput(findings)
    return Spec(inventory.environment, tuple(machines))


def _machine(inventory: Path, name: str, values: Vars) -> Machine:
    wrong = _Wrong(_relative(inventory / "host_vars" / name))
    disks = tuple(_disk(d, i, wrong) for i, d in enumerate(values.get("hardware_disks", [])))
    if sum(d.system for d in disks) != 1:
        wrong(
            "hardware.yml", "hardware_disks", "exactly one disk carries the system", "mark one `use: system`"
        )
    nics = tuple(_nic(n, values, wrong) for n in values.get("hardware_nics", []))
    management = _management(values, wrong)
    if wrong.findings or management is None:
        raise BadInput(wrong.findings)
    return Machine(name, disks, nics, management)


def _disk(disk: Vars, index: int, wrong: "_Wrong") -> Disk:
    key = f"hardware_disks[{index}]"
    kind, system = str(disk.get("class", "")), disk.get("use") == "system"
    if kind not in DISK_CLASSES:
        wrong(
            "hardware.yml", f"{key}.class", "unknown class of disk", f"write {', '.join(DISK_CLASSES)}", kind
        )
    if not disk.get("serial"):
        wrong("hardware.yml", f"{key}.serial", "a disk is named by its serial", "write the serial")
    try:
        real = parse_bytes(disk.get("size", ""))
    except ValueError as error:
        wrong("hardware.yml", f"{key}.size", str(error), "write it with its unit", disk.get("size", ""))
        real = 0
    return Disk(str(disk.get("serial", "")), kind, real, scaled(real, system=system), system)


def _nic(nic: Vars, values: Vars, wrong: "_Wrong") -> Nic:
    name = str(nic.get("name", ""))
    link = next((x for x in values.get("vlan_network_links", []) if name in x["nics"]), {"name": name})
    networks = {n["name"]: n for n in values.get("site_networks", [])}
    untagged = [n for n in link.get("networks", []) if n in networks and not networks[n].get("vlan")]
    try:
        speed = parse_speed(nic.get("speed", "10Gbit"))
    except ValueError as error:
        wrong("hardware.yml", f"hardware_nics.{name}.speed", str(error), "write it with its unit")
        speed = 0
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", str(nic.get("mac", "")).lower()):
        wrong("hardware.yml", f"hardware_nics.{name}.mac", "not a MAC address", "write six bytes in hex")
    return Nic(name, str(nic.get("mac", "")).lower(), speed, untagged[0] if untagged else link["name"])


def _management(values: Vars, wrong: "_Wrong") -> Management | None:
    addresses = values.get("vlan_network_addresses", {})
    zone = [n for n in values.get("site_networks", []) if n.get("zone") == "management"]
    for network in (n for n in zone if n["name"] in addresses):
        for link in values.get("vlan_network_links", []):
            if network["name"] in link["networks"] and link["nics"]:
                return Management(
                    nic=link["nics"][0],
                    address=str(IPv4Address(addresses[network["name"]])),
                    subnet=network["subnet"],
                    gateway=network.get("gateway") or str(IPv4Network(network["subnet"])[1]),
                    vlan=network.get("vlan"),
                    mtu=network.get("mtu", 1500),
                )
    wrong(
        "network.yml",
        "vlan_network_addresses",
        "the host has no address on a network of zone management that one of its links carries",
        f"give it one on {' or '.join(n['name'] for n in zone) or 'a network of zone management'}",
        addresses,
    )
    return None


class _Wrong:
    """Collects what is wrong with one host."""

    def __init__(self, folder: str) -> None:
        self.findings: list[Finding] = []
        self._folder = folder

    def __call__(self, file: str, key: str, why: str, remedy: str, value: Any = "") -> None:
        self.findings.append(Finding(f"{self._folder}/{file}", key, str(value), why, remedy))


def _unknown(where: str, what: str, value: str, known: list[str]) -> Finding:
    return Finding(where, what, value, f"there is no such {what}", f"name one of: {', '.join(known)}")


def _relative(path: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(paths.ROOT) if resolved.is_relative_to(paths.ROOT) else path)
