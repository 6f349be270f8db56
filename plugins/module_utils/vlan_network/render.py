"""Devices as files of a back end: path to content. What the files say is all that is configured."""

from __future__ import annotations

import json
from typing import Any

from .model import BOND, FOLDERS, NETPLAN, NIC, PREFIX, VLAN, Desired, Device

HEADER = "# Written by Bedplate (role vlan_network). Changes are lost: change the inventory instead.\n"
MODES = {".yaml": "0600"}  # netplan warns about files that others may read
# LACPDUs every second instead of every 30, flows spread over ports, dead members noticed within 100 ms.
BOND_MONITOR_MS = 100
HASH_POLICY = "layer3+4"
HASHED_MODES = ("802.3ad", "balance-xor")
LACP = "802.3ad"


def render(desired: Desired) -> dict[str, str]:
    """The files of ``desired``, path to content."""
    if desired.backend == NETPLAN:
        return {f"{FOLDERS[NETPLAN]}/{PREFIX}.yaml": netplan(desired)} if desired.devices else {}
    return networkd(desired)


def mode(path: str) -> str:
    """Octal mode of the file ``path``. systemd-networkd runs as a user of its own and must read its files."""
    return next((value for suffix, value in MODES.items() if path.endswith(suffix)), "0644")


def networkd(desired: Desired) -> dict[str, str]:
    """Files of systemd-networkd: .link pins a NIC's name to its MAC address, .netdev makes, .network
    configures.
    """
    files: dict[str, str] = {}
    for device in desired.devices:
        base = f"{FOLDERS[desired.backend]}/{PREFIX}-{device.name}"
        if device.kind == NIC:
            files[f"{base}.link"] = _ini(
                [
                    ("Match", [("PermanentMACAddress", device.mac)]),
                    (
                        "Link",
                        [("Name", device.name), ("AlternativeNamesPolicy", "database onboard slot path")],
                    ),
                ]
            )
        else:
            files[f"{base}.netdev"] = _ini(_netdev(device))
        files[f"{base}.network"] = _ini(_network(device, desired))
    return files


Section = tuple[str, list[tuple[str, Any]]]


def _netdev(device: Device) -> list[Section]:
    common: Section = ("NetDev", [("Name", device.name), ("Kind", device.kind), ("MTUBytes", device.mtu)])
    if device.kind == VLAN:
        return [common, ("VLAN", [("Id", device.vlan)])]
    options: list[tuple[str, Any]] = [("Mode", device.mode), ("MIIMonitorSec", f"{BOND_MONITOR_MS}ms")]
    if device.mode in HASHED_MODES:
        options.append(("TransmitHashPolicy", HASH_POLICY))
    if device.mode == LACP:
        options += [("LACPTransmitRate", "fast"), ("MinLinks", 1)]
    return [common, ("Bond", options)]


def _network(device: Device, desired: Desired) -> list[Section]:
    # By MAC address, so that a NIC which the kernel names differently one day still gets its configuration.
    match = ("PermanentMACAddress", device.mac) if device.kind == NIC else ("Name", device.name)
    network: list[tuple[str, Any]] = [("Bond", device.parent)] if device.kind == NIC and device.parent else []
    network += [("VLAN", vlan.name) for vlan in desired.above(device.name) if vlan.kind == VLAN]
    network += [("Address", address) for address in device.addresses]
    network += [("DNS", server) for server in device.dns]
    network += [("LinkLocalAddressing", "ipv6" if _has_ipv6(device) else "no"), ("IPv6AcceptRA", "no")]
    link: list[tuple[str, Any]] = [("MTUBytes", device.mtu)]
    if not device.addresses:
        link.append(("RequiredForOnline", "no"))
    routes: list[Section] = [
        ("Route", [("Destination", r.to), ("Gateway", r.via), ("Metric", r.metric)]) for r in device.routes
    ]
    return [("Match", [match]), ("Link", link), ("Network", network), *routes]


def netplan(desired: Desired) -> str:
    """One netplan file. JSON is YAML, but people read this: the few shapes that are needed are written by
    hand.
    """
    groups: dict[str, dict[str, Any]] = {}
    for device in desired.devices:
        groups.setdefault({NIC: "ethernets", BOND: "bonds", VLAN: "vlans"}[device.kind], {})[device.name] = (
            _netplan(device)
        )
    return HEADER + "\n".join(_yaml({"network": {"version": 2, "renderer": "networkd", **groups}}, 0)) + "\n"


def _netplan(device: Device) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if device.kind == NIC:
        body |= {"match": {"macaddress": device.mac}, "set-name": device.name}
    elif device.kind == VLAN:
        body |= {"id": device.vlan, "link": device.parent}
    else:
        body |= {"interfaces": list(device.members), "parameters": _netplan_bond(device)}
    body |= {"mtu": device.mtu, "accept-ra": False, "dhcp4": False, "dhcp6": False}
    body["link-local"] = ["ipv6"] if _has_ipv6(device) else []
    if device.addresses:
        body["addresses"] = list(device.addresses)
    else:
        body["optional"] = True
    if device.dns:
        body["nameservers"] = {"addresses": list(device.dns)}
    if device.routes:
        body["routes"] = [{"to": r.to, "via": r.via, "metric": r.metric} for r in device.routes]
    return body


def _netplan_bond(device: Device) -> dict[str, Any]:
    parameters: dict[str, Any] = {"mode": device.mode, "mii-monitor-interval": BOND_MONITOR_MS}
    if device.mode in HASHED_MODES:
        parameters["transmit-hash-policy"] = HASH_POLICY
    if device.mode == LACP:
        parameters |= {"lacp-rate": "fast", "min-links": 1}
    return parameters


def bond_options(device: Device) -> dict[str, str]:
    """The options of a bond as the kernel reports them (ip -d -j link, info_data), those that we set."""
    options = {"mode": device.mode, "miimon": str(BOND_MONITOR_MS)}
    if device.mode in HASHED_MODES:
        options["xmit_hash_policy"] = HASH_POLICY
    if device.mode == LACP:
        options |= {"ad_lacp_rate": "fast", "min_links": "1"}
    return options


def _has_ipv6(device: Device) -> bool:
    return any(":" in address for address in device.addresses)


def _ini(sections: list[Section]) -> str:
    parts = [f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in pairs) for name, pairs in sections]
    return HEADER + "\n" + "\n".join(parts)


def _yaml(value: Any, depth: int) -> list[str]:
    """Dicts, lists and scalars as block YAML; every string is quoted, so that nothing is taken for something
    else.
    """
    indent = "  " * depth
    lines: list[str] = []
    for key, inner in value.items():
        if isinstance(inner, dict):
            lines += [f"{indent}{key}:", *_yaml(inner, depth + 1)]
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            lines.append(f"{indent}{key}:")
            lines += [f"{indent}  - {json.dumps(entry)}" for entry in inner]
        else:
            lines.append(f"{indent}{key}: {json.dumps(inner)}")
    return lines
