"""What must be set so that RDMA works as wished: a pure planner, and the same as a program for every boot."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from .model import INFINIBAND, ROCE, Host, Soft, Step, Wish

ON, OFF = "on", "off"
ROCE_V2 = "RoCE v2"


def plan(wish: Wish, host: Host) -> tuple[list[Step], list[str]]:
    """Steps whose setting differs, and refusals; with one refusal nothing is done."""
    refusals = list(_refusals(wish, host))
    if refusals:
        return [], refusals
    return [step for step in steps(wish, host) if step.now != step.want], []


def steps(wish: Wish, host: Host) -> Iterator[Step]:
    """Every setting of every port, whether it differs or not. Cards that lack one (ECN in sysfs) are not
    asked."""
    devices = {link.netdev: link.device for link in host.links}
    for soft in wish.soft:
        now = devices.get(soft.nic, "")
        yield Step(soft.nic, "soft-RoCE", now, soft.name, _add(soft))
    for nic, kind in wish.ports.items():
        if kind == ROCE:
            yield from _roce(nic, devices.get(nic, ""), wish, host)


def _add(soft: Soft) -> tuple[str, ...]:
    return ("rdma", "link", "add", soft.name, "type", "rxe", "netdev", soft.nic)


def _roce(nic: str, device: str, wish: Wish, host: Host) -> Iterator[Step]:
    roce, have = wish.roce, host.settings.get(nic, {})

    def step(what: str, want: str, *command: str) -> Step:
        return Step(nic, what, have.get(what, ""), want, command)

    # The first entry makes the card trust DSCP; pause of the whole link and of priorities exclude each other.
    mapping = f"{roce.dscp}:{roce.priority}"
    yield step("dscp-prio", mapping, "dcb", "app", "add", "dev", nic, "dscp-prio", mapping)
    yield step("pause", OFF, "ethtool", "-A", nic, "autoneg", OFF, "rx", OFF, "tx", OFF)
    lossless = f"{roce.priority}:{ON if roce.pfc else OFF}"
    yield step("prio-pfc", lossless, "dcb", "pfc", "set", "dev", nic, "prio-pfc", f"all:{OFF}", lossless)
    yield from _ecn(nic, wish, host)
    yield from _connections(nic, device, wish, host)


def _connections(nic: str, device: str, wish: Wish, host: Host) -> Iterator[Step]:
    """Version and traffic class of connections that RDMA's connection manager makes, in configfs."""
    have = host.settings.get(nic, {})
    port = f"/sys/kernel/config/rdma_cm/{device}"
    wanted = {"default_roce_mode": ROCE_V2, "default_roce_tos": str(wish.roce.traffic_class)}
    for what, want in wanted.items():
        if what in have:
            command = f"mkdir -p {port} && echo '{want}' >{port}/ports/1/{what}"
            yield Step(nic, what, have[what], want, ("sh", "-c", command))


def _ecn(nic: str, wish: Wish, host: Host) -> Iterator[Step]:
    """Congestion control of the notification and the reaction point, where the driver has it in sysfs."""
    roce, have = wish.roce, host.settings.get(nic, {})
    folder = f"/sys/class/net/{nic}/ecn"
    enabled = "1" if roce.ecn else "0"
    wanted = {
        f"roce_np/enable/{roce.priority}": enabled,
        f"roce_rp/enable/{roce.priority}": enabled,
        "roce_np/cnp_dscp": str(roce.cnp_dscp),
        "roce_np/cnp_802p_prio": str(roce.cnp_priority),
    }
    for what, want in wanted.items():
        if what in have:
            yield Step(nic, what, have[what], want, ("sh", "-c", f"echo {want} >{folder}/{what}"))


def _refusals(wish: Wish, host: Host) -> Iterator[str]:
    names = [soft.name for soft in wish.soft]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"rdma_soft names {name} twice; give each device a name of its own"
    for soft in wish.soft:
        kind = host.kinds.get(soft.nic)
        other = next((link for link in host.links if link.netdev == soft.nic), None)
        if kind is None:
            yield f"rdma_soft: there is no interface {soft.nic}; {_there(host)}"
        elif kind == "vlan":
            yield f"rdma_soft: {soft.nic} is a VLAN, which soft-RoCE refuses; name the interface below it"
        elif other and other.device != soft.name:
            yield f"rdma_soft: {soft.nic} has {other.device} already; an interface has one RDMA device"
    for nic, kind in wish.ports.items():
        if kind == ROCE and nic not in host.kinds:
            yield f"hardware_nics has a RoCE port {nic}, and there is no such interface; {_there(host)}"


def _there(host: Host) -> str:
    return f"there are {', '.join(sorted(host.kinds)) or 'none'}"


def program(wish: Wish, host: Host) -> str:
    """A shell program that sets everything anew: all of it is gone after a boot or when a driver is loaded
    anew."""
    lines = ["#!/bin/sh", "# Written by Bedplate: settings of RDMA ports, which no card keeps.", "set -e"]
    for step in steps(wish, host):
        command = shlex.join(step.command)
        if step.what == "soft-RoCE":
            lines += ["modprobe rdma_rxe", f"rdma link show {step.want}/1 >/dev/null 2>&1 || {command}"]
        elif step.what == "dscp-prio":
            lines.append(f"dcb app show dev {step.nic} dscp-prio | grep -qw {step.want} || {command}")
        elif step.what == "pause":
            lines.append(f"{command} || true  # fails where it is off already")
        else:
            lines.append(command)
    return "\n".join(lines) + "\n"


def inactive(wish: Wish, host: Host) -> list[str]:
    """Wished ports without an active RDMA device, in words."""
    there = {link.netdev for link in host.links}
    wanted = {one.nic for one in wish.soft} | {nic for nic in wish.ports if _own(nic, wish)}
    absent = [f"{nic} has no RDMA device" for nic in sorted(wanted - there)]
    down = [
        f"{one.device} is not active" for one in host.links if one.netdev in wish.ports and not one.active
    ]
    return absent + down


def _own(nic: str, wish: Wish) -> bool:
    """InfiniBand devices have no interface of the inventory's name below them until IPoIB is configured."""
    return wish.ports.get(nic) != INFINIBAND
