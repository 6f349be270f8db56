"""Made-up hosts for the tests of the network planner, and a systemd-networkd small enough to trust.

The simulated daemon reads the rendered files (not the planner's records) and honours what the real one does:
a device that exists keeps the properties it was made with, addresses need a carrier, a VLAN is no larger than
its parent.
"""

from dataclasses import replace
from typing import Any

from vlan_network import observe
from vlan_network.model import NETWORKD, Desired, Live, LiveRoute, Observed, Plan, WayIn
from vlan_network.wish import wish

MGMT, DATA0, DATA1, OTHER = (f"52:54:00:00:00:0{n}" for n in (1, 2, 3, 9))
NICS = [
    {"name": "mgmt0", "mac": MGMT, "speed": "1Gbit", "kind": "ethernet"},
    {"name": "data0", "mac": DATA0, "speed": "100Gbit", "kind": "ethernet"},
    {"name": "data1", "mac": DATA1, "speed": "100Gbit", "kind": "ethernet"},
]
NETWORKS = [
    {
        "name": "management",
        "subnet": "10.10.0.0/24",
        "gateway": "10.10.0.1",
        "mtu": 1500,
        "zone": "management",
    },
    {"name": "cluster", "vlan": 20, "subnet": "10.20.0.0/24", "mtu": 9000, "zone": "compute"},
    {"name": "business", "vlan": 30, "subnet": "10.30.0.0/24", "mtu": 1500, "zone": "business"},
]
LINKS = [
    {"name": "mgmt0", "nics": ["mgmt0"], "networks": ["management"]},
    {"name": "data0", "nics": ["data0"], "networks": ["cluster", "business"]},
]
BONDED = [LINKS[0], {"name": "bond0", "nics": ["data0", "data1"], "networks": ["cluster", "business"]}]
ADDRESSES = {"management": "10.10.0.11", "cluster": "10.20.0.11", "business": "10.30.0.11"}
INSTALLER = "/etc/systemd/network/90-installer.network"
INSTALLER_TEXT = "[Match]\nName=mgmt0\n\n[Network]\nAddress=10.10.0.11/24\nGateway=10.10.0.1\n"
WAY_IN = WayIn("mgmt0", "10.10.0.11", "10.10.0.200")


def words(**changes: Any) -> dict[str, Any]:
    """The inventory's words about one host, with ``changes``."""
    usual: dict[str, Any] = {"nics": NICS, "networks": NETWORKS, "links": LINKS, "addresses": ADDRESSES}
    return {**usual, "routes": [], "dns": [], **changes}


def desired(backend: str = NETWORKD, **changes: Any) -> Desired:
    """Devices for words that are right."""
    wanted, wrong = wish(backend, **words(**changes))
    assert wrong == []
    return wanted


def fresh_host(**changes: Any) -> Observed:
    """A host as an installer leaves it: three NICs, the first with an address, a bridge of somebody else."""
    devices = {
        "mgmt0": Live("mgmt0", "nic", MGMT, max_mtu=9194, addresses=("10.10.0.11/24",)),
        "data0": Live("data0", "nic", DATA0, max_mtu=9978),
        "data1": Live("data1", "nic", DATA1, max_mtu=9978),
        "eno9": Live("eno9", "nic", OTHER, addresses=("192.168.9.9/24",)),
        "docker0": Live("docker0", "bridge", addresses=("172.17.0.1/16",), carrier=False),
        "cali1": Live("cali1", "nic", "ee:ee:ee:ee:ee:ee", max_mtu=65535),
    }
    observed = Observed(
        devices=devices,
        routes=(LiveRoute("0.0.0.0/0", "10.10.0.1", "mgmt0"),),
        files={INSTALLER: INSTALLER_TEXT},
        claims={INSTALLER: ("mgmt0",)},
        way_in=WAY_IN,
    )
    return replace(observed, **changes)


def with_device(observed: Observed, device: Live) -> Observed:
    """``observed`` with one more, or one other, device."""
    return replace(observed, devices={**observed.devices, device.name: device})


def apply(observed: Observed, todo: Plan) -> Observed:
    """What becomes of the host when the plan is carried out by the simulated systemd-networkd."""
    files = dict(observed.files)
    for write in todo.writes:
        assert files.get(write.path) == write.before, "a plan knows what it overwrites"
        files.pop(write.path, None)
        if write.after is not None:
            files[write.path] = write.after
    devices = dict(observed.devices)
    again: list[str] = []
    for action in todo.actions:
        for command in action.commands:
            _run(command, devices, again)
    claims = {
        p: observe.claims_of_networkd(t) for p, t in files.items() if p.endswith((".network", ".netdev"))
    }
    commands = [command for action in todo.actions for command in action.commands]
    known = {} if ("systemctl", "restart", "systemd-networkd.service") in commands else observed.files
    networkd = Networkd(files, known, devices, list(observed.routes))
    if not known or ("networkctl", "reload") in commands:
        networkd.reload(again)
    return replace(
        observed, files=files, claims=claims, devices=devices, routes=tuple(networkd.routes), networkd=True
    )


