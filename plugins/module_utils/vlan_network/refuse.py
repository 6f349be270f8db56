"""What the planner does not do, each with its reason and what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from . import observe
from .model import BOND, NETPLAN, NIC, Refusal
from .situation import Situation


def refusals(case: Situation, reconnect: str) -> tuple[Refusal, ...]:
    """Every reason not to configure this host as desired, in a fixed order; empty when there is none."""
    return (
        *_missing_nics(case),
        *_second_owners(case),
        *_mixed_files(case),
        *_foreign_masters(case),
        *_bystanders(case),
        *_taken_names(case),
        *_large_mtu(case),
        *_taken_addresses(case),
        *_lost_way_in(case, reconnect),
    )


def _missing_nics(case: Situation) -> Iterator[Refusal]:
    live = [f"{d.name} {d.mac}" for d in case.observed.devices.values() if d.kind == NIC]
    for device in case.desired.devices:
        if device.kind == NIC and device.name not in case.nics:
            why = f"no NIC of this host has the permanent MAC address {device.mac}"
            remedy = f"The host has: {', '.join(live) or 'none'}; correct hardware_nics"
            yield Refusal(f"NIC {device.name}", why, remedy)


def _second_owners(case: Situation) -> Iterator[Refusal]:
    for device in case.desired.devices:
        for owner in case.observed.owners:
            if observe.claims((owner.device,), case.identities(device)):
                why = f"{owner.program} configures it too ({owner.file})"
                yield Refusal(f"{device.kind} {device.name}", why, owner.remedy)


def _mixed_files(case: Situation) -> Iterator[Refusal]:
    """netplan merges all of its files, so one that is partly about our devices cannot be left in place. Of
    systemd-networkd's files the first that matches wins, and ours come first.
    """
    if case.desired.backend != NETPLAN:
        return
    ours = {word for device in case.desired.devices for word in case.identities(device)}
    for path, claimed in case.observed.claims.items():
        if case.is_ours(path) or path in case.replaced or not observe.claims(claimed, ours):
            continue
        mine = [claim for claim in claimed if observe.claims((claim,), ours)]
        others = [claim for claim in claimed if claim not in mine]
        why = f"it configures {', '.join(mine)}, which the inventory configures too"
        why += f", together with {', '.join(others)}" if others else ""
        remedy = f"Take {', '.join(mine)} out of it, or give all of its NICs to the inventory"
        yield Refusal(f"file {path}", why, remedy)


def _foreign_masters(case: Situation) -> Iterator[Refusal]:
    for device in case.desired.devices:
        live = case.live(device)
        if device.kind not in (NIC, BOND) or live is None or not live.master:
            continue
        if live.master in case.removed or case.desired.device(live.master):
            continue
        there = case.observed.devices.get(live.master)
        why = f"it belongs to {there.kind if there else 'device'} {live.master}, which is not ours"
        remedy = f"Take it out of {live.master}, or out of vlan_network_links"
        yield Refusal(f"{device.kind} {device.name}", why, remedy)


def _bystanders(case: Situation) -> Iterator[Refusal]:
    for live in case.observed.devices.values():
        if live.parent in case.removed and live.name not in case.removed:
            why = f"{live.kind} {live.name} stands on it and is not ours, but it must be removed or made anew"
            yield Refusal(f"device {live.parent}", why, f"Remove {live.name} first")


def _taken_names(case: Situation) -> Iterator[Refusal]:
    for device in case.desired.devices:
        live = case.observed.devices.get(device.name)
        if live is None:
            continue
        if device.kind == NIC and case.now(device.name) != device.name:
            other = f"{live.kind} {live.mac}".strip()
            why = f"another device ({other}) has this name, so {case.now(device.name)} cannot get it"
            yield Refusal(f"NIC {device.name}", why, "Use the names of `bedplate discover` in hardware_nics")
        elif device.kind not in (NIC, live.kind):
            why = f"a {live.kind} of this name exists and is not ours"
            yield Refusal(f"{device.kind} {device.name}", why, "Rename the network or link in the inventory")


def _large_mtu(case: Situation) -> Iterator[Refusal]:
    for device in case.desired.devices:
        live = case.live(device)
        if device.kind == NIC and live is not None and 0 < live.max_mtu < device.mtu:
            why = f"MTU {device.mtu} is more than the {live.max_mtu} that the NIC allows"
            remedy = "Lower the mtu of its networks in site_networks, or use another NIC"
            yield Refusal(f"NIC {device.name}", why, remedy)


def _taken_addresses(case: Situation) -> Iterator[Refusal]:
    managed = {case.now(device.name) for device in case.desired.devices} | set(case.removed)
    foreign = [live for live in case.observed.devices.values() if live.name not in managed]
    for device in case.desired.devices:
        for address in map(_ip, device.addresses):
            for live in (f for f in foreign if address in map(_ip, f.addresses)):
                why = f"{live.kind} {live.name}, which is not ours, has it already"
                remedy = f"Remove it from {live.name}, or give {device.name} another one"
                yield Refusal(f"address {address} of {device.name}", why, remedy)


def _lost_way_in(case: Situation, reconnect: str) -> Iterator[Refusal]:
    way = case.observed.way_in
    if way is None:
        return
    planned = {_ip(address) for device in case.desired.devices for address in device.addresses}
    ours = {case.now(device.name) for device in case.desired.devices} | set(case.removed)
    if way.interface in ours and way.local not in planned and not reconnect:
        why = f"the controller came in by it (on {way.interface}), and no device would have it any more"
        remedy = (
            "Keep it in vlan_network_addresses; to move the host on purpose, say in vlan_network_reconnect "
            "where the controller finds it afterwards"
        )
        yield Refusal(f"address {way.local}", why, remedy)
    if reconnect and reconnect not in planned and reconnect != way.local:
        remedy = "Name an address of vlan_network_addresses"
        yield Refusal(f"vlan_network_reconnect {reconnect}", "no device of this host would have it", remedy)


def _ip(interface: str) -> str:
    return str(ip_interface(interface).ip)
