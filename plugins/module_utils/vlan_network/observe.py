"""What programs and files of a host say, as the planner's words. Pure: text and JSON in, records out."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from ipaddress import ip_interface, ip_network
from typing import Any

from .model import FOLDERS, NIC, PREFIX, VLAN, Desired, Live, LiveRoute, Observed, Owner, WayIn

# Kinds that stand for hardware. veth is the NIC of a container, where roles are tried.
HARDWARE = ("", "veth", "netdevsim")
BOND_OPTIONS = ("mode", "miimon", "xmit_hash_policy", "ad_lacp_rate", "min_links")


def devices(links: list[dict[str, Any]]) -> dict[str, Live]:
    """Devices from ``ip -d -j address show``."""
    found = {}
    for link in links:
        info = link.get("linkinfo", {})
        kind, data = info.get("info_kind", ""), info.get("info_data", {})
        hardware = kind in HARDWARE and link.get("link_type") == "ether"
        found[link["ifname"]] = Live(
            name=link["ifname"],
            kind=NIC if hardware else kind or str(link.get("link_type", "")),
            mac=str(link.get("permaddr") or link.get("address", "")).lower() if hardware else "",
            mtu=int(link.get("mtu", 0)),
            max_mtu=int(link.get("max_mtu") or 0),
            parent=str(link.get("link") or ""),
            master=str(link.get("master") or ""),
            vlan=int(data.get("id") or 0) if kind == "vlan" else 0,
            bond={key: str(data[key]) for key in BOND_OPTIONS if key in data} if kind == "bond" else {},
            addresses=tuple(
                str(ip_interface(f"{a['local']}/{a['prefixlen']}"))
                for a in link.get("addr_info", [])
                if a.get("scope") == "global"
            ),
            up="UP" in link.get("flags", []),
            carrier="LOWER_UP" in link.get("flags", []),
        )
    return found


def routes(listing: list[dict[str, Any]]) -> tuple[LiveRoute, ...]:
    """Routes with a gateway from ``ip -j [-4|-6] route show``."""
    found = []
    for route in listing:
        if not route.get("gateway"):
            continue
        to = route["dst"]
        if to == "default":
            to = "::/0" if ":" in route["gateway"] else "0.0.0.0/0"
        found.append(
            LiveRoute(
                str(ip_network(to)), route["gateway"], route.get("dev", ""), int(route.get("metric") or 0)
            )
        )
    return tuple(found)


def way_in(ssh_connection: str, links: dict[str, Live]) -> WayIn | None:
    """The controller's connection from SSH_CONNECTION: client, its port, our address, our port."""
    words = ssh_connection.split()
    if len(words) != 4:  # noqa: PLR2004
        return None
    client, local = words[0].partition("%")[0], words[2].partition("%")[0]
    for link in links.values():
        if any(address.partition("/")[0] == local for address in link.addresses):
            return WayIn(link.name, local, client)
    return None


def claims_of_networkd(text: str) -> tuple[str, ...]:
    """Devices that a .network or .netdev file of networkd is about: names, MAC addresses, patterns."""
    found: list[str] = []
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key, _, value = line.partition("=")
        key, values = key.strip(), value.split()
        if (section == "Match" and key in ("Name", "OriginalName")) or (
            section == "NetDev" and key == "Name"
        ):
            found += values
        elif section == "Match" and key in ("MACAddress", "PermanentMACAddress"):
            found += [v.lower() for v in values]
    return tuple(found)


def claims_of_netplan(document: Any) -> tuple[str, ...]:
    """Devices that a parsed netplan file is about: ids, names and patterns to match, MAC addresses."""
    found: list[str] = []
    network = document.get("network") if isinstance(document, dict) else None
    for definitions in (network or {}).values():
        if not isinstance(definitions, dict):
            continue
        for name, body in definitions.items():
            match = body.get("match") if isinstance(body, dict) else None
            if not match:
                found.append(str(name))
                continue
            named = [match.get("name"), body.get("set-name")]
            found += [str(value) for value in named if value]
            found += [str(match["macaddress"]).lower()] if match.get("macaddress") else []
    return tuple(found)