def _run(command: tuple[str, ...], devices: dict[str, Live], again: list[str]) -> None:
    match command:
        case ("ip", "link", "delete", "dev", name):
            for above in [d.name for d in devices.values() if d.kind == "vlan" and d.parent == name]:
                del devices[above]
            for member in [d for d in devices.values() if d.master == name]:
                devices[member.name] = replace(member, master="")
            del devices[name]
        case ("ip", "link", "set", "dev", old, "name", new):
            assert new not in devices, "the kernel refuses a name that is taken"
            devices[new] = replace(devices.pop(old), name=new, up=False)
            for above in [d for d in devices.values() if d.parent == old]:
                devices[above.name] = replace(above, parent=new)
        case ("ip", "link", "set", "dev", name, "mtu", mtu):
            device = devices[name]
            assert not device.max_mtu or int(mtu) <= device.max_mtu
            assert not device.parent or int(mtu) <= devices[device.parent].mtu, (
                "a VLAN is no larger than its parent"
            )
            devices[name] = replace(device, mtu=int(mtu))
        case ("networkctl", "reconfigure", *names):
            assert set(names) <= set(devices), f"{names} are not there to be configured"
            again += names
        case ("ip", "link", "set", "dev", _, "down") | ("networkctl", "reload") | ("systemctl", *_):
            pass
        case _:
            raise AssertionError(f"unknown command {command}")


Ini = list[tuple[str, list[tuple[str, str]]]]


def _ordered(files: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(files.items(), key=lambda entry: entry[0].rpartition("/")[2])


def _netdevs(files: dict[str, str]) -> dict[str, Ini]:
    read = [_ini(text) for path, text in _ordered(files) if path.endswith(".netdev")]
    return {_one(file, "NetDev", "Name"): file for file in read}


class Networkd:
    """Reads .netdev and .network files like systemd-networkd, which holds on to the .netdev files that it
    ``known``.
    """

    def __init__(
        self, files: dict[str, str], known: dict[str, str], devices: dict[str, Live], routes: list[LiveRoute]
    ) -> None:
        self.devices, self.routes = devices, routes
        self.netdevs = _netdevs(files) | _netdevs(known)
        self.networks = [_ini(text) for path, text in _ordered(files) if path.endswith(".network")]

    def reload(self, names: list[str]) -> None:
        """Configure ``names`` anew and whatever that makes."""
        for name in names:
            self.configure(name)

    def configure(self, name: str) -> None:
        """The first file that matches says everything."""
        device = self.devices[name]
        file = next((f for f in self.networks if self._matches(f, device)), None)
        if file is None:
            return
        mtu = int(_one(file, "Link", "MTUBytes") or device.mtu)
        self.devices[name] = device = replace(device, up=True, mtu=self._clamp(device, mtu))
        for made in [*_all(file, "Network", "Bond"), *_all(file, "Network", "VLAN")]:
            self._make(made, name)
        bond = _one(file, "Network", "Bond")
        if bond:
            self.devices[name] = replace(self.devices[name], master=bond, addresses=())
            return
        if device.carrier:
            self.devices[name] = replace(device, addresses=tuple(_all(file, "Network", "Address")))
            self.routes[:] = [r for r in self.routes if r.device != name] + [
                LiveRoute(dict(s)["Destination"], dict(s)["Gateway"], name, int(dict(s)["Metric"]))
                for section, s in file
                if section == "Route"
            ]

    def _make(self, name: str, below: str) -> None:
        if name in self.devices:
            return  # made already: what the file says now does not matter
        file = self.netdevs[name]
        mtu, kind = int(_one(file, "NetDev", "MTUBytes")), _one(file, "NetDev", "Kind")
        if kind == "vlan":
            device = Live(name, "vlan", mtu=mtu, parent=below, vlan=int(_one(file, "VLAN", "Id")))
        else:
            device = Live(name, "bond", mtu=mtu, bond=_bond(file))
        self.devices[name] = replace(device, mtu=self._clamp(device, mtu))
        self.configure(name)

    def _clamp(self, device: Live, mtu: int) -> int:
        return min(mtu, self.devices[device.parent].mtu) if device.kind == "vlan" else mtu

    def _matches(self, file: "Ini", device: Live) -> bool:
        match = dict(next(pairs for name, pairs in file if name == "Match"))
        if "PermanentMACAddress" in match:
            return match["PermanentMACAddress"] == device.mac
        return device.name in match.get("Name", "").split()


def _bond(file: Ini) -> dict[str, str]:
    kernel = {"Mode": "mode", "TransmitHashPolicy": "xmit_hash_policy", "LACPTransmitRate": "ad_lacp_rate"}
    kernel |= {"MIIMonitorSec": "miimon", "MinLinks": "min_links"}
    pairs = next(pairs for name, pairs in file if name == "Bond")
    return {kernel[key]: value.removesuffix("ms") for key, value in pairs}


def _ini(text: str) -> Ini:
    sections: Ini = []
    for line in text.splitlines():
        if line.startswith("["):
            sections.append((line.strip("[]"), []))
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            sections[-1][1].append((key, value))
    return sections


def _all(file: Ini, section: str, key: str) -> list[str]:
    return [value for name, pairs in file if name == section for k, value in pairs if k == key]


def _one(file: Ini, section: str, key: str) -> str:
    return next(iter(_all(file, section, key)), "")
