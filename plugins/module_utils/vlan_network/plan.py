"""The planner: what differs between the devices that shall be and the host as it is, and the steps in
between.

Files alone do not tell: systemd-networkd does not change a device that exists when its ``.netdev`` changes,
and people change devices by hand. So files and live state are both compared, and a device that was made
differently is removed first. A device that our files do not name is never touched.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from . import observe
from .model import NETPLAN, NIC, VLAN, Desired, Device, Live, Observed, Plan, Write
from .refuse import refusals
from .render import mode, render
from .situation import Situation
from .steps import ORDER, backward, forward


def plan(desired: Desired, observed: Observed, reconnect: str = "") -> Plan:
    """The steps that make ``observed`` what ``desired`` says; an empty plan when nothing is to do.

    ``reconnect`` is the address under which the controller comes back when its way in moves; without it, a
    plan that takes the controller's address away is refused. A plan with refusals holds nothing else.
    """
    case = Situation(desired, observed)
    wrong = refusals(case, reconnect)
    if wrong:
        return Plan(refusals=wrong)
    writes = file_changes(case)
    touched = touched_devices(case)
    actions = forward(case, touched, bool(writes))
    if not (writes or actions):
        return Plan()
    undo = backward(case, touched)
    return Plan(writes=writes, actions=actions, undo=undo, touched=touched, cuts=cuts(case, touched))


def file_changes(case: Situation) -> tuple[Write, ...]:
    """Files to write and to remove, in order of path."""
    have, want = case.observed.files, render(case.desired)
    found = [Write(p, have.get(p), text, mode(p)) for p, text in want.items() if have.get(p) != text]
    gone = {path for path in have if case.is_ours(path) and path not in want} | set(case.replaced)
    found += [Write(path, have[path], None, mode(path)) for path in gone]
    return tuple(sorted(found, key=lambda write: write.path))


def touched_devices(case: Situation) -> tuple[str, ...]:
    """Our devices that something is done to, from below: other files, drift, another name, made anew."""
    after, before = render(case.desired), case.observed.files
    changed = {path for path, text in after.items() if before.get(path) != text}
    taken = tuple(claim for path in case.replaced for claim in case.observed.claims[path])
    found: set[str] = set()
    for device in case.desired.devices:
        live = case.kept(device)
        if live is None:  # what it stands on makes it
            found |= {device.name, device.parent} if device.kind == VLAN else {device.name, *device.members}
        elif (
            case.now(device.name) != device.name
            or drift(device, live, case.observed)
            or any(_is_about(path, device, case.desired.backend) for path in changed)
            or observe.claims(taken, case.identities(device))
        ):
            found.add(device.name)
    found |= {d.name for d in case.desired.devices if _loses_a_device(case, d)}
    return tuple(d.name for kind in ORDER for d in case.desired.devices if d.kind == kind and d.name in found)


def _loses_a_device(case: Situation, device: Device) -> bool:
    now = case.now(device.name)
    return any(case.observed.devices[name].parent == now for name in case.removed) or any(
        now in case.members(name) for name in case.removed
    )


def _is_about(path: str, device: Device, backend: str) -> bool:
    """Whether a change of the file ``path`` reaches ``device`` while it exists. netplan has one file for all;
    a .link file is read when a NIC appears, a .netdev file when a device is made.
    """
    return backend == NETPLAN or path.endswith(f"-{device.name}.network")


def drift(device: Device, live: Live, observed: Observed) -> bool:
    """Whether a device is not as its files say. Without a carrier no address is expected on it."""
    if not live.up or live.mtu != device.mtu:
        return True
    if device.kind == NIC and device.parent and live.master != device.parent:
        return True
    if not live.carrier:
        return False
    have = {(r.to, r.via, r.metric) for r in observed.routes if r.device == live.name}
    missing_routes = any((r.to, r.via, r.metric) not in have for r in device.routes)
    return missing_routes or not set(device.addresses) <= set(live.addresses)


def cuts(case: Situation, touched: tuple[str, ...]) -> str:
    """Why the controller may be cut off, in words; empty when the plan stays away from its way in."""
    way = case.observed.way_in
    if way is None:
        return ""
    chain = _chain(way.interface, case)
    hit = [name for name in (*(case.now(name) for name in touched), *case.removed) if name in chain]
    if hit:
        return f"{hit[0]} carries the controller's connection to {way.local}"
    here = case.observed.devices[way.interface].addresses
    near = any(ip_address(way.client) in ip_interface(address).network for address in here)
    live = {case.now(name) for name in touched} | set(case.removed)
    routed = any(route.device in live for route in case.observed.routes)
    routed = routed or any(d.routes for d in case.desired.devices if d.name in touched)
    if not near and routed:
        return f"the route back to the controller ({way.client}) may change"
    return ""


def _chain(interface: str, case: Situation) -> set[str]:
    """``interface`` and every device that it stands on."""
    chain: set[str] = set()
    todo = [interface]
    while todo:
        name = todo.pop()
        live = case.observed.devices.get(name)
        if live is None or name in chain:
            continue
        chain.add(name)
        todo += [live.parent] if live.kind == VLAN else []
        todo += sorted(case.members(name))
    return chain