def is_ours(path: str, backend: str) -> bool:
    """Whether ``path`` is a file that this role writes."""
    folder, _, name = path.rpartition("/")
    return folder == FOLDERS[backend] and name.startswith(PREFIX)


def claims(claimed: tuple[str, ...], names: set[str]) -> bool:
    """Whether one of ``claimed`` (names, MAC addresses, shell patterns) means one of ``names``."""
    return any(fnmatchcase(name, pattern) for pattern in claimed for name in names)


def ifupdown(files: dict[str, str]) -> list[Owner]:
    """Devices that /etc/network/interfaces and what it includes configure; loopback aside."""
    found = []
    for path, text in files.items():
        for match in re.finditer(r"^\s*iface\s+(\S+)\s+\S+\s+(\S+)", text, re.MULTILINE):
            if match[1] != "lo":
                remedy = f"Remove the lines about {match[1]} from {path} once, and run again"
                found.append(Owner("ifupdown", path, match[1], remedy))
    return found


def network_manager(profiles: dict[str, str]) -> list[Owner]:
    """Devices that NetworkManager's connection profiles (keyfiles, path to content) configure."""
    found = []
    for path, text in profiles.items():
        for match in re.finditer(r"^(?:interface-name|mac-address)\s*=\s*(\S+)", text, re.MULTILINE):
            remedy = f"Give the NIC back with `nmcli device set {match[1]} managed no` and delete {path}"
            found.append(
                Owner("NetworkManager", path, match[1].lower() if ":" in match[1] else match[1], remedy)
            )
    return found


def cloud_init(files: dict[str, str], disabled: bool) -> list[Owner]:
    """Devices that cloud-init has configured: it writes its files again at the next boot unless it is told
    not to.
    """
    if disabled:
        return []
    marker = "/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg"
    remedy = f"Tell cloud-init to leave the network alone: write `network: {{config: disabled}}` to {marker}"
    found = []
    for path, text in files.items():
        if "cloud-init" not in path and "cloud-init" not in text[:400]:
            continue
        names = claims_of_networkd(text) or _names_in_yaml(text)
        found += [Owner("cloud-init", path, name, remedy) for name in names]
    return found


def _names_in_yaml(text: str) -> tuple[str, ...]:
    """Keys and MAC addresses of a netplan file as cloud-init writes it, four spaces per level or two."""
    macs = re.findall(r"""macaddress:\s*["']?([0-9a-fA-F:]{17})""", text)
    names = re.findall(r"""^\s+["']?([A-Za-z][\w.-]*)["']?:\s*$""", text, re.MULTILINE)
    keywords = {
        "ethernets",
        "bonds",
        "vlans",
        "match",
        "network",
        "addresses",
        "nameservers",
        "routes",
        "parameters",
    }
    return tuple(m.lower() for m in macs) + tuple(n for n in names if n not in keywords)


def link_faults(desired: Desired, observed: Observed) -> list[str]:
    """What is wrong with devices that should carry traffic, in words."""
    found = []
    for device in desired.devices:
        live = observed.devices.get(device.name)
        if live is None:
            found.append(f"device {device.name} is missing")
        elif not live.carrier and device.kind != VLAN:
            found.append(f"{device.kind} {device.name} has no carrier: look at its cable and switch port")
    return found


def bond_faults(bonds: dict[str, str], partner: bool = True) -> list[str]:
    """What is wrong with bonds, from /proc/net/bonding (name to text): members that are down and, where a
    ``partner`` must answer, an aggregation that is not one.
    """
    found = []
    for name, text in bonds.items():
        head, *members = re.split(r"^Slave Interface: ", text, flags=re.MULTILINE)
        for member in members:
            if "MII Status: up" not in member:
                found.append(f"member {member.split()[0]} of bond {name} is down")
        if "802.3ad" not in head or not partner:
            continue
        if re.search(r"Partner Mac Address: 00:00:00:00:00:00", head):
            found.append(f"bond {name} has no LACP partner: configure the switch ports as one aggregation")
        ids = {
            match
            for member in members
            for match in re.findall(r"^Aggregator ID: (\d+)", member, re.MULTILINE)
        }
        if len(ids) > 1:
            found.append(
                f"members of bond {name} are in {len(ids)} aggregations: they lead to different switches"
            )
    return found
