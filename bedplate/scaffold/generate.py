"""Pure: answers to the files of an inventory, as data by path below the inventory's folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from bedplate.check.hosts import NODES
from bedplate.errors import BadInput, Finding
from bedplate.scaffold.answers import Answers, Disks, Machines, Net

Data = dict[str, Any]
Files = dict[str, "File"]

_SHORT = {"control_plane": "ctl", "gateways": "gw", "gpu_nodes": "gpu", "storage_nodes": "sto"}
_FIRST_ADDRESS = 10  # the first nine are left to gateways, switches, and the address of the cluster's API
_API_ADDRESS = 9
_RACK_UNITS = 40
_HEIGHTS = {"gpu_nodes": 8, "storage_nodes": 2}
_TIERS = {"nvme": "hot", "ssd": "warm", "hdd": "cold"}
_READ_IOPS = {
    "nvme": 500_000,
    "ssd": 100_000,
}  # what a hot and a warm tier are for (requirements of the platform)
_MIRRORED, _FEW = 2, 3
_LINKS_SAY = (
    "Which NIC, or bond of NICs, carries which networks. A network without a VLAN id travels untagged."
)


@dataclass(frozen=True)
class File:
    """One YAML file: the comment at its head and its variables."""

    says: str
    data: Data


def files(answers: Answers) -> Files:
    """Every file but the symbolic link to ``_common``. Raises BadInput where a subnet is too small."""
    hosts = list(_hosts(answers))
    _fits(answers, len(hosts))
    made = {
        "hosts.yml": File(f"The machines of {answers.environment}.", _groups(answers)),
        "group_vars/all/site.yml": File("What every machine of this environment shares.", _site(answers)),
        "group_vars/all/network.yml": File(
            _LINKS_SAY,
            {"vlan_network_links": _links()},
        ),
    }
    for group, kind in answers.machines.items():
        made[f"group_vars/{group}/hardware.yml"] = File("What all of them have.", _shared_hardware(kind))
        if kind.disks:
            made[f"group_vars/{group}/storage_tiers.yml"] = File("", {"storage_tiers": list(_tiers(kind))})
    if answers.machines["control_plane"].count > 1:
        address = str(ip_network(answers.cluster.subnet)[_API_ADDRESS])
        made["group_vars/control_plane/kubernetes.yml"] = File(
            "One of them has this address at a time; the API is found there.",
            {"kubernetes_control_plane_shared": {"address": address}},
        )
    for number, (name, group, index) in enumerate(hosts):
        hardware = _hardware(answers.machines[group], number)
        hardware["hardware_rack"] = _place(group, index)
        made[f"host_vars/{name}/hardware.yml"] = File(
            "Planned. `bedplate discover --write` puts what the machine really has in its place.", hardware
        )
        made[f"host_vars/{name}/network.yml"] = File(
            "", {"vlan_network_addresses": _addresses(answers, number)}
        )
    return made


def _hosts(answers: Answers) -> Iterator[tuple[str, str, int]]:
    """Name, group and number within the group of every machine."""
    for group in (g for g in _SHORT if g in answers.machines):
        for index in range(answers.machines[group].count):
            yield f"{answers.environment}-{_SHORT[group]}{index + 1}", group, index


def _groups(answers: Answers) -> Data:
    children: Data = {}
    for group, short in _SHORT.items():
        kind = answers.machines.get(group)
        span = f"[1:{kind.count}]" if kind and kind.count > 1 else "1"
        children[group] = {"hosts": {f"{answers.environment}-{short}{span}": None}} if kind else None
    if answers.combined:
        children["gateways"] = children["control_plane"]
    children["edge_nodes"] = None
    children["kubernetes"] = {"children": dict.fromkeys(NODES)}
    return {"all": {"children": children}}


def _site(answers: Answers) -> Data:
    zones = {"management": "management", "cluster": "compute", "business": "business"}
    networks = []
    for name, zone in zones.items():
        net: Net = getattr(answers, name)
        network: Data = {"name": name}
        network |= {"vlan": net.vlan} if net.vlan else {}
        network |= {"subnet": net.subnet}
        network |= {"gateway": net.gateway} if net.gateway else {}
        networks.append(network | {"mtu": 9000 if zone == "compute" else 1500, "zone": zone})
    return {
        "site_domain": answers.domain,
        "site_time_servers": list(answers.time_servers),
        "site_networks": networks,
    }


def _links() -> list[Data]:
    return [
        {"name": "mgmt0", "nics": ["mgmt0"], "networks": ["management"]},
        {"name": "data0", "nics": ["data0"], "networks": ["cluster", "business"]},
    ]


def _shared_hardware(kind: Machines) -> Data:
    data: Data = {"hardware_cpus": kind.cpus, "hardware_memory": kind.memory}
    return data | ({"hardware_gpus": {"model": kind.gpu, "count": kind.gpus}} if kind.gpus else {})


def _tiers(kind: Machines) -> Iterator[Data]:
    for name, disks in kind.disks.items():
        tier: Data = {
            "name": _TIERS[name],
            "class": name,
            "count": disks.count,
            "raid": _level(disks.count, name),
        }
        tier["mount"] = f"/srv/{_TIERS[name]}"
        if name in _READ_IOPS:
            tier["promise"] = {"read_iops": _READ_IOPS[name]}
        yield tier


def _level(count: int, kind: str) -> int:
    """One disk stands alone, two are mirrored, more have parity: two disks of it where rebuilds take days."""
    if count <= _MIRRORED:
        return count - 1
    return 6 if kind == "hdd" and count > _FEW else 5


def _hardware(kind: Machines, number: int) -> Data:
    """Disks and NICs of machine ``number``; both are numbered through the whole environment."""
    wanted = [("ssd", "480GB", True)]
    wanted += [(name, disks.size, False) for name, disks in kind.disks.items() for _ in range(disks.count)]
    disks = []
    for place, (name, size, system) in enumerate(wanted):
        disk: Data = {"serial": f"PLANNED{number:05d}{place:03d}", "class": name, "size": size}
        disks.append(disk | ({"use": "system"} if system else {}))
    speeds = {"mgmt0": "1Gbit", "data0": kind.speed}
    nics = [
        {"name": name, "mac": _mac(number, port), "speed": speed, "kind": "ethernet"}
        for port, (name, speed) in enumerate(speeds.items())
    ]
    return {"hardware_disks": disks, "hardware_nics": nics}


def _mac(number: int, port: int) -> str:
    """A locally administered address: bit 1 of the first byte says that no vendor gave it."""
    return f"02:be:d0:{number >> 8:02x}:{number & 0xFF:02x}:{port:02x}"


def _place(group: str, index: int) -> Data:
    """Racks of machines of one kind, filled from below."""
    height = _HEIGHTS.get(group, 1)
    each = _RACK_UNITS // height
    place = {"rack": f"{_SHORT[group]}{index // each + 1}", "unit": index % each * height + 1}
    return place | ({"height": height} if height > 1 else {})


def _addresses(answers: Answers, number: int) -> Data:
    offset = _FIRST_ADDRESS + number
    nets: Mapping[str, Net] = {name: getattr(answers, name) for name in ("management", "cluster", "business")}
    return {name: str(ip_network(net.subnet, strict=False)[offset]) for name, net in nets.items()}


def _fits(answers: Answers, hosts: int) -> None:
    """Every subnet is one and has an address for every machine."""
    findings = []
    for name in ("management", "cluster", "business"):
        net: Net = getattr(answers, name)
        key = f"{name}.subnet"
        try:
            room = ip_network(net.subnet).num_addresses - _FIRST_ADDRESS - 1
        except ValueError as error:
            remedy = "write it like 10.20.0.0/24"
            findings.append(
                Finding(answers.origin, key, net.subnet, f"this is not a subnet: {error}", remedy)
            )
            continue
        if room < hosts:
            why = f"it has room for {max(room, 0)} machines, and there are {hosts}"
            findings.append(Finding(answers.origin, key, net.subnet, why, "choose a larger subnet"))
    if findings:
        raise BadInput(findings)


def sample(hosts: int, environment: str = "big") -> Answers:
    """An environment of ``hosts`` machines: three of control plane, two gateways, the rest GPU nodes."""
    prefix = next(bits for bits in range(24, 8, -1) if 2 ** (32 - bits) > hosts + 2 * _FIRST_ADDRESS)
    management, cluster, business = (f"10.{part}.0.0/{prefix}" for part in (64, 80, 96))
    disks = {"nvme": Disks(4, "3.84TB")}
    return Answers(
        environment=environment,
        domain=f"{environment}.example.internal",
        time_servers=("10.64.0.1",),
        management=Net(management, gateway="10.64.0.1"),
        cluster=Net(cluster, vlan=20),
        business=Net(business, vlan=30),
        machines={
            "control_plane": Machines(3, 32, "128GiB"),
            "gateways": Machines(2, 32, "128GiB"),
            "gpu_nodes": Machines(hosts - 5, 192, "2TiB", "100Gbit", "h100-sxm5-80gb", 8, disks),
        },
    )
